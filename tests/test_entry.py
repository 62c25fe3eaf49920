"""Mistakes of a user: found before anything starts, and answered in one sentence."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from lightning.fabric.utilities.exceptions import MisconfigurationException

from mfif.entry import run_entry_point

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run an entry point with arguments, in this process; exit status and what it wrote to stderr."""
    import evaluate
    import train

    mains = {"train": train.main, "evaluate": evaluate.main}

    def run(entry: str, *arguments: str) -> tuple[int, str]:
        GlobalHydra.instance().clear()
        monkeypatch.setattr("sys.argv", [f"{entry}.py", f"hydra.run.dir={tmp_path}/run", *arguments])
        monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
        status = run_entry_point(mains[entry], entry)
        return status, capsys.readouterr().err

    return run


@pytest.mark.parametrize(
    ("argument", "meant"),
    [
        ("network.widht=8", "width"),
        ("+network.widht=8", "width"),
        ("data.cropss=8", "crops"),
        ("data.synthesizer.noize=0.1", "noise"),
        ("trainer.max_step=8", "max_steps"),
        ("+trainer.presicion=16", "precision"),
        ("sed=3", "seed"),
        ("+sed=3", "seed"),
        ("optimizer.lrr=1", "lr"),
        ("callbacks.best.filenam=x", "filename"),
        ("experiment=papr", "paper"),
        ("kernel=gausian", "gaussian"),
        ("ntwork=two_stream", "network"),
    ],
)
def test_misspelt_key_is_named_with_a_suggestion(run: Run, argument: str, meant: str) -> None:
    status, said = run("train", argument)
    assert status == 1
    assert f"Did you mean `{meant}`?" in said
    assert "Traceback" not in said


def test_misspelt_key_in_a_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("# @package _global_\nnetwork: {widht: 8}\n")
    status, said = run("train", "experiment=mine", f"hydra.searchpath=[{tmp_path}]")
    assert status == 1
    assert "`network.widht`" in said
    assert "Did you mean `width`?" in said


@pytest.mark.parametrize(
    ("argument", "part"),
    [
        ("network.width=abc", "`network.width` to be int, got 'abc'"),
        ("network.width=7", "even"),
        ("network.squash=tanh", "`network.squash` to be"),
        ("network.shared_streams=3", "`network.shared_streams` to be bool"),
        ("data.crop=0", "`crop` to be positive"),
        ("kernel.sizes=[4]", "odd"),
        ("photos=folder", "photos.root"),
        ("+photos.rooot=x", "rooot"),
        ("seed=abc", "seed"),
        ("resume=nowhere", "nowhere"),
        ("logger=null", "~GROUP"),
        ("trainer.accumulate_grad_batches=2", "+trainer.accumulate_grad_batches=VALUE"),
        ("+averaging.decay=0.9", "no values for averaging=none, got decay"),
        ("+callbacks.swa={_target_:lightning.pytorch.callbacks.StochasticWeightAveraging,swa_lrs:0}", "`swa_lrs`"),
        ("network._target_=mfif.models.Nothing", "mfif.models.Nothing"),
    ],
)
def test_wrong_value_is_one_sentence(run: Run, argument: str, part: str) -> None:
    status, said = run("train", argument)
    assert status == 1
    assert part in said
    assert "Traceback" not in said
    assert said.strip().splitlines()[-1].startswith("error: ")


def test_a_bug_keeps_its_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mfif.training.runs.quiet_logs", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run("train")


def test_what_lightning_finds_misconfigured_in_training_is_one_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise MisconfigurationException("SWA wants an integer.")

    monkeypatch.setattr("mfif.training.runs.quiet_logs", refuse)
    status, said = run("train")
    assert status == 1
    assert said.strip().splitlines()[-1] == "error: SWA wants an integer."


def test_full_error_shows_where(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import train

    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.setattr("sys.argv", ["train.py", "network.width=7", "hydra.run.dir=/tmp/unused"])
    with pytest.raises(Exception, match="even"):
        run_entry_point(train.main, "train")


def test_interruption_is_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    assert run_entry_point(interrupt, "train") == 130
