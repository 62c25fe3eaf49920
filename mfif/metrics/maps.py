"""Scores of the decision map itself as torchmetrics classes."""

from typing import Any

from torch import Tensor

from mfif.metrics.functional import boundary_accuracy, islands, map_accuracy
from mfif.metrics.functional.validation import check_values
from mfif.metrics.fusion import FusionMetric


class MapAccuracy(FusionMetric):
    """Share of pixels given to the right source, 0..1; see `mfif.metrics.functional.map_accuracy`.

    Example:
        >>> import torch
        >>> MapAccuracy()(torch.tensor([0.9, 0.6]).view(1, 1, 1, 2), torch.tensor([1.0, 0.0]).view(1, 1, 1, 2))
        tensor(0.5000, dtype=torch.float64)
    """

    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def score(self, alpha: Tensor, alpha_true: Tensor) -> Tensor:
        """Score each map, ``(B,)``; maps as in `mfif.metrics.functional.map_accuracy`, and finite."""
        scores = map_accuracy(alpha, alpha_true)
        check_values({"alpha": alpha}, {"alpha_true": alpha_true}, data_range=1.0)
        return scores

    def update(self, alpha: Tensor, alpha_true: Tensor) -> None:
        """Add a batch to the mean."""
        self.add(self.score(alpha, alpha_true))


class BoundaryAccuracy(FusionMetric):
    """Share of pixels near edges given to the right source, 0..1; see `mfif.metrics.functional.boundary_accuracy`.

    Args:
        radius: How far from an edge of the true map pixels count, in pixels, at least 1.
        **kwargs: For `torchmetrics.Metric`.

    Example:
        >>> import torch
        >>> BoundaryAccuracy()(torch.tensor([0.9, 0.6]).view(1, 1, 1, 2), torch.tensor([1.0, 0.0]).view(1, 1, 1, 2))
        tensor(0.5000, dtype=torch.float64)
    """

    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def __init__(self, radius: int = 5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.radius = radius

    def score(self, alpha: Tensor, alpha_true: Tensor) -> Tensor:
        """Score each map, ``(B,)``; maps as in `mfif.metrics.functional.boundary_accuracy`, and finite."""
        scores = boundary_accuracy(alpha, alpha_true, self.radius)
        check_values({"alpha": alpha}, {"alpha_true": alpha_true}, data_range=1.0)
        return scores

    def update(self, alpha: Tensor, alpha_true: Tensor) -> None:
        """Add a batch to the mean."""
        self.add(self.score(alpha, alpha_true))


class Islands(FusionMetric):
    """Number of small regions of the map, 0 and more, lower is better; see `mfif.metrics.functional.islands`.

    Args:
        share: A region is small below this fraction of the image's area, in (0, 1).
        **kwargs: For `torchmetrics.Metric`.

    Example:
        >>> import torch
        >>> alpha = torch.zeros(1, 1, 40, 40)
        >>> alpha[..., 20, 20] = 1
        >>> Islands()(alpha)
        tensor(1., dtype=torch.float64)
    """

    higher_is_better = False
    plot_lower_bound = 0.0

    def __init__(self, share: float = 0.001, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.share = share

    def score(self, alpha: Tensor) -> Tensor:
        """Score each map, ``(B,)``; maps as in `mfif.metrics.functional.islands`, and finite."""
        scores = islands(alpha, self.share)
        check_values({"alpha": alpha}, {}, data_range=1.0)
        return scores

    def update(self, alpha: Tensor) -> None:
        """Add a batch to the mean."""
        self.add(self.score(alpha))
