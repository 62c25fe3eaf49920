"""What `mfif fuse` says of images that do not lie on each other, and pages of files as images."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage import data

import mfif
from mfif.cli import main

Output = pytest.CaptureFixture[str]


@pytest.fixture
def frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of four images: the second lies on the first, the others 5 and 8 pixels off, which drift apart."""
    monkeypatch.chdir(tmp_path)
    photo = data.coffee()[:200]
    lefts = {"a.png": 0, "b.png": 0, "c.png": 5, "d.png": 8}
    for number, (name, left) in enumerate(lefts.items()):
        frame = photo[:, left : left + 300].copy()
        frame[number] = 0  # no two are the same
        Image.fromarray(frame).save(name)
    return list(lefts)


def said(capsys: Output, *words: str) -> list[str]:
    assert main(["fuse", *words, "-o", "fused.png", "--method", "laplacian", "--force"]) == 0
    return capsys.readouterr().out.splitlines()


def test_one_that_lies_off_is_named_with_what_to_do(frames: list[str], capsys: Output) -> None:
    hint, last = said(capsys, "a.png", "d.png")
    assert hint.startswith("hint: d.png lies up to 8.")
    assert hint.endswith("pixels off a.png. Where edges come out double, add --align.")
    assert last.startswith("fused.png: 2 images")


def test_several_are_one_line(frames: list[str], capsys: Output) -> None:
    hint, _ = said(capsys, *frames)
    assert hint.startswith("hint: 2 of 4 images lie up to 8.")


def test_where_all_is_well_nothing_is_said(frames: list[str], capsys: Output) -> None:
    assert len(said(capsys, "a.png", "b.png")) == 1


def test_nor_where_they_are_aligned(frames: list[str], capsys: Output) -> None:
    assert not any(line.startswith("hint") for line in said(capsys, *frames, "--align"))


def test_another_scene_is_asked_about(frames: list[str], capsys: Output) -> None:
    Image.fromarray(data.astronaut()[:200, :300]).save("e.png")
    hint, _ = said(capsys, "a.png", "e.png")
    assert hint.startswith("hint: e.png hardly resembles a.png. Is it of the same scene?")


def test_what_is_skipped_is_not_what_others_lie_off(frames: list[str], capsys: Output) -> None:
    Path("0.png").write_bytes(Path("a.png").read_bytes()[:300])
    skipped, hint, _ = said(capsys, "0.png", "a.png", "d.png", "--on-error", "skip")
    assert skipped.startswith("skipped: 0.png")
    assert "pixels off a.png" in hint


def test_json_has_the_pixels(frames: list[str], capsys: Output) -> None:
    apart = json.loads("\n".join(said(capsys, *frames, "--json")))["apart"]
    assert apart == {"c.png": pytest.approx(5, abs=0.5), "d.png": pytest.approx(8, abs=0.5)}
    json.loads("\n".join(said(capsys, "a.png", "b.png", "--json")), parse_constant=pytest.fail)


def test_tiff_that_is_read_strip_by_strip(frames: list[str], capsys: Output) -> None:
    for name in ("a", "d"):
        Image.open(f"{name}.png").save(f"{name}.tif")
    assert main(["fuse", "a.tif", "d.tif", "-o", "fused.tif", "--method", "laplacian"]) == 0
    assert capsys.readouterr().out.startswith("hint: d.tif lies up to 8.")


def test_pages_of_a_tiff_are_a_stack(frames: list[str], capsys: Output) -> None:
    pages = [np.asarray(Image.open(name)) for name in frames]
    tifffile.imwrite("stack.tif", np.stack(pages), photometric="rgb")
    hint, last = said(capsys, "stack.tif", "--index-map", "i.png")
    assert hint.startswith("hint: 2 of 4 images lie up to 8.")
    assert last.startswith("fused.png: 4 images")
    expected = mfif.fuse(pages, "laplacian")
    np.testing.assert_array_equal(np.asarray(Image.open("fused.png")), expected.image)
    np.testing.assert_array_equal(np.asarray(Image.open("i.png")), expected.index)
    np.testing.assert_array_equal(mfif.fuse("stack.tif", "laplacian").image, expected.image)
    np.testing.assert_array_equal(mfif.fuse(["stack.tif"], "laplacian", output="fused.tif").image, expected.image)
    summary = json.loads("\n".join(said(capsys, "stack.tif", "--json")))
    assert summary["inputs"] == [f"stack.tif[{number}]" for number in range(4)]


def test_pages_by_name(frames: list[str], capsys: Output) -> None:
    pages = [np.asarray(Image.open(name)) for name in frames]
    tifffile.imwrite("stack.tif", np.stack(pages), photometric="rgb")
    content = Path("stack.tif").read_bytes()
    *_, last = said(capsys, "stack.tif[3]", "stack.tif[1]")
    assert last.startswith("fused.png: 2 images")
    expected = mfif.fuse([pages[3], pages[1]], "laplacian").image
    np.testing.assert_array_equal(np.asarray(Image.open("fused.png")), expected)
    for words, error in (
        (["stack.tif[3]", "stack.tif[1]", "-o", "stack.tif", "--force"], "stack.tif is one of the images to fuse"),
        (["stack.tif[3]", "stack.tif[4]", "-o", "fused.png", "--force"], "stack.tif[4]"),
        (["none.tif[3]", "none.tif[4]", "-o", "fused.png", "--force"], "There is no image at none.tif[3]"),
    ):
        assert main(["fuse", *words]) == 1
        assert error in capsys.readouterr().err
    assert Path("stack.tif").read_bytes() == content
    Path("stack.tif").rename("stack.tif[0]")  # a file of that name is that file
    assert main(["fuse", "stack.tif[0]", "-o", "fused.png", "--force", "--method", "laplacian"]) == 0
    assert "4 images" in capsys.readouterr().out


def test_one_image_is_no_stack(frames: list[str], capsys: Output) -> None:
    assert main(["fuse", "a.png", "-o", "fused.png"]) == 1
    assert capsys.readouterr().err == "error: Expected two images or more to fuse, got a.png. Name the others.\n"


def test_a_batch_tells_it_of_the_scene(frames: list[str], capsys: Output) -> None:
    Path("shoot").mkdir()
    for name, target in (("a", "A"), ("d", "B")):
        Path(f"{name}.png").rename(f"shoot/cup-{target}.png")
    assert main(["fuse", "shoot", "-o", "out", "--method", "laplacian"]) == 0
    assert "[1/1] hint: cup-B.png lies up to 8." in capsys.readouterr().err
