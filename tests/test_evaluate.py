"""Evaluation from the command line, on pairs made here and on the real ones."""

import csv
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from PIL import Image

from mfif.entry import run_entry_point
from mfif.images import write_image
from mfif.models import TwoStream

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run evaluate.py with arguments, in this process; exit status, stdout and stderr."""
    import evaluate

    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str, str]:
        GlobalHydra.instance().clear()
        own = [f"hydra.run.dir={tmp_path}/out", f"cache={tmp_path}/cache", "workers=1"]
        monkeypatch.setattr("sys.argv", ["evaluate.py", *own, *arguments])
        monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
        status = run_entry_point(evaluate.main, "evaluate")
        return status, *capsys.readouterr()

    return run


def scores(folder: Path) -> list[dict[str, str]]:
    with (folder / "scores.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def pixels(path: Path) -> np.ndarray:
    return np.array(Image.open(path))


def test_folder_of_colour_and_gray_pairs(run: Run, pair_folder: Path, tmp_path: Path) -> None:
    status, said, _ = run("method=[laplacian,mean]", "benchmark=folder", f"benchmark.root={pair_folder}")
    assert status == 0
    out = tmp_path / "out"
    rows = scores(out)
    assert [(row["pair"], row["method"]) for row in rows] == [
        (pair, method) for pair in ("colour", "gray") for method in ("laplacian", "mean")
    ]
    names = ["Q_MI", "Q_G", "EN", "VIFF", "seconds", "peak_mb", "error"]
    assert [name for name in rows[0] if name != "peak_mb"] == [
        name for name in ["benchmark", "pair", "method", *names] if name != "peak_mb"
    ]
    for name in ("colour", "gray"):
        a, b = (pixels(pair_folder / f"{name}-{side}.png") for side in "AB")
        fused = pixels(out / "folder/laplacian" / f"{name}-fused.png")
        mask = pixels(out / "folder/laplacian" / f"{name}-map.png")
        assert set(np.unique(mask)) <= {0, 255}
        assert (mask[:, :36] == 255).mean() > 0.9
        assert (mask[:, 44:] == 0).mean() > 0.9
        assert np.array_equal(fused, np.where((mask if fused.ndim == 2 else mask[..., None]) == 255, a, b))
        shown = pixels(out / "folder/laplacian" / f"{name}-difference.png").astype(float)
        assert np.abs(shown - (127.5 + (fused.astype(float) - a) / 2)).max() <= 1
        assert (out / "folder/laplacian" / f"{name}-panel.png").is_file()
    assert "summary.md" in said.strip().splitlines()[-1]
    assert (out / "images.md").read_text().startswith("Q_MI of each pair:")
    assert "data:image/webp" in (out / "report.html").read_text(encoding="utf-8")


def test_summary_holds_the_means_of_the_rows(run: Run, pair_folder: Path, tmp_path: Path) -> None:
    run("method=laplacian", "benchmark=folder", f"benchmark.root={pair_folder}", "pictures=false")
    rows = scores(tmp_path / "out")
    title, _, header, _, line, *_ = (tmp_path / "out/summary.md").read_text().splitlines()
    assert title == "Means over the pairs:"
    table = dict(zip(header.strip("| ").split(" | "), line.strip("| ").split(" | "), strict=True))
    assert table["pairs"] == "2"
    for name in ("Q_MI", "Q_G", "EN", "VIFF"):
        assert float(table[name]) == pytest.approx(np.mean([float(row[name]) for row in rows]), abs=5e-5)
    assert not list((tmp_path / "out").rglob("*.png"))


def test_synthetic_pairs_are_scored_against_their_truth(run: Run, photos: Path, tmp_path: Path) -> None:
    arguments = ("photos=folder", f"photos.root={photos}", "method=[laplacian,source_a,ideal]")
    assert run(*arguments)[0] == 0
    rows = {row["method"]: row for row in scores(tmp_path / "out")}
    assert float(rows["ideal"]["map_accuracy"]) == 1
    assert float(rows["ideal"]["PSNR"]) >= float(rows["laplacian"]["PSNR"])
    assert "Agreement with the truth" in (tmp_path / "out/summary.md").read_text()
    assert float(rows["laplacian"]["map_accuracy"]) > float(rows["source_a"]["map_accuracy"])
    assert float(rows["laplacian"]["PSNR"]) > float(rows["source_a"]["PSNR"])


def test_16_bit_pairs_stay_16_bit(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "deep"
    rng = np.random.default_rng(0)
    arrays = rng.integers(0, 65536, (2, 48, 48, 3), dtype=np.uint16)
    for side, array in zip("AB", arrays, strict=True):
        write_image(folder / f"s-{side}.png", array)
    assert run("method=laplacian", "benchmark=folder", f"benchmark.root={folder}")[0] == 0
    from mfif.images import read_image

    fused = read_image(tmp_path / "out/folder/laplacian/s-fused.png")
    mask = pixels(tmp_path / "out/folder/laplacian/s-map.png")[..., None] == 255
    assert fused.dtype == np.uint16
    assert np.array_equal(fused, np.where(mask, *arrays))


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """A checkpoint of a small network."""
    torch.manual_seed(0)
    path = tmp_path / "net.ckpt"
    state = {f"network.{key}": value for key, value in TwoStream(width=4).state_dict().items()}
    node = {"network": {"_target_": "mfif.models.TwoStream", "width": 4}}
    torch.save({"state_dict": state, "hyper_parameters": {"configuration": node}}, path)
    return path


def test_a_checkpoint_and_refinement(run: Run, network: Path, pair_folder: Path, tmp_path: Path) -> None:
    arguments = (f"checkpoint={network}", "benchmark=folder", f"benchmark.root={pair_folder}")
    assert run(*arguments, "refine=small_regions", "refine.share=0.4")[0] == 0
    mask = pixels(tmp_path / "out/folder/checkpoint/gray-map.png")
    assert len(np.unique(mask)) == 1 or min((mask == 0).mean(), (mask == 255).mean()) >= 0.4


def test_soft_maps(run: Run, network: Path, pair_folder: Path, tmp_path: Path) -> None:
    arguments = (f"checkpoint={network}", "benchmark=folder", f"benchmark.root={pair_folder}")
    for words, levels in (((), 2), (("threshold=null",), 3), (("refine=guided_filter", "refine.eps=1e-3"), 3)):
        assert run(*arguments, *words)[0] == 0
        found = len(np.unique(pixels(tmp_path / "out/folder/checkpoint/gray-map.png")))
        assert found <= 2 if levels == 2 else found > 2
    status, _, error = run(*arguments, "threshold=null", "refine=small_regions")
    assert status == 1
    assert "Expected a threshold with a refinement" in error


@pytest.mark.parametrize(
    ("arguments", "methods"),
    [
        (["method=[laplacian,checkpoint,mean]", "checkpoint={one:FILE,two:FILE}"], ["laplacian", "one", "two", "mean"]),
        (["method=[laplacian,mean]", "checkpoint={one:FILE}"], ["laplacian", "mean", "one"]),
        (["method=[laplacian,mean]", "checkpoint=FILE"], ["laplacian", "mean", "checkpoint"]),
        (["checkpoint={one:FILE,two:FILE}"], ["one", "two"]),
        (["method=[paper,mean,cnn]", "checkpoint={one:FILE,cnn:FILE,paper:FILE}"], ["paper", "mean", "cnn", "one"]),
    ],
)
def test_checkpoints_become_methods(
    run: Run, network: Path, pair_folder: Path, tmp_path: Path, arguments: list[str], methods: list[str]
) -> None:
    arguments = [word.replace("FILE", str(network)) for word in arguments]
    metrics = ("metrics={EN:{_target_:mfif.metrics.EN}}", "pictures=false")
    assert run(*arguments, "benchmark=folder", f"benchmark.root={pair_folder}", *metrics)[0] == 0
    assert [row["method"] for row in scores(tmp_path / "out")] == methods * 2


def test_the_second_time_everything_is_there_already(run: Run, pair_folder: Path, tmp_path: Path) -> None:
    arguments = ("benchmark=folder", f"benchmark.root={pair_folder}", "pictures=false")
    assert run("method=laplacian", *arguments)[0] == 0
    first = scores(tmp_path / "out")
    kept = sorted((tmp_path / "cache").rglob("*.*"))
    assert run("method=[laplacian,mean]", *arguments)[0] == 0
    again = [row for row in scores(tmp_path / "out") if row["method"] == "laplacian"]
    assert again == first  # to the second it took
    assert len(sorted((tmp_path / "cache").rglob("*.*"))) == 2 * len(kept)
    assert run("method=laplacian", *arguments, "cache=null")[0] == 0
    assert scores(tmp_path / "out") != first


def test_the_paper_stands_beside_ours(run: Run, pair_folder: Path, tmp_path: Path) -> None:
    """Table 1 as configured, on a pair made here in the place of GOLF."""
    folder = tmp_path / "lytro"
    for name, scene in (("colour", "lytro-01"), ("gray", "lytro-02")):
        for side in "AB":
            folder.mkdir(exist_ok=True)
            shutil.copy(pair_folder / f"{name}-{side}.png", folder / f"{scene}-{side}.png")
    status, said, _ = run("table=table1", "method=[laplacian,source_a]", f"benchmark.root={folder}")
    assert status == 0
    assert {row["pair"] for row in scores(tmp_path / "out")} == {"lytro-01"}
    summary = (tmp_path / "out/summary.md").read_text()
    assert "| gf |  | 1.050 |  |  | 0.720 |" in summary
    assert "Beside the published rows" in said


BAD = {
    "partner": ("s-B.png", None, "two images of the scene 's'"),
    "sizes": ("s-B.png", Image.new("L", (50, 64)), "50x64"),
    "truncated": ("s-B.png", b"cut", "s-B.png is damaged"),
    "text": ("s-B.png", b"hello", "s-B.png is no PNG, JPEG"),
    "transparent": ("s-B.png", Image.new("LA", (64, 64)), "transparent"),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("on_error", ["stop", "skip"])
def test_a_bad_pair_among_good_ones(run: Run, pair_folder: Path, tmp_path: Path, kind: str, on_error: str) -> None:
    name, content, part = BAD[kind]
    folder = tmp_path / "mixed"
    shutil.copytree(pair_folder, folder)
    for side in "AB":
        shutil.copy(folder / f"gray-{side}.png", folder / f"zz-{side}.png")
    shutil.copy(folder / "gray-A.png", folder / "s-A.png")
    if isinstance(content, Image.Image):
        content.save(folder / name)
    elif content == b"cut":
        (folder / name).write_bytes((folder / "gray-B.png").read_bytes()[:600])
    elif content is not None:
        (folder / name).write_bytes(content)
    status, said, error = run(
        "method=laplacian", "benchmark=folder", f"benchmark.root={folder}", f"on_error={on_error}"
    )
    out = tmp_path / "out"
    done = [row["pair"] for row in scores(out)]
    assert "Traceback" not in error
    if on_error == "stop":
        assert status == 1
        assert re.search(f"error: .*{part}", error)
        assert done == ["colour", "gray"]
    else:
        assert status == 0
        assert part in said
        assert part in (out / "summary.md").read_text()
        assert done == ["colour", "gray", "zz"]
    assert all((out / f"folder/laplacian/{pair}-fused.png").is_file() for pair in done)


def test_orientation_and_palette_are_resolved(run: Run, tmp_path: Path, pair_folder: Path) -> None:
    folder = tmp_path / "turned"
    folder.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = Image.open(pair_folder / "gray-A.png")
    upright.rotate(90, expand=True).save(folder / "t-A.png", exif=exif)
    Image.open(pair_folder / "gray-B.png").save(folder / "t-B.png")
    for side in "AB":
        Image.open(pair_folder / f"colour-{side}.png").quantize(32).save(folder / f"p-{side}.png")
    assert run("method=source_a", "benchmark=folder", f"benchmark.root={folder}")[0] == 0
    assert np.array_equal(pixels(tmp_path / "out/folder/source_a/t-fused.png"), np.array(upright))
    expected = np.array(Image.open(folder / "p-A.png").convert("RGB"))
    assert np.array_equal(pixels(tmp_path / "out/folder/source_a/p-fused.png"), expected)


def test_a_score_that_is_undefined_is_named(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    for side, level in (("A", 3), ("B", 200)):
        Image.new("L", (1, 1), level).save(folder / f"one-{side}.png")
    status, said, _ = run("method=mean", "benchmark=folder", f"benchmark.root={folder}")
    assert status == 0
    assert "VIFF is undefined for one" in said
    assert "VIFF is undefined for one" in (tmp_path / "out/summary.md").read_text()
    assert pixels(tmp_path / "out/folder/mean/one-fused.png").tolist() == [[102]]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["benchmark=folder"], "benchmark.root"),
        (["benchmark=folder", "benchmark.root=nowhere"], "nowhere"),
        (["benchmark=lytro"], "make data"),
        (["table=selection", "benchmark=[synthetic]"], "leave it out by ~benchmark.synthetic_disc"),
        (["method=checkpoint"], "checkpoint=FILE"),
        (["method=cnn"], "checkpoint={cnn:FILE}"),
        (["method=cnn", "checkpoint={paper:nowhere.ckpt}"], "checkpoint={cnn:FILE}"),
        (["method=checkpoint", "checkpoint=nowhere.ckpt"], "nowhere.ckpt"),
        (["method=laplacain"], "Did you mean `laplacian`?"),
        (["benchmark=folder", "benchmark.rot=x"], "Did you mean `root`?"),
        (["device=cuda:99"], "cuda:99"),
        (["on_error=maybe"], "on_error"),
        (["method=laplacian", "self_ensemble=3"], "Expected `self_ensemble` to be 1, 2, 4 or 8, got 3"),
        (["method=laplacian", "scales=0"], "Expected `scales` to be positive, or none for as many"),
        (["method=laplacian", "precision=bf61"], "Expected `precision` to be 32 or bf16, got 'bf61'"),
        (["refine=small_regions", "refine.shar=0.1"], "Did you mean `share`?"),
        (["tile=0"], "tile"),
        (["workers=0"], "workers"),
        (["published=table3"], "Did you mean `table"),
        (["benchmark=golf"], "make data"),
        (["checkpoint={laplacian:nowhere.ckpt}"], "laplacian"),
        (["checkpoint={one:nowhere.ckpt}"], "nowhere.ckpt"),
    ],
)
def test_mistakes_are_one_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str], part: str
) -> None:
    monkeypatch.chdir(tmp_path)
    method = [] if any(word.startswith("method") for word in arguments) else ["method=laplacian"]
    status, _, error = run(*method, *arguments)
    assert status == 1
    assert part in error
    assert "Traceback" not in error


def test_the_first_source_untouched_scores_its_known_q_mi_on_lytro(run: Run, shared: Path, tmp_path: Path) -> None:
    arguments = ("method=source_a", "benchmark=lytro", f"benchmark.root={shared}/data", "pictures=false")
    assert run(*arguments)[0] == 0
    rows = scores(tmp_path / "out")
    assert len(rows) == 20
    assert np.mean([float(row["Q_MI"]) for row in rows]) == pytest.approx(1.31, abs=0.005)


def test_both_real_sets_at_once(run: Run, shared: Path, tmp_path: Path) -> None:
    arguments = ("method=laplacian", "benchmark=[lytro,grayscale]", f"benchmark.root={shared}/data", "pictures=false")
    assert run(*arguments, "metrics={EN:{_target_:mfif.metrics.EN}}")[0] == 0
    rows = scores(tmp_path / "out")
    assert [sum(row["benchmark"] == name for row in rows) for name in ("lytro", "grayscale")] == [20, 19]


def test_a_disk_that_fills_up_keeps_what_was_finished(run: Run, pair_folder: Path, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    (pair_folder / "gray-A.png").rename(pair_folder / "a-A.png")
    (pair_folder / "gray-B.png").rename(pair_folder / "a-B.png")
    # The limit on file sizes fails a write in the middle, as a full disk does: the colour panel is too large.
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (25 * 1024, most))
    try:
        status, _, error = run("method=laplacian", "benchmark=folder", f"benchmark.root={pair_folder}", "cache=null")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))
    assert status == 1
    assert "error: No room left on the disk" in error
    assert "Traceback" not in error
    assert [row["pair"] for row in scores(tmp_path / "out")] == ["a"]
    assert (tmp_path / "out/folder/laplacian/a-fused.png").is_file()
    assert not list((tmp_path / "out").rglob(".*.png"))
