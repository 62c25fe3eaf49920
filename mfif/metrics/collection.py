"""Several metrics over one set of arguments, what they have in common computed once."""

import inspect
from collections.abc import Mapping
from typing import Any, cast

from torch import Tensor
from torchmetrics import MetricCollection

from mfif.metrics.functional.shared_work import computing_once
from mfif.metrics.fusion import EN, QG, QMI, VIFF, FusionMetric


class FusionMetrics(MetricCollection):
    """Fusion metrics by name, in the order given, called with one set of keyword arguments.

    Each metric takes the arguments it names and leaves the others. Gray images, histograms, window moments and whatever
    else several of them need are computed once per call and released after it.

    Args:
        metrics: Metrics by name.
        prefix: Put before every name.
        postfix: Put after every name.

    Example:
        >>> import torch
        >>> from mfif.metrics import EN, QMI
        >>> image = torch.arange(16).view(1, 1, 4, 4) / 15
        >>> FusionMetrics({"Q_MI": QMI(), "EN": EN()})(fused=image, source_a=image, source_b=image)
        {'Q_MI': tensor(2., dtype=torch.float64), 'EN': tensor(4., dtype=torch.float64)}
    """

    def __init__(
        self, metrics: Mapping[str, FusionMetric], prefix: str | None = None, postfix: str | None = None
    ) -> None:
        # Compute groups would merge metrics whose sums happen to agree after the first batch.
        super().__init__(dict(metrics), prefix=prefix, postfix=postfix, compute_groups=False)
        for name in metrics:  # torchmetrics sorts them
            self._modules[name] = self._modules.pop(name)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Add a batch to every metric."""
        with computing_once():
            super().update(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Add a batch to every metric and return the means over this batch."""
        with computing_once():
            scores: dict[str, Any] = super().forward(*args, **kwargs)
        return scores

    def score(self, **known: Tensor) -> dict[str, Tensor]:
        """Score each image of a batch, ``(B,)`` by metric, without adding it to the means.

        Args:
            **known: What is known; metrics that need more are left out.

        Example:
            >>> import torch
            >>> image = torch.rand(2, 1, 48, 48, generator=torch.Generator().manual_seed(0))
            >>> {name: scores.shape for name, scores in paper_metrics().score(fused=image).items()}
            {'EN': torch.Size([2])}
        """
        scores = {}
        with computing_once():
            for name, metric in self.items(keep_base=False, copy_state=False):
                needed = inspect.signature(metric.update).parameters
                if needed.keys() <= known.keys():
                    scores[name] = cast(FusionMetric, metric).score(**{key: known[key] for key in needed})
        return scores


def paper_metrics(data_range: float = 1.0) -> FusionMetrics:
    """The four metrics of the paper under its names: Q_MI, Q_G, EN, VIFF.

    Args:
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.

    Returns:
        A collection to call with the keywords `fused`, `source_a`, `source_b`; others are ignored.

    Example:
        >>> import torch
        >>> image = torch.rand(1, 1, 48, 48, generator=torch.Generator().manual_seed(0))
        >>> scores = paper_metrics()(fused=image, source_a=image, source_b=image)
        >>> {name: round(score.item(), 3) for name, score in scores.items()}
        {'Q_MI': 2.0, 'Q_G': 0.987, 'EN': 7.922, 'VIFF': 1.0}
    """
    return FusionMetrics(
        {"Q_MI": QMI(data_range), "Q_G": QG(data_range), "EN": EN(data_range), "VIFF": VIFF(data_range)}
    )
