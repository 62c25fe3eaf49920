"""What the folders of runs say, as one table."""

import csv
import json
import math
import statistics
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from mfif.errors import InputError
from mfif.training.collect import Run, Sweep, collect, find_runs, main, read_curves, read_run


def write_run(
    folder: Path,
    overrides: list[str],
    scores: list[float],
    *,
    seed: int = 0,
    outcome: dict[str, str] | None = None,
    mode: str = "max",
) -> Path:
    """The folder of a training of 40 iterations that validates every ten."""
    (folder / ".hydra").mkdir(parents=True)
    best = {"monitor": "val/score", "mode": mode}
    config = {"seed": seed, "trainer": {"max_steps": 40}, "callbacks": {"best": best}}
    OmegaConf.save(config, folder / ".hydra" / "config.yaml")
    OmegaConf.save(overrides, folder / ".hydra" / "overrides.yaml")
    (folder / "csv" / "version_0").mkdir(parents=True)
    with (folder / "csv" / "version_0" / "metrics.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", "step", "train/loss", "val/score", "val/other"])
        for index, score in enumerate(scores):
            writer.writerow([0, 10 * index + 5, 0.5, "", ""])
            writer.writerow([0, 10 * index + 9, "", score, 100 + index])
    if outcome is not None:
        (folder / "outcome.json").write_text(json.dumps(outcome))
    return folder


COMPLETED = {"status": "completed"}


def test_a_run_is_read(tmp_path: Path) -> None:
    words = ["+network.depth=3", "loss=l2", "seed=4"]
    run = read_run(write_run(tmp_path / "a", words, [0.1, 0.9, 0.3, 0.4], seed=4, outcome=COMPLETED))
    assert run == Run(
        folder=tmp_path / "a",
        overrides={"network.depth": "3", "loss": "l2", "seed": "4"},
        seed=4,
        status="finished",
        iterations=40,
        monitor="val/score",
        best={"val/score": 0.9, "val/other": 101.0},
        final={"val/score": 0.4, "val/other": 103.0},
    )


@pytest.mark.parametrize(("mode", "best"), [("max", 0.9), ("min", 0.1)])
def test_the_best_follows_the_mode(tmp_path: Path, mode: str, best: float) -> None:
    run = read_run(write_run(tmp_path / "a", [], [0.5, math.nan, 0.1, 0.9], mode=mode))
    assert run.best["val/score"] == best


@pytest.mark.parametrize(
    ("scores", "outcome", "status"),
    [
        ([0.1] * 4, COMPLETED, "finished"),
        ([0.1] * 2, COMPLETED, "ended early"),
        ([0.1] * 2, None, "unfinished"),
        ([], {"status": "failed", "error": "no photo"}, "failed: no photo"),
    ],
)
def test_how_a_run_ended(tmp_path: Path, scores: list[float], outcome: dict[str, str] | None, status: str) -> None:
    run = read_run(write_run(tmp_path / "a", [], scores, outcome=outcome))
    assert run.status == status
    assert run.iterations == 10 * len(scores)


def test_a_resumed_log_is_one_curve(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", [], [0.1, 0.2])
    (run / "csv" / "version_1").mkdir()
    (run / "csv" / "version_1" / "metrics.csv").write_text("step,val/score\n19,0.3\n29,0.4\n")
    assert read_curves(run / "csv")["val/score"] == ([9.0, 19.0, 29.0], [0.1, 0.3, 0.4])


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Two variants with three seeds each, and one that failed."""
    folder = tmp_path / "sweep"
    for number in range(6):
        loss, seed = ("l1", "l2")[number // 3], number % 3
        words = ["experiment=quick", f"loss={loss}", f"seed={seed}"]
        write_run(folder / str(number), words, [0.1 * number + 0.1] * 4, seed=seed, outcome=COMPLETED)
    failed = {"status": "failed", "error": "no | photo"}
    write_run(folder / "10", ["experiment=quick", "loss=mixture"], [], outcome=failed)
    return folder


def test_seeds_are_repetitions(sweep: Path) -> None:
    runs = Sweep([read_run(folder) for folder in find_runs([sweep])])
    assert [(label, [run.seed for run in group]) for label, group in runs.variants()] == [
        ("loss=l1", [0, 1, 2]),
        ("loss=l2", [0, 1, 2]),
        ("loss=mixture", [0]),
    ]
    table = runs.table()
    assert "standard deviation" in table.title
    spread = statistics.stdev([0.1, 0.2, 0.3])
    assert list(table.rows[0])[:4] == ["loss=l1", "3 finished", "40", f"0.2000 ± {spread:.4f}"]
    assert list(table.rows[2]) == ["loss=mixture", "1 failed: no | photo", "0", "", "", ""]


def test_numbers_that_differ_late_are_different_variants(tmp_path: Path) -> None:
    for number, rate in enumerate(("0.00012345678", "0.00012345679")):
        write_run(tmp_path / str(number), [f"optimizer.lr={rate}"], [0.1] * 4)
    variants = Sweep([read_run(folder) for folder in find_runs([tmp_path])]).variants()
    assert [label for label, _ in variants] == ["optimizer.lr=0.0001235"] * 2


def test_collecting_writes_table_and_plot(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    collect([sweep])
    with (sweep / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [Path(row["run"]).name for row in rows] == ["0", "1", "2", "3", "4", "5", "10"]
    assert [row["loss"] for row in rows] == ["l1"] * 3 + ["l2"] * 3 + ["mixture"]
    assert float(rows[5]["best val/score"]) == pytest.approx(0.6)
    assert "| loss=l1 | 3 finished | 40 |" in (sweep / "sweep.md").read_text()
    assert (sweep / "sweep.png").read_bytes().startswith(b"\x89PNG")
    assert "loss=l2" in capsys.readouterr().out


def test_runs_of_several_folders(sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["collect", f"{sweep}/0", f"{sweep}/3", "--output", str(tmp_path / "out")])
    assert main() == 0
    assert "loss=l2 | 1 finished" in (tmp_path / "out" / "sweep.md").read_text()


def test_no_run_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match="found no"):
        find_runs([tmp_path])
    monkeypatch.setattr("sys.argv", ["collect", str(tmp_path)])
    assert main() == 1
    assert capsys.readouterr().err.startswith("error: Expected the folder of a sweep")
