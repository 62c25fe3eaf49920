"""Metrics after human perception as torchmetrics classes."""

from typing import Any

from torch import Tensor

from mfif.metrics.functional.q_cb import q_cb
from mfif.metrics.functional.q_cv import q_cv
from mfif.metrics.functional.validation import check_values
from mfif.metrics.fusion import FusionMetric


class QCV(FusionMetric):
    """Q_CV: visible difference to the sources, 0 and more, lower is better; see `mfif.metrics.functional.q_cv`.

    Args:
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        **kwargs: For `torchmetrics.Metric`.

    Example:
        >>> import torch
        >>> image = torch.arange(256).view(1, 1, 16, 16) / 255
        >>> QCV()(image, image, image)
        tensor(0., dtype=torch.float64)
    """

    is_differentiable = True
    higher_is_better = False
    plot_lower_bound = 0.0

    def __init__(self, data_range: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_range = data_range

    def score(self, fused: Tensor, source_a: Tensor, source_b: Tensor) -> Tensor:
        """Score each image, ``(B,)``; images as in `mfif.metrics.functional.q_cv`, and finite."""
        scores = q_cv(fused, source_a, source_b, self.data_range)
        check_values({"fused": fused}, {"source_a": source_a, "source_b": source_b}, self.data_range)
        return scores

    def update(self, fused: Tensor, source_a: Tensor, source_b: Tensor) -> None:
        """Add a batch to the mean."""
        self.add(self.score(fused, source_a, source_b))


class QCB(FusionMetric):
    """Q_CB: visible contrast kept from the sources, 0..1; see `mfif.metrics.functional.q_cb`.

    Args:
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        **kwargs: For `torchmetrics.Metric`.

    Example:
        >>> import torch
        >>> image = torch.arange(64).view(1, 1, 8, 8) / 63
        >>> QCB()(image, image, image).round(decimals=5)
        tensor(1., dtype=torch.float64)
    """

    is_differentiable = True
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def __init__(self, data_range: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_range = data_range

    def score(self, fused: Tensor, source_a: Tensor, source_b: Tensor) -> Tensor:
        """Score each image, ``(B,)``; images as in `mfif.metrics.functional.q_cb`, and finite."""
        scores = q_cb(fused, source_a, source_b, self.data_range)
        check_values({"fused": fused}, {"source_a": source_a, "source_b": source_b}, self.data_range)
        return scores

    def update(self, fused: Tensor, source_a: Tensor, source_b: Tensor) -> None:
        """Add a batch to the mean."""
        self.add(self.score(fused, source_a, source_b))
