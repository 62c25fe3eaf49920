"""The LightningModule: network, loss, metrics and optimizer, one step for training and validation."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from lightning import LightningModule
from lightning.pytorch.plugins.precision import MixedPrecision, Precision
from lightning.pytorch.utilities import GradClipAlgorithmType
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import MetricCollection

from mfif.errors import InputError
from mfif.pair import FocusPair, binarize, blend, luma
from mfif.recorded import RecordedLoss, can_record


class FusionModule(LightningModule):
    """Trains a network that estimates the decision map of a pair, or one that gives the fused image itself.

    In training the map is continuous; in validation it is thresholded before it fuses (eq. 5 of the paper).

    Args:
        network: ``(a, b) -> alpha`` on gray images; ``(a, b) -> fused`` where its attribute ``gives_image`` is true.
        loss: ``(fused, alpha, pair) -> scalar``; `alpha` is None where the network gives the image.
        optimizer: Builds the optimizer from the parameters.
        scheduler: Builds the learning-rate schedule from the optimizer; it steps with every iteration.
        metrics: Scores of validation, called with ``fused, source_a, source_b, sharp, alpha, alpha_true``.
        configuration: The resolved configuration as plain data. It is stored in checkpoints; its entry ``network``
            lets `mfif.load` build the network again.
        threshold: Level at which the map is cut in validation; None keeps it continuous.
        channels_last: Whether weights and features lie channels-last in memory, which is faster in most cases.
        compile: Whether the network is compiled, in place, so that checkpoints keep their keys; a word is a mode of
            ``torch.compile``, such as ``"reduce-overhead"``, which records CUDA graphs.
        graph: Whether forward and backward of an iteration are one CUDA graph, see `mfif.recorded`; for one CUDA
            device, and not for ``16-mixed``. The weights are those without it.

    Raises:
        ValueError: A metric is of the map, and the network gives none; or `compile` and `graph` would both record.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: nn.Module,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        scheduler: Callable[[Optimizer], LRScheduler] | None = None,
        metrics: MetricCollection | None = None,
        configuration: Mapping[str, Any] | None = None,
        threshold: float | None = 0.5,
        channels_last: bool = True,
        compile: bool | str = False,
        graph: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self.loss = loss
        self.metrics = metrics
        self.threshold = threshold
        self._gives_image: bool = getattr(network, "gives_image", False)
        of_map = [
            name for name, metric in (metrics or {}).items() if "alpha" in inspect.signature(metric.update).parameters
        ]
        if self._gives_image and of_map:
            raise ValueError(
                f"Expected metrics without a map for {type(network).__name__}, got {', '.join(of_map)}. "
                "Choose experiment=mfnet, or metrics=image callbacks.best.monitor=val/PSNR."
            )
        if graph and compile in ("reduce-overhead", "max-autotune"):
            raise ValueError(
                f"Expected `compile` to record no graphs of its own with `graph`, got {compile!r}. Take true."
            )
        self._optimizer = optimizer
        self._scheduler = scheduler
        self.example_input_array = (torch.zeros(1, 1, 32, 32), torch.zeros(1, 1, 32, 32))  # for the summary
        self.save_hyperparameters({"configuration": dict(configuration or {})})
        if channels_last:
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if compile:
            self.network.compile(mode=compile if isinstance(compile, str) else None)
        self._graph = graph
        self._recorded: RecordedLoss | None = None

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Decision map, or fused image, ``(B, 1, H, W)`` of sources ``(B, 1 or 3, H, W)`` in [0, 1]."""
        estimate: Tensor = self.network(luma(a), luma(b))
        return estimate

    def _step(self, pair: FocusPair) -> tuple[Tensor, Tensor | None, Tensor]:
        """Fused image, map and loss of a batch; all are those of the continuous map at every stage."""
        estimate = self(pair.a, pair.b)
        fused, alpha = (estimate, None) if self._gives_image else (blend(pair.a, pair.b, estimate), estimate)
        return fused, alpha, self.loss(fused, alpha, pair)

    def _as_fused(self, pair: FocusPair) -> FocusPair:
        """The pair in the channels of its fused image: a network that gives the image gives it in gray."""
        if not self._gives_image:
            return pair
        return FocusPair(luma(pair.a), luma(pair.b), pair.alpha, luma(pair.sharp))

    def _loss_of(self, *pair: Tensor) -> Tensor:
        _, _, loss = self._step(self._as_fused(FocusPair(*pair)))
        return loss

    def on_fit_start(self) -> None:
        """See whether iterations can be recorded, where they are to be.

        Raises:
            InputError: The device, the number of processes, the precision or the accumulation of gradients speaks
                against it.
        """
        if not self._graph:
            return
        trainer = self.trainer
        for name, fits, got in (
            (
                "one CUDA device",
                can_record(self.device) and trainer.world_size == 1,
                f"{trainer.world_size} of {self.device.type}",
            ),
            ("a precision without a scaled loss", trainer.precision != "16-mixed", trainer.precision),
            ("accumulate_grad_batches=1", trainer.accumulate_grad_batches == 1, trainer.accumulate_grad_batches),
        ):
            if not fits:
                raise InputError(f"Expected {name} with graph=true, got {got}. Leave graph=true out.")
        self._recorded = RecordedLoss(self._loss_of, self.network.parameters())

    def on_fit_end(self) -> None:
        """Let go of what was recorded, and its memory."""
        self._recorded = None

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: Optimizer) -> None:
        """Forget the gradients of the iteration before; a recorded loss replaces them itself."""
        if self._recorded is None:
            super().optimizer_zero_grad(epoch, batch_idx, optimizer)

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Compute the gradients; a recorded loss comes with them."""
        if self._recorded is None:
            super().backward(loss, *args, **kwargs)

    def training_step(self, pair: FocusPair, batch_index: int) -> Tensor:
        """Loss of a batch of pairs."""
        loss = (self._recorded or self._loss_of)(*pair.tensors().values())
        # Only where it is logged, for telling Lightning of it takes a while; and not with `prog_bar`, for which
        # Lightning reads the value, and waits for the GPU, with every iteration.
        every = max(1, getattr(self._trainer, "log_every_n_steps", 1))
        if (self.global_step + 1) % every == 0:
            self.log("train/loss", loss, batch_size=len(pair.a))
        return loss

    def validation_step(self, pair: FocusPair, batch_index: int) -> dict[str, Tensor]:
        """Score a batch of pairs; return what the metrics are called with, and the map, if any, as it was estimated."""
        pair = self._as_fused(pair)
        fused, alpha, loss = self._step(pair)
        self.log("val/loss", loss, sync_dist=True, batch_size=len(pair.a))
        known = {"source_a": pair.a, "source_b": pair.b, "sharp": pair.sharp, "alpha_true": pair.alpha}
        if alpha is None:
            known["fused"] = fused.clamp(0, 1)
        else:
            known["alpha"] = alpha if self.threshold is None else binarize(alpha, self.threshold)
            known["fused"] = blend(pair.a, pair.b, known["alpha"])
        if self.metrics is not None:
            self.metrics.update(**known)
        return known if alpha is None else {**known, "estimate": alpha}

    def on_validation_epoch_end(self) -> None:
        """Log the scores over all validation pairs of all ranks."""
        if self.metrics is not None:
            self.log_dict({f"val/{name}": score for name, score in self.metrics.compute().items()})
            self.metrics.reset()

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip gradients, of fused optimizers too where the loss is not scaled; there Lightning refuses to."""
        plugin = self.trainer.precision_plugin
        if isinstance(plugin, MixedPrecision) and plugin.scaler is None:
            algorithm = GradClipAlgorithmType(gradient_clip_algorithm or GradClipAlgorithmType.NORM)
            Precision.clip_gradients(plugin, optimizer, gradient_clip_val or 0, algorithm)
        else:
            super().configure_gradient_clipping(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimizer, and the schedule if there is one.

        Raises:
            InputError: One of them refuses its values, or the schedule the optimizer.
        """
        try:
            optimizer = self._optimizer(self.network.parameters())
            scheduler = None if self._scheduler is None else self._scheduler(optimizer)
        except (TypeError, ValueError) as error:
            said = str(error).rstrip(".")
            raise InputError(
                f"The optimizer and its schedule cannot be built: {said}. Change `optimizer` or `scheduler`."
            ) from error
        if scheduler is None:
            return optimizer
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step", "name": "learning_rate"},
        }
