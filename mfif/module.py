"""The LightningModule: network, loss, metrics and optimizer, one step for training and validation."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import MetricCollection

from mfif.pair import FocusPair, binarize, blend, luma


class FusionModule(LightningModule):
    """Trains a network that estimates the decision map of a pair.

    In training the map is continuous; in validation it is thresholded at 0.5 before it fuses (eq. 5 of the paper).

    Args:
        network: ``(a, b) -> alpha`` on gray images.
        loss: ``(fused, alpha, pair) -> scalar``.
        optimizer: Builds the optimizer from the parameters.
        scheduler: Builds the learning-rate schedule from the optimizer; it steps with every iteration.
        metrics: Scores of validation, called with ``fused, source_a, source_b, sharp, alpha, alpha_true``.
        configuration: The resolved configuration as plain data. It is stored in checkpoints; its entry ``network``
            lets `mfif.load` build the network again.
        channels_last: Whether weights and features lie channels-last in memory, which is faster in most cases.
        compile: Whether the network is compiled, in place, so that checkpoints keep their keys.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: nn.Module,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        scheduler: Callable[[Optimizer], LRScheduler] | None = None,
        metrics: MetricCollection | None = None,
        configuration: Mapping[str, Any] | None = None,
        channels_last: bool = True,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self.loss = loss
        self.metrics = metrics
        self._optimizer = optimizer
        self._scheduler = scheduler
        self.example_input_array = (torch.zeros(1, 1, 32, 32), torch.zeros(1, 1, 32, 32))  # for the summary
        self.save_hyperparameters({"configuration": dict(configuration or {})})
        if channels_last:
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if compile:
            self.network.compile()

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Decision map ``(B, 1, H, W)`` of sources ``(B, 1 or 3, H, W)`` in [0, 1]."""
        alpha: Tensor = self.network(luma(a), luma(b))
        return alpha

    def _step(self, pair: FocusPair) -> tuple[Tensor, Tensor]:
        """Decision map and loss of a batch; the loss is that of the continuous map at every stage."""
        alpha = self(pair.a, pair.b)
        return alpha, self.loss(blend(pair.a, pair.b, alpha), alpha, pair)

    def training_step(self, pair: FocusPair, batch_index: int) -> Tensor:
        """Loss of a batch of pairs."""
        _, loss = self._step(pair)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(pair.a))
        return loss

    def validation_step(self, pair: FocusPair, batch_index: int) -> None:
        """Score a batch of pairs."""
        alpha, loss = self._step(pair)
        self.log("val/loss", loss, prog_bar=True, sync_dist=True, batch_size=len(pair.a))
        if self.metrics is None:
            return
        decision = binarize(alpha)
        self.metrics.update(
            fused=blend(pair.a, pair.b, decision),
            source_a=pair.a,
            source_b=pair.b,
            sharp=pair.sharp,
            alpha=decision,
            alpha_true=pair.alpha,
        )

    def on_validation_epoch_end(self) -> None:
        """Log the scores over all validation pairs of all ranks."""
        if self.metrics is not None:
            self.log_dict({f"val/{name}": score for name, score in self.metrics.compute().items()})
            self.metrics.reset()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimizer, and the schedule if there is one."""
        optimizer = self._optimizer(self.network.parameters())
        if self._scheduler is None:
            return optimizer
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self._scheduler(optimizer), "interval": "step", "name": "learning_rate"},
        }
