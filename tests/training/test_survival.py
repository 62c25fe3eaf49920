"""Kills, full disks and losses that are no numbers, each brought about on purpose."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mfif.errors import InputError
from mfif.losses import FusionLoss
from mfif.models import TwoStream
from mfif.module import FusionModule
from mfif.pair import FocusPair
from mfif.training.survival import FiniteLoss, LastCheckpoint, WholeCheckpoints

WRITE_AND_DIE = """
import os, signal, sys
from pathlib import Path
from mfif.training.survival import WholeCheckpoints
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
WholeCheckpoints().save_checkpoint({"state_dict": {}, "global_step": 2}, Path(sys.argv[1]))
"""


def iteration(path: Path) -> int:
    step: int = torch.load(path, weights_only=True)["global_step"]
    return step


def save(path: Path, step: int) -> None:
    WholeCheckpoints().save_checkpoint({"state_dict": {}, "global_step": step}, path)


def test_the_checkpoint_before_the_last_is_kept(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        save(tmp_path / "last.ckpt", step)
        save(tmp_path / "best.ckpt", step)
    assert sorted(os.listdir(tmp_path)) == ["best.ckpt", "last.ckpt", "previous.ckpt"]
    assert [iteration(tmp_path / f"{name}.ckpt") for name in ("previous", "last", "best")] == [2, 3, 3]


def test_without_hard_links_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    for step in (1, 2, 3):
        save(tmp_path / "last.ckpt", step)
    assert [iteration(tmp_path / f"{name}.ckpt") for name in ("previous", "last")] == [2, 3]


def test_a_kill_while_writing_leaves_the_old_checkpoint(root: Path, tmp_path: Path) -> None:
    save(tmp_path / "last.ckpt", 1)
    process = subprocess.Popen([sys.executable, "-c", WRITE_AND_DIE, str(tmp_path / "last.ckpt")], cwd=root)
    assert process.wait(120) == -signal.SIGKILL
    assert iteration(tmp_path / "last.ckpt") == 1
    assert sorted(os.listdir(tmp_path)) == [f".last.{process.pid}.ckpt", "last.ckpt"]
    save(tmp_path / "last.ckpt", 3)
    assert sorted(os.listdir(tmp_path)) == ["last.ckpt", "previous.ckpt"]  # and the half one is swept up


def test_a_full_disk_leaves_the_old_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for step in (1, 2):
        save(tmp_path / "last.ckpt", step)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"No room left on the disk for .*last\.ckpt"):
        save(tmp_path / "last.ckpt", 3)
    assert sorted(os.listdir(tmp_path)) == ["last.ckpt", "previous.ckpt"]
    assert [iteration(tmp_path / f"{name}.ckpt") for name in ("previous", "last")] == [1, 2]


class Breaking(nn.Module):
    """A loss that is no number in one iteration."""

    def __init__(self, at: int, value: float) -> None:
        super().__init__()
        self.loss, self.at, self.value, self.iteration = FusionLoss(), at, value, 0

    def forward(self, fused: Tensor, alpha: Tensor, pair: FocusPair) -> Tensor:
        self.iteration += self.training
        loss: Tensor = self.loss(fused, alpha, pair)
        return loss * self.value if self.training and self.iteration == self.at else loss


class Signal(Callback):
    """Sends SIGTERM to this process when an iteration begins."""

    def __init__(self, at: int) -> None:
        self.at = at

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step + 1 == self.at:
            os.kill(os.getpid(), signal.SIGTERM)


def batches(count: int) -> list[FocusPair]:
    """Different random pairs."""
    generator = torch.Generator().manual_seed(0)
    return [FocusPair(*(torch.rand(2, 1, 16, 16, generator=generator) for _ in range(4))) for _ in range(count)]


def fit(folder: Path, loader: list[FocusPair], loss: nn.Module, *callbacks: Callback, **arguments: Any) -> Trainer:
    module = FusionModule(TwoStream(width=4), loss, partial(torch.optim.SGD, lr=1e-2))
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[FiniteLoss(str(folder)), *callbacks, LastCheckpoint(str(folder / "checkpoints"))],
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        **{"max_steps": len(loader), "val_check_interval": 2, **arguments},
    )
    trainer.strategy.checkpoint_io = WholeCheckpoints()
    trainer.fit(module, DataLoader(loader, batch_size=None), DataLoader(loader[:1], batch_size=None))
    return trainer


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_at_once_and_keeps_its_batch(tmp_path: Path, value: float) -> None:
    loader = batches(6)
    with pytest.raises(InputError, match=rf"The loss is {value} at iteration 5\.") as raised:
        fit(tmp_path, loader, Breaking(at=5, value=value))
    path = tmp_path / "nonfinite-000005.pt"
    content = torch.load(path, weights_only=True)
    assert f'torch.load("{path}", weights_only=True)' in str(raised.value)
    assert content["iteration"] == 5
    assert not content["loss"].isfinite()
    assert all(torch.equal(content[name], part) for name, part in loader[4].tensors().items())
    assert iteration(tmp_path / "checkpoints" / "last.ckpt") == 4


class OnOtherAccelerator(torch.Tensor):
    """A tensor of the CPU that says it were elsewhere."""

    device = torch.device("mps")  # type: ignore[assignment]

    def cpu(self, *_: Any, **__: Any) -> torch.Tensor:
        return self.as_subclass(torch.Tensor)


def test_other_accelerators_are_waited_for_once_in_nine_iterations(tmp_path: Path) -> None:
    callback, loader = FiniteLoss(str(tmp_path)), batches(9)
    losses = torch.ones(9).index_fill_(0, torch.tensor([4, 6]), float("nan")).as_subclass(OnOtherAccelerator)

    def end(iteration: int) -> None:
        trainer: Any = SimpleNamespace(global_step=iteration + 1, global_rank=0, world_size=1)
        callback.on_train_batch_end(trainer, None, {"loss": losses[iteration]}, loader[iteration], iteration)  # type: ignore[arg-type]

    for number in range(8):
        end(number)
    with pytest.raises(InputError, match="The loss is nan at iteration 5"):
        end(8)
    content = torch.load(tmp_path / "nonfinite-000005.pt", weights_only=True)
    assert torch.equal(content["a"], loader[4].a)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_no_checkpoint_is_written_after_a_loss_that_is_no_number(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at iteration 4"):
        fit(tmp_path, batches(6), Breaking(at=4, value=float("nan")))
    content = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert content["global_step"] == 2
    assert all(weight.isfinite().all() for weight in content["state_dict"].values())


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_last_iteration_is_saved_wherever_it_falls(tmp_path: Path) -> None:
    fit(tmp_path, batches(5), FusionLoss())
    assert iteration(tmp_path / "checkpoints" / "last.ckpt") == 5
    assert iteration(tmp_path / "checkpoints" / "previous.ckpt") == 4


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_without_validation_it_is_saved_all_the_same(tmp_path: Path) -> None:
    fit(tmp_path, batches(5), FusionLoss(), limit_val_batches=0)
    assert iteration(tmp_path / "checkpoints" / "last.ckpt") == 5
    assert iteration(tmp_path / "checkpoints" / "previous.ckpt") == 4


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("at", [3, 4])
def test_sigterm_saves_the_iteration_reached(tmp_path: Path, capsys: pytest.CaptureFixture[str], at: int) -> None:
    before = signal.getsignal(signal.SIGTERM)
    validated: list[int] = []

    class Validated(Callback):
        def on_validation_end(self, trainer: Trainer, *_: Any) -> None:
            validated.append(trainer.global_step)

    with pytest.raises(SystemExit) as ended:
        fit(tmp_path, batches(6), FusionLoss(), Signal(at), Validated())
    assert ended.value.code == 143
    assert iteration(tmp_path / "checkpoints" / "last.ckpt") == at
    assert validated == [2, 4][: at // 2]  # the validation that was due is not left out
    line = capsys.readouterr().out.strip()
    assert line == f"SIGTERM: stopped and saved at iteration {at}. Go on with resume={tmp_path}."
    assert signal.getsignal(signal.SIGTERM) == before
