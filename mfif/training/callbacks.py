"""What happens beside training: progress, pictures, tables of scores, curves."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, LearningRateMonitor, ModelSummary, RichProgressBar
from lightning.pytorch.callbacks import ProgressBar as LightningProgressBar
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger
from torch import Tensor, distributed

from mfif.images import write_image
from mfif.metrics import FusionMetrics
from mfif.pair import FocusPair
from mfif.report.viz import difference, draw_curves, panel
from mfif.training.collect import read_curves


def fitting(callbacks: Iterable[Callback], loggers: Sequence[Logger]) -> list[Callback]:
    """The callbacks that work with the loggers there are: the monitor of the learning rate wants one."""
    return [callback for callback in callbacks if loggers or not isinstance(callback, LearningRateMonitor)]


def without_stand_ins(callbacks: Sequence[Callback], words: Collection[str]) -> dict[str, bool]:
    """Words that keep a trainer from a progress bar or a summary of its own, where `callbacks` have none.

    Args:
        callbacks: Those of the trainer.
        words: What the trainer is told already.
    """
    ours = {"enable_progress_bar": LightningProgressBar, "enable_model_summary": ModelSummary}
    found = {word: any(isinstance(callback, kind) for callback in callbacks) for word, kind in ours.items()}
    return {word: False for word, there in found.items() if not there and word not in words}


class ProgressBar(RichProgressBar):
    """One bar over all iterations on a terminal; a line at every validation where the output is a file.

    The losses beside it are read where they are logged, every ``trainer.log_every_n_steps`` iterations: reading one
    waits for the GPU.

    Args:
        refresh_rate: How often the bar is drawn, per second.
    """

    def __init__(self, refresh_rate: int = 10) -> None:
        super().__init__(refresh_rate=refresh_rate)
        self._losses: dict[str, int | str | float | dict[str, float]] = {}

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
        every = max(1, trainer.log_every_n_steps)  # type: ignore[attr-defined]
        if not trainer.training or trainer.global_step % every == 0:
            known = trainer.callback_metrics
            self._losses = {name: float(known[name]) for name in ("train/loss", "val/loss") if name in known}
        return self._losses

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


def _is_due(trainer: Trainer, every_n_steps: int) -> bool:
    """Whether a validation is one of those shown: at a multiple of so many iterations, and at the end."""
    step = trainer.global_step
    return not trainer.sanity_checking and (step % every_n_steps == 0 or step == trainer.max_steps)


class ValidationPictures(Callback):
    """Shows the first validation pairs: a, b, true map, estimated map, fused image, difference to the sharp photo.

    Written as ``step-NNNNNN.png``, and sent to TensorBoard and W&B where they log.

    Args:
        directory: Where the pictures go.
        pairs: How many of the first batch.
        every_n_steps: They are shown when validation falls on a multiple of so many iterations, and at the end.
    """

    def __init__(self, directory: str, pairs: int = 4, every_n_steps: int = 1) -> None:
        self.directory = Path(directory)
        self.pairs = pairs
        self.every_n_steps = every_n_steps

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
        if batch_idx == 0 and trainer.is_global_zero and _is_due(trainer, self.every_n_steps):
            shown = {"source_a": "a", "source_b": "b", "alpha_true": "true map", "estimate": "map", "fused": "fused"}
            columns = {title: outputs[name] for name, title in shown.items() if name in outputs}
            columns["fused - sharp"] = difference(outputs["fused"], outputs["sharp"])
            rows = list(zip(*(column[: self.pairs] for column in columns.values()), strict=True))
            self._show(trainer, rows, ", ".join(columns))

    def _show(self, trainer: Trainer, rows: list[tuple[Tensor, ...]], titles: str) -> None:
        scale = max(1, 128 // rows[0][0].shape[-1])
        sheet = panel(rows, scale=scale)
        write_image(self.directory / f"step-{trainer.global_step:06d}.png", sheet)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("val/pairs", sheet, trainer.global_step, dataformats="HWC")
            elif isinstance(logger, WandbLogger):
                panels = [panel([row], scale=scale) for row in rows]
                captions = [f"pair {index}: {titles}" for index in range(len(rows))]
                logger.log_image("val/pairs", panels, step=trainer.global_step, caption=captions)


class ScoreTable(Callback):
    """Sends a table to W&B, if it is among the loggers: the scores of every validation pair, one row each.

    Args:
        every_n_steps: It is sent when validation falls on a multiple of so many iterations, and at the end.
    """

    def __init__(self, every_n_steps: int = 1) -> None:
        self.every_n_steps = every_n_steps
        self._scores: dict[tuple[int, int], dict[str, list[float]]] = {}  # by batch of a rank, and rank

    def _is_wanted(self, trainer: Trainer) -> bool:
        return any(isinstance(logger, WandbLogger) for logger in trainer.loggers) and _is_due(
            trainer, self.every_n_steps
        )

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: FocusPair,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Score the pairs of a batch one by one."""
        if self._is_wanted(trainer) and isinstance(pl_module.metrics, FusionMetrics):
            scores = pl_module.metrics.score(**outputs)
            self._scores[batch_idx, trainer.global_rank] = {name: score.tolist() for name, score in scores.items()}

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Gather the rows of all ranks and send them."""
        if not self._is_wanted(trainer):
            return
        parts = [self._scores]
        if trainer.world_size > 1:
            parts = [{} for _ in range(trainer.world_size)]
            distributed.all_gather_object(parts, self._scores)
        self._scores = {}
        merged = {place: scores for part in parts for place, scores in part.items()}
        batches = [merged[place] for place in sorted(merged)]  # ranks take batches in turn: the order of the pairs
        rows = [row for scores in batches for row in zip(*scores.values(), strict=True)]
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger) and rows:
                data = [[index, *row] for index, row in enumerate(rows)]
                logger.log_table("val/scores", ["pair", *batches[0]], data, step=trainer.global_step)


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
