"""The debug configurations do what they are for."""

import csv
from pathlib import Path

import hydra
import pytest
import torch
from omegaconf import DictConfig

from mfif.config import CONFIG_DIR, register_schemas
from mfif.models import TwoStream


@pytest.fixture
def run(root: Path, photos: Path, tmp_path: Path):  # type: ignore[no-untyped-def]
    """Trains with a debug configuration and overrides; returns the folder of the run."""
    import train

    def debug(option: str, *overrides: str) -> Path:
        register_schemas()
        tiny = ["photos=folder", f"photos.root={photos}", "network.width=4", "data.crops=16", "data.batch_size=4"]
        words = [f"debug={option}", *tiny, "data.val_pairs=8", "logger=csv", "trainer.accelerator=cpu", *overrides]
        with hydra.initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
            config: DictConfig = hydra.compose("train", ["experiment=quick", *words, f"output={tmp_path}"])
        train.main(config)
        return tmp_path

    return debug


def test_fast_takes_one_batch_of_each_and_leaves_no_checkpoint(run, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    folder = run("fast")
    assert "Trained 1 iterations" in capsys.readouterr().out
    assert not (folder / "checkpoints").exists()
    assert not (folder / "csv").exists()


def test_overfit_drives_the_loss_of_one_batch_down(run) -> None:  # type: ignore[no-untyped-def]
    folder = run("overfit", "network.width=8", "optimizer.lr=5e-3", "data.synthesizer.noise=0")
    with (folder / "csv/version_0/metrics.csv").open() as file:
        losses = [float(row["train/loss"]) for row in csv.DictReader(file) if row["train/loss"]]
    assert losses[-1] < losses[0] / 5


def test_profile_leaves_its_table(run) -> None:  # type: ignore[no-untyped-def]
    folder = run("profile", "trainer.max_steps=6", "trainer.val_check_interval=3", "scheduler=constant")
    table = (folder / "fit-profile.txt").read_text()
    assert "aten::conv2d" in table
    assert "optimizer_step" in table or "Optimizer.step" in table
    assert list(folder.glob("*.pt.trace.json"))


def test_anomaly_stops_where_the_gradient_is_no_number(run, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    whole = TwoStream.forward
    # The gradient of a root is infinite at zero, and zero times infinity is not a number.
    monkeypatch.setattr(TwoStream, "forward", lambda self, a, b: whole(self, a, b) + (whole(self, a, b) * 0).sqrt())
    with pytest.raises(RuntimeError, match="returned nan values"):
        run("anomaly")
    assert torch.is_anomaly_enabled() is False
