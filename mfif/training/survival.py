"""What a run survives: signals, a full disk, a loss that is no number."""

import io
import os
import signal
import sys
import threading
from collections import deque
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import torch
from lightning import LightningModule, Trainer
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback, Checkpoint
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from mfif.errors import InputError
from mfif.files import replacing
from mfif.pair import FocusPair

SIGTERM_STATUS = 128 + signal.SIGTERM
"""Exit status of a run that SIGTERM stopped, as a shell would report it."""


class WholeCheckpoints(TorchCheckpointIO):
    """Writes checkpoints whole or not at all, and keeps the one before ``last.ckpt`` as ``previous.ckpt``.

    Lightning's own writer makes its temporary file in the system's folder for them, so that the final move copies, and
    may be cut off, wherever that is another disk.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write beside `path`, wait for the disk, and rename.

        Raises:
            InputError: The disk is full; what was there before is as it was.
        """
        path = Path(path)
        # One process writes to a run's folder, so temporaries are of processes that were killed.
        for stale in path.parent.glob(f".{path.stem}.*{path.suffix}"):
            stale.unlink()
        content = io.BytesIO()
        torch.save(checkpoint, content)
        with replacing(path) as temporary:
            with temporary.open("wb") as file:
                file.write(content.getbuffer())
                file.flush()
                os.fsync(file.fileno())
            if path.name == "last.ckpt" and path.is_file():
                _keep(path, path.with_name("previous.ckpt"))


def _keep(path: Path, name: Path) -> None:
    """Let the file at `path` have another name too, before it is replaced."""
    name.unlink(missing_ok=True)
    try:
        name.hardlink_to(path)
    except OSError:  # a file system without hard links; `path` is away until the new file takes its place
        path.replace(name)


class LastCheckpoint(Checkpoint):
    """Saves ``last.ckpt``: after every validation, with the last iteration, and where SIGTERM stops the training.

    A checkpoint is never taken between an iteration and the validation that is due after it, which a resumed run would
    leave out. SIGTERM therefore waits for the iteration, or the validation, to end; then the process ends with status
    143. Several ranks agree whether one of them was signalled every ``trainer.log_every_n_steps`` iterations, because
    that makes them wait for each other.

    Args:
        directory: Folder of the run's checkpoints.
    """

    def __init__(self, directory: str) -> None:
        self.path = Path(directory) / "last.ckpt"
        self._signalled = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take SIGTERM over from Lightning, whose handler communicates between ranks at any moment."""
        self._signalled = False
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._on_signal)  # the trainer puts the former handler back at its end

    def _on_signal(self, *_: Any) -> None:
        self._signalled = True

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save where it is time, where training ends and where it is to end, unless a validation comes first."""
        index = batch_idx if trainer.check_val_every_n_epoch else trainer.fit_loop.total_batch_idx
        interval = trainer.val_check_batch
        is_time = interval is not None and (index + 1) % interval == 0
        if is_time and trainer.enable_validation:
            return
        finished = trainer.global_step == trainer.max_steps
        every = max(1, trainer.log_every_n_steps)  # type: ignore[attr-defined]
        signalled = not finished and self._is_signalled(trainer, every)
        if is_time or finished or signalled:
            self._save(trainer)
        if signalled:
            self._end(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save, after `ModelCheckpoint` has seen whether the scores are the best."""
        if trainer.sanity_checking or trainer.state.fn != TrainerFn.FITTING:
            return
        self._save(trainer)
        if trainer.global_step != trainer.max_steps and self._is_signalled(trainer, every=1):
            self._end(trainer)

    def _is_signalled(self, trainer: Trainer, every: int) -> bool:
        if trainer.world_size == 1:
            return self._signalled
        if trainer.global_step % every != 0:
            return False
        return trainer.strategy.reduce_boolean_decision(self._signalled, all=False)

    def _save(self, trainer: Trainer) -> None:
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]
            trainer.save_checkpoint(self.path, weights_only=False)

    def _end(self, trainer: Trainer) -> None:
        if not trainer.is_global_zero:
            sys.exit(0)  # Lightning kills rank zero where another one ends with an error
        run = self.path.parent.parent
        print(f"SIGTERM: stopped and saved at iteration {trainer.global_step}. Go on with resume={run}.", flush=True)  # noqa: T201
        sys.exit(SIGTERM_STATUS)


class _Check(NamedTuple):
    """Whether a loss is finite, and what to keep if it is not."""

    finite: Tensor
    copied: torch.cuda.Event | None
    iteration: int
    loss: Tensor
    batch: FocusPair


class FiniteLoss(Callback):
    """Stops a training whose loss is not finite, and saves the batch.

    On the CPU it stops with the iteration itself. A GPU is never waited for with every iteration: each verdict is
    copied in the background and read once it is there, at most 8 iterations later, and always before a checkpoint is
    written, so that none holds weights that are no numbers. Other accelerators are waited for once in 9 iterations.

    Args:
        directory: Where the batch goes, as ``nonfinite-NNNNNN.pt``.
    """

    _LATEST = 8

    def __init__(self, directory: str) -> None:
        self.directory = Path(directory)
        self._checks: deque[_Check] = deque()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: FocusPair, batch_idx: int
    ) -> None:
        """Note the verdict on this iteration and read those that are there."""
        loss = outputs["loss"].detach()
        finite, copied = loss.isfinite(), None
        if loss.is_cuda:
            finite, copied = finite.to("cpu", non_blocking=True), torch.cuda.Event()  # type: ignore[no-untyped-call]
            copied.record()
        self._checks.append(_Check(finite, copied, trainer.global_step, loss, batch))
        self._read(trainer, waiting=0 if loss.device.type == "cpu" else self._LATEST)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Let no weights into a checkpoint before all verdicts are known."""
        self._read(trainer, waiting=0)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Read the verdicts on the last iterations."""
        self._read(trainer, waiting=0)

    def _read(self, trainer: Trainer, waiting: int) -> None:
        """Read the verdicts that are there, and wait for as many as leaves no more than `waiting`."""
        if len(self._checks) > waiting and self._checks[0].copied is None:
            verdicts = torch.stack([check.finite for check in self._checks]).cpu().tolist()  # one wait for all
            for check, finite in zip(self._checks, verdicts, strict=True):
                if not finite:
                    self._stop(trainer, check)
            self._checks.clear()
        while self._checks and (copied := self._checks[0].copied):
            if len(self._checks) > waiting:
                copied.synchronize()
            elif not copied.query():  # type: ignore[no-untyped-call]
                return
            check = self._checks.popleft()
            if not check.finite:
                self._stop(trainer, check)

    def _stop(self, trainer: Trainer, check: _Check) -> NoReturn:
        self._checks.clear()
        rank = f"-rank-{trainer.global_rank}" if trainer.world_size > 1 else ""
        path = self.directory / f"nonfinite-{check.iteration:06d}{rank}.pt"
        content = {name: part.cpu() for name, part in check.batch.tensors().items()}
        with replacing(path) as temporary:
            torch.save({**content, "loss": check.loss.cpu(), "iteration": check.iteration}, temporary)
        raise InputError(
            f"The loss is {float(check.loss)} at iteration {check.iteration}. Its batch is in {path}: look for values "
            f'outside of [0, 1] in torch.load("{path}", weights_only=True)["a"], and in "b", "alpha" and "sharp". If '
            "they are fine, lower optimizer.lr or set trainer.gradient_clip_val=1."
        )
