"""A callback that profiles iterations; not in the file that is run, for Hydra would import another class from there."""

from typing import Any, ClassVar

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch.profiler import ProfilerActivity, profile, record_function


class Watch(Callback):
    """Profiles iterations, but for the first ones.

    Args:
        first: Number of the iteration after which it begins.
        iterations: How many.
    """

    seen: ClassVar["list[Watch]"] = []

    def __init__(self, first: int, iterations: int) -> None:
        self.first = first
        self.iterations = iterations
        cuda = [ProfilerActivity.CUDA] if torch.cuda.is_available() else []
        self.profile = profile(activities=[ProfilerActivity.CPU, *cuda])
        self.seen[:] = [self]

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Begin, or end."""
        if trainer.global_step == self.first:
            self.profile.start()
            self._whole = record_function("iterations")
            self._whole.__enter__()
        if trainer.global_step == self.first + self.iterations:
            self._whole.__exit__(None, None, None)
            self.profile.stop()
