"""What happens beside training: progress, pictures, curves, and the W&B logger that never asks."""

import csv
import netrc
import os
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, RichProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from mfif.images import write_image
from mfif.pair import FocusPair, binarize, blend
from mfif.viz import difference, draw_curves, panel


class ProgressBar(RichProgressBar):
    """One bar over all iterations on a terminal; a line at every validation where the output is a file."""

    @property
    def total_train_batches(self) -> int | float:
        """Length of the bar: iterations, not the batches of an epoch."""
        return self.trainer.max_steps if self.trainer.max_steps > 0 else super().total_train_batches

    def _get_train_description(self, current_epoch: int) -> str:
        return "Training  "

    def get_metrics(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """What the bar shows beside the time: the losses."""
        return {name: value for name, value in super().get_metrics(trainer, pl_module).items() if name != "v_num"}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the bar to the iteration."""
        super().on_train_batch_end(trainer, pl_module, outputs, batch, trainer.global_step - 1)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the scores where no bar can be drawn."""
        super().on_validation_end(trainer, pl_module)
        if self._console is not None and not self._console.is_terminal and trainer.is_global_zero:
            scores = {name: float(value) for name, value in trainer.callback_metrics.items()}
            words = "  ".join(f"{name} {value:.4g}" for name, value in sorted(scores.items()))
            self._console.print(f"iteration {trainer.global_step}/{trainer.max_steps}  {words}", soft_wrap=True)


class ValidationPictures(Callback):
    """Shows the first validation pairs: a, b, true map, estimated map, fused image, difference to the sharp photo.

    Written as ``step-NNNNNN.png`` at every validation, and sent to TensorBoard and W&B where they log.

    Args:
        directory: Where the pictures go.
        pairs: How many of the first batch.
    """

    def __init__(self, directory: str, pairs: int = 4) -> None:
        self.directory = Path(directory)
        self.pairs = pairs

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: FocusPair,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Draw after the first batch."""
        if batch_idx == 0 and trainer.is_global_zero and not trainer.sanity_checking:
            self._draw(trainer, pl_module, FocusPair(*(part[: self.pairs] for part in batch)))

    @torch.no_grad()
    def _draw(self, trainer: Trainer, module: LightningModule, pair: FocusPair) -> None:
        alpha: Tensor = module(pair.a, pair.b)
        fused = blend(pair.a, pair.b, binarize(alpha))
        columns = (pair.a, pair.b, pair.alpha, alpha, fused, difference(fused, pair.sharp))
        picture = panel(list(zip(*columns, strict=True)), scale=max(1, 128 // pair.a.shape[-1]))
        write_image(self.directory / f"step-{trainer.global_step:06d}.png", picture)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("val/pairs", picture, trainer.global_step, dataformats="HWC")
            elif isinstance(logger, WandbLogger):
                logger.log_image("val/pairs", [picture], step=trainer.global_step)


class TrainingCurves(Callback):
    """Draws the logged values over the iterations when training ends, from the CSV logs of all its parts.

    Args:
        path: Where the picture goes.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Read the logs and draw."""
        loggers = [logger for logger in trainer.loggers if isinstance(logger, CSVLogger)]
        if not trainer.is_global_zero or not loggers:
            return
        loggers[0].save()
        curves = read_curves(Path(loggers[0].root_dir))
        if curves:
            draw_curves(curves, self.path)


def read_curves(folder: Path) -> dict[str, tuple[list[float], list[float]]]:
    """Steps and values of each quantity in the ``metrics.csv`` files below a folder; later files win a step."""
    points: dict[str, dict[float, float]] = {}
    for log in sorted(folder.glob("*/metrics.csv"), key=lambda path: path.stat().st_mtime):
        with log.open(newline="") as file:
            for row in csv.DictReader(file):
                for name, value in row.items():
                    if value and name not in ("step", "epoch"):
                        points.setdefault(name, {})[float(row["step"])] = float(value)
    return {name: tuple(map(list, zip(*sorted(values.items()), strict=True))) for name, values in points.items()}  # type: ignore[misc]


@rank_zero_only
def _say(message: str) -> None:
    print(message)  # noqa: T201


def wandb_logger(**arguments: Any) -> WandbLogger:
    """A W&B logger that works without an account: it records offline instead of asking.

    Args:
        **arguments: Those of Lightning's `WandbLogger`.

    Returns:
        The logger; online only with an API key in the environment or in netrc, or as WANDB_MODE says.
    """
    if "WANDB_MODE" not in os.environ and not _has_wandb_key():
        os.environ["WANDB_MODE"] = "offline"
        _say("W&B: no API key found, recording offline. Upload later with `wandb sync`.")
    save_dir = Path(arguments.pop("save_dir", ".")).absolute()
    save_dir.mkdir(parents=True, exist_ok=True)
    return WandbLogger(save_dir=save_dir, **arguments)


def _has_wandb_key() -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        return netrc.netrc().authenticators("api.wandb.ai") is not None
    except (OSError, netrc.NetrcParseError):
        return False
