"""Callbacks beside a real trainer: what they show, and when."""

import csv
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Trainer
from lightning.pytorch.callbacks import Callback, LearningRateMonitor, ModelSummary, RichModelSummary
from lightning.pytorch.loggers import CSVLogger, WandbLogger
from PIL import Image
from torch.utils.data import DataLoader

from mfif.losses import FusionLoss
from mfif.metrics import PSNR, FusionMetrics, MapAccuracy
from mfif.models import TwoStream
from mfif.module import FusionModule
from mfif.pair import FocusPair
from mfif.training.callbacks import (
    ProgressBar,
    ScoreTable,
    TrainingCurves,
    ValidationPictures,
    fitting,
    without_stand_ins,
)


class Recorder(WandbLogger):
    """Stands where W&B would, and keeps what it is sent."""

    experiment = None

    def __init__(self) -> None:
        self.tables: dict[int, tuple[list[str], list[list[Any]]]] = {}
        self.images: dict[int, int] = {}
        super().__init__()

    def log_table(
        self, key: str, columns: Any = None, data: Any = None, dataframe: Any = None, step: Any = None
    ) -> None:
        assert key == "val/scores"
        self.tables[step] = columns, data

    def log_image(self, key: str, images: list[Any], step: Any = None, **kwargs: Any) -> None:
        assert key == "val/pairs"
        assert len(images) == len(kwargs["caption"])
        self.images[step] = len(images)

    def log_metrics(self, *_: Any, **__: Any) -> None: ...

    def log_hyperparams(self, *_: Any, **__: Any) -> None: ...


def batch(size: int, seed: int) -> FocusPair:
    generator = torch.Generator().manual_seed(seed)
    a, b, sharp = (torch.rand(size, 1, 32, 32, generator=generator) for _ in range(3))
    return FocusPair(a, b, (torch.rand(size, 1, 32, 32, generator=generator) > 0.5).float(), sharp)


VALIDATION = [batch(3, 1), batch(3, 2), batch(2, 3)]


def fit(tmp_path: Path, logger: Any, *callbacks: Callback) -> FusionModule:
    """Six iterations, validated after every second one."""
    module = FusionModule(
        network=TwoStream(width=4),
        loss=FusionLoss(),
        optimizer=partial(torch.optim.Adam, lr=1e-3),
        metrics=FusionMetrics({"PSNR": PSNR(), "map_accuracy": MapAccuracy()}),
    )
    trainer = Trainer(
        default_root_dir=tmp_path,
        accelerator="cpu",
        max_steps=6,
        val_check_interval=2,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=1,
        logger=logger,
        callbacks=list(callbacks),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    training, validation = (DataLoader(pairs, batch_size=None) for pairs in ([batch(2, 0)] * 4, VALIDATION))
    trainer.fit(module, training, validation)
    return module


def test_pictures_are_drawn_at_the_chosen_cadence_and_at_the_end(tmp_path: Path) -> None:
    recorder = Recorder()
    fit(tmp_path, recorder, ValidationPictures(str(tmp_path / "pictures"), pairs=2, every_n_steps=4))
    assert [path.name for path in sorted((tmp_path / "pictures").iterdir())] == ["step-000004.png", "step-000006.png"]
    assert recorder.images == {4: 2, 6: 2}
    sheet = Image.open(tmp_path / "pictures" / "step-000006.png")
    assert sheet.size == (6 * 128 + 5 * 4, 2 * 128 + 4)


def test_the_table_holds_the_score_of_every_pair_in_order(tmp_path: Path) -> None:
    recorder = Recorder()
    module = fit(tmp_path, recorder, ScoreTable(every_n_steps=4)).eval()
    assert list(recorder.tables) == [4, 6]
    columns, rows = recorder.tables[6]
    assert columns == ["pair", "PSNR", "map_accuracy"]
    expected = []
    for pair in VALIDATION:
        with torch.no_grad():
            chosen = module(pair.a, pair.b) >= 0.5
        for a, b, alpha, sharp, choice in zip(*pair.tensors().values(), chosen, strict=True):
            error = (torch.where(choice, a, b) - sharp).square().mean()
            expected.append([len(expected), -10 * error.log10().item(), (choice == alpha.bool()).float().mean().item()])
    assert len(rows) == 8
    for row, right in zip(rows, expected, strict=True):
        assert row == pytest.approx(right, abs=1e-4)


def test_without_wandb_no_pair_is_scored_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FusionMetrics, "score", lambda *_, **__: pytest.fail("scored for nobody"))
    fit(tmp_path, CSVLogger(tmp_path), ScoreTable())


def test_the_bar_reads_the_loss_at_the_cadence_of_logging(tmp_path: Path, scalar_reads: Any) -> None:
    reads: list[int] = []
    shown: list[float | None] = []

    class Watch(Callback):
        """Comes after the bar; an iteration ends here, with its logging, and with the validation before it."""

        def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
            reads.append(scalar_reads.count)
            bar = trainer.progress_bar_callback
            assert isinstance(bar, ProgressBar)
            assert bar._metric_component is not None
            shown.append(bar._metric_component._metrics.get("train/loss"))

    module = FusionModule(TwoStream(width=4), FusionLoss(), partial(torch.optim.SGD, lr=1e-3))
    trainer = Trainer(
        default_root_dir=tmp_path,
        accelerator="cpu",
        max_steps=12,
        log_every_n_steps=4,
        logger=CSVLogger(tmp_path),
        callbacks=[ProgressBar(), Watch()],
        enable_checkpointing=False,
        enable_model_summary=False,
    )
    with scalar_reads:
        trainer.fit(module, DataLoader([batch(2, seed) for seed in range(12)], batch_size=None))
    per_iteration = [after - before for before, after in pairwise(reads)]
    # Iterations 2 to 12: at 4, 8 and 12 the bar reads the loss, and logging after it, which counts with the next one.
    assert [bool(count) for count in per_iteration] == [step % 4 in (0, 1) for step in range(2, 13)]
    assert shown == [None] * 3 + [shown[3]] * 4 + [shown[7]] * 4 + [shown[11]]
    with (tmp_path / "lightning_logs/version_0/metrics.csv").open() as file:
        logged = [float(row["train/loss"]) for row in csv.DictReader(file)]
    assert [shown[3], shown[7], shown[11]] == pytest.approx(logged)


def test_only_the_monitor_of_the_learning_rate_wants_a_logger(tmp_path: Path) -> None:
    callbacks = [LearningRateMonitor(), TrainingCurves(str(tmp_path / "curves.png"))]
    assert fitting(callbacks, [CSVLogger(tmp_path)]) == callbacks
    assert fitting(callbacks, []) == callbacks[1:]


def test_what_is_left_out_has_no_stand_in(tmp_path: Path) -> None:
    def shown(callbacks: list[Callback], **words: bool) -> tuple[bool, bool]:
        """Whether a trainer has a bar and a summary."""
        words |= without_stand_ins(callbacks, words)
        trainer = Trainer(accelerator="cpu", logger=False, default_root_dir=tmp_path, callbacks=callbacks, **words)
        summaries = [callback for callback in trainer.callbacks if isinstance(callback, ModelSummary)]  # type: ignore[attr-defined]
        return trainer.progress_bar_callback is not None, bool(summaries)

    assert shown([]) == (False, False)
    assert shown([ProgressBar()]) == (True, False)
    assert shown([RichModelSummary(max_depth=1)]) == (False, True)
    assert shown([ProgressBar(), RichModelSummary(max_depth=1)]) == (True, True)
    assert shown([], enable_progress_bar=True, enable_model_summary=True) == (True, True)  # asked for
