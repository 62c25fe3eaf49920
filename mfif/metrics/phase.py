"""Metrics of phase congruency as torchmetrics classes."""

from typing import Any

from torch import Tensor

from mfif.metrics.functional.q_p import q_p
from mfif.metrics.functional.validation import check_values
from mfif.metrics.fusion import FusionMetric


class QP(FusionMetric):
    """Q_P: edges and corners kept from the sources, about 0..1; see `mfif.metrics.functional.q_p`.

    Args:
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        **kwargs: For `torchmetrics.Metric`.

    Example:
        >>> import torch
        >>> image = torch.zeros(1, 1, 48, 48)
        >>> image[..., 12:36, 12:36] = 1
        >>> QP()(image, image, image).round(decimals=3)
        tensor(0.9600, dtype=torch.float64)
    """

    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def __init__(self, data_range: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_range = data_range

    def score(self, fused: Tensor, source_a: Tensor, source_b: Tensor) -> Tensor:
        """Score each image, ``(B,)``; images as in `mfif.metrics.functional.q_p`, and finite."""
        scores = q_p(fused, source_a, source_b, self.data_range)
        check_values({"fused": fused}, {"source_a": source_a, "source_b": source_b}, self.data_range)
        return scores

    def update(self, fused: Tensor, source_a: Tensor, source_b: Tensor) -> None:
        """Add a batch to the mean."""
        self.add(self.score(fused, source_a, source_b))
