"""Averages of the weights over the iterations."""

from itertools import compress
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor, nn


class MovingAverage(WeightAveraging):
    """Validates and keeps the exponential moving average of the weights: ``decay * average + (1 - decay) * weights``.

    The training goes on with the weights themselves; checkpoints hold both, the average as their ``state_dict``. With
    Lightning's own update every iteration waits for a GPU, where it keeps and reads their number; with this none does.

    Args:
        decay: Share of the average that an iteration keeps, in [0, 1]; it reaches back about ``1 / (1 - decay)``
            iterations. The first iteration's weights are where it begins.

    Raises:
        ValueError: `decay` is outside of [0, 1].

    Source: Polyak and Juditsky, SIAM J. Control Optim. 30(4), 1992, with weights that fade.
    """

    def __init__(self, decay: float = 0.999) -> None:
        if not 0 <= decay <= 1:
            raise ValueError(f"Expected `decay` to be a share, from 0 to 1, got {decay}.")
        super().__init__()
        self.decay = decay

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add the weights of an iteration, which has several batches where gradients are accumulated."""
        if trainer.global_step == self._latest_update_step:
            return
        assert self._average_model is not None
        averages, weights = _values(self._average_model.module), _values(pl_module)
        kept = self.decay if self._latest_update_step else 0.0
        floating = [value.is_floating_point() for value in weights]
        torch._foreach_lerp_(list(compress(averages, floating)), list(compress(weights, floating)), 1 - kept)
        for average, value in zip(averages, weights, strict=True):
            if not value.is_floating_point():  # a count
                average.copy_(value)
        self._latest_update_step = trainer.global_step


def _values(module: nn.Module) -> list[Tensor]:
    return [value.detach() for value in (*module.parameters(), *module.buffers())]
