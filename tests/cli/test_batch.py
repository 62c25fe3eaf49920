"""A folder of pairs and of stacks: found, fused, resumed, and counted."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from mfif.cli import main
from mfif.cli.batch import find_jobs
from mfif.errors import InputError


@pytest.fixture
def shoots(pair_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two pairs, a stack of two in a subfolder, and what is no scene; the working directory is above it."""
    (pair_folder / "beetle").mkdir()
    for number, side in enumerate("AB"):
        shutil.copy(pair_folder / f"colour-{side}.png", pair_folder / "beetle" / f"frame-{number}.png")
    (pair_folder / "notes").mkdir()
    (pair_folder / "notes" / "readme.txt").touch()
    monkeypatch.chdir(pair_folder.parent)
    return pair_folder


def fuse(*words: str) -> int:
    return main(["fuse", "pairs", "-o", "fused", *words])


def test_pairs_and_stacks_are_fused_and_found_again(shoots: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fuse("--index-map", "maps") == 0
    out, err = capsys.readouterr()
    assert out == "3 fused, 0 there already, 0 failed; in fused\n"
    assert [line.split()[0] for line in err.splitlines()] == ["[1/3]", "[2/3]", "[3/3]"]
    names = ["beetle.png", "colour.png", "gray.png"]
    assert sorted(path.name for path in Path("fused").iterdir()) == names
    assert sorted(path.name for path in Path("maps").iterdir()) == names
    np.testing.assert_array_equal(*(np.asarray(Image.open(f"fused/{name}.png")) for name in ("beetle", "colour")))

    written = {name: Path("fused", name).stat().st_mtime_ns for name in names}
    Path("fused/gray.png").unlink()  # as if interrupted after its map
    assert fuse("--index-map", "maps", "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert (len(summary["fused"]), summary["existing"], summary["failed"]) == (1, 2, {})
    assert summary["fused"][0]["output"] == str(Path("fused/gray.png"))
    assert Path("fused/colour.png").stat().st_mtime_ns == written["colour.png"]
    assert fuse("--force") == 0
    assert capsys.readouterr().out.startswith("3 fused, 0 there already")


def test_a_scene_that_fails_stops_or_is_counted(shoots: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("pairs/colour-B.png").unlink()
    Path("pairs/gray-A.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert fuse() == 1
    assert capsys.readouterr().err.startswith("error: colour: Expected two images of the scene, got colour-A.png.")
    assert not Path("fused").exists()
    assert fuse("--on-error", "skip") == 1
    out, err = capsys.readouterr()
    assert out == "1 fused, 0 there already, 2 failed; in fused\n"
    assert "[1/3] colour failed: Expected two images" in err
    assert "[2/3] gray failed: " in err
    assert "gray-A.png" in err
    assert [path.name for path in Path("fused").iterdir()] == ["beetle.png"]


def test_sides_in_two_subfolders(pair_folder: Path, tmp_path: Path) -> None:
    for side in "AB":
        (tmp_path / "shoot" / side).mkdir(parents=True)
        shutil.copy(pair_folder / f"colour-{side}.png", tmp_path / "shoot" / side / "beetle.png")
    (job,) = find_jobs(tmp_path / "shoot", set())
    assert job.name == "beetle"
    assert [path.parent.name for path in job.images] == ["A", "B"]


def test_tiff_stays_tiff(tmp_path: Path) -> None:
    for side in "AB":
        tifffile.imwrite(tmp_path / f"beetle-{side}.tif", np.zeros((8, 8), np.uint16))
    (job,) = find_jobs(tmp_path, set())
    assert job.path(Path("fused")) == Path("fused/beetle.tif")


def test_a_tiff_of_several_pages_is_a_stack(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pages = np.random.default_rng(0).integers(0, 256, (5, 24, 32), dtype=np.uint8)
    (tmp_path / "shoot").mkdir()
    for name in ("cell-1", "cell-2"):
        tifffile.imwrite(tmp_path / "shoot" / f"{name}.tif", pages, photometric="minisblack")
    tifffile.imwrite(tmp_path / "shoot" / "dyed.tif", pages[:2], imagej=True, metadata={"axes": "CYX"})
    words = ["fuse", str(tmp_path / "shoot"), "-o", str(tmp_path / "fused"), "--method", "laplacian"]
    assert main([*words, "--on-error", "skip"]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("2 fused, 0 there already, 1 failed")
    assert "cell-1.tif: 5 images of 32x24" in err
    assert "dyed failed: Expected the pages of" in err
    fused = tifffile.imread(tmp_path / "fused" / "cell-2.tif")
    assert (fused == pages).any(0).all()  # every pixel is that of a page


def test_folders_that_are_no_batch(shoots: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [job.name for job in find_jobs(shoots, {shoots / "beetle"})] == ["colour", "gray"]
    with pytest.raises(InputError, match="Expected another folder for the output"):
        find_jobs(shoots, {shoots / "beetle" / ".."})
    with pytest.raises(InputError, match="neither pairs nor subfolders"):
        find_jobs(shoots / "notes", set())
    (shoots / "beetle").rename(shoots / "gray")
    with pytest.raises(InputError, match=r"named gray\. Rename one"):
        find_jobs(shoots, set())
    assert main(["fuse", "none", "-o", "fused"]) == 1
    assert "two images" in capsys.readouterr().err
