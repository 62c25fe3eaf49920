"""The average of the weights beside those of a training."""

from typing import Any

import pytest
import torch
from lightning import LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mfif.training.averaging import MovingAverage


class Falling(LightningModule):
    """One weight, from 1 down by .1 with every step; and what batch normalization has besides, a level and a count."""

    level: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.register_buffer("level", torch.zeros(1))
        self.register_buffer("count", torch.zeros(1, dtype=torch.long))

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        self.level += 1
        self.count += 1
        return self.weight.sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def train(callback: MovingAverage, batches: int, **words: Any) -> Falling:
    module = Falling()
    quiet: dict[str, Any] = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
    trainer = Trainer(max_epochs=1, accelerator="cpu", callbacks=callback, **quiet, **words)
    trainer.fit(module, DataLoader(torch.zeros(batches, 1)))
    return module


def test_the_average_of_a_falling_weight() -> None:
    # From w1 = .9 on, a = d a + (1 - d) w: here by hand, for w = .9, .8, .7 and d = 1/2.
    module = train(MovingAverage(decay=0.5), batches=3)
    assert module.weight.item() == pytest.approx(0.5 * (0.5 * 0.9 + 0.5 * 0.8) + 0.5 * 0.7)
    assert module.level.item() == pytest.approx(0.5 * (0.5 * 1 + 0.5 * 2) + 0.5 * 3)
    assert module.count.item() == 3


@pytest.mark.parametrize(("decay", "kept"), [(0.0, 0.7), (1.0, 0.9)])
def test_bounds_keep_the_last_and_the_first(decay: float, kept: float) -> None:
    assert train(MovingAverage(decay), batches=3).weight.item() == pytest.approx(kept)


def test_batches_that_gather_gradients_are_one_step() -> None:
    # Two batches a step of the mean gradient: w = .9 after two, .8 after four.
    module = train(MovingAverage(decay=0.5), batches=4, accumulate_grad_batches=2)
    assert module.weight.item() == pytest.approx(0.5 * 0.9 + 0.5 * 0.8)


@pytest.mark.parametrize("decay", [-0.1, 1.5])
def test_a_decay_that_is_no_share(decay: float) -> None:
    with pytest.raises(ValueError, match="`decay` to be a share"):
        MovingAverage(decay)
