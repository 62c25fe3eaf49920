"""The fusion metrics as torchmetrics classes: thin sums over the functions in `mfif.metrics.functional`."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import rank_zero_warn
from torchmetrics.utilities.plot import _AX_TYPE, _PLOT_OUT_TYPE

from mfif.metrics.functional import en, psnr, q_g, q_mi, viff
from mfif.metrics.functional.q_g import Variant
from mfif.metrics.functional.validation import check_values


class FusionMetric(Metric, ABC):
    """Mean over all images of one score per image, the same for any batching and any number of processes.

    A subclass says in `score` how one batch is scored and names the arguments again in `update`, by which
    `torchmetrics.MetricCollection` gives each metric its own share of one set of keyword arguments.

    Images without a score (NaN, see each function) are counted apart: `compute` averages the others and warns of how
    many were left out; `score` shows which. Without any scored image, the mean is NaN.
    """

    full_state_update = False
    is_differentiable = False
    higher_is_better: bool | None = True

    total: Tensor
    count: Tensor
    unscored: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # Where Apple's GPUs are in reach the sum must be float32: they have no float64 to move it to.
        dtype = torch.float32 if torch.backends.mps.is_available() else torch.float64
        self.add_state("total", torch.zeros((), dtype=dtype), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("unscored", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    @abstractmethod
    def score(self, *args: Any, **kwargs: Any) -> Tensor:
        """Score each image of a batch, ``(B,)``, without adding it to the mean."""

    def add(self, scores: Tensor) -> None:
        """Add scores ``(B,)`` to the mean."""
        missing = scores.isnan()
        self.total = self.total + scores.masked_fill(missing, 0).sum()
        self.unscored = self.unscored + missing.sum()
        self.count = self.count + (scores.numel() - missing.sum())

    def compute(self) -> Tensor:
        """Average the scores added so far, over all processes; 0-dimensional."""
        unscored = int(self.unscored)
        if unscored:
            rank_zero_warn(
                f"{type(self).__name__}: {unscored} of {unscored + int(self.count)} images have no score (NaN) and are "
                "not in the mean; `score` shows which."
            )
        return self.total / self.count

    def plot(self, val: Tensor | Sequence[Tensor] | None = None, ax: _AX_TYPE | None = None) -> _PLOT_OUT_TYPE:
        """Plot `val`, one result or several, or the current mean; returns figure and axes."""
        return self._plot(val, ax)


class ImageMetric(FusionMetric, ABC):
    """Mean of a score of fused images; a subclass names the function in `formula`, a variant's arguments in `options`.

    Args:
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        **kwargs: For `torchmetrics.Metric`.
    """

    formula: Callable[..., Tensor]

    def __init__(self, data_range: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_range = data_range
        self.options: dict[str, Any] = {}

    def checked(self, fused: Tensor, **against: Tensor) -> Tensor:
        """Score each image, ``(B,)``; raise unless all values are finite and those of photographs in range."""
        scores = self.formula(fused, *against.values(), data_range=self.data_range, **self.options)
        check_values({"fused": fused}, against, self.data_range)
        return scores


class SourceMetric(ImageMetric):
    """Scores the fused image against both sources, see `ImageMetric`."""

    def score(self, fused: Tensor, source_a: Tensor, source_b: Tensor) -> Tensor:
        """Score each image, ``(B,)``; images as the function takes them, and finite."""
        return self.checked(fused, source_a=source_a, source_b=source_b)

    def update(self, fused: Tensor, source_a: Tensor, source_b: Tensor) -> None:
        """Add a batch to the mean."""
        self.add(self.score(fused, source_a, source_b))


class FusedMetric(ImageMetric):
    """Scores the fused image alone, see `ImageMetric`."""

    def score(self, fused: Tensor) -> Tensor:
        """Score each image, ``(B,)``; images as the function takes them, and finite."""
        return self.checked(fused)

    def update(self, fused: Tensor) -> None:
        """Add a batch to the mean."""
        self.add(self.score(fused))


class TruthMetric(ImageMetric):
    """Scores the fused image against the sharp photograph, see `ImageMetric`."""

    def score(self, fused: Tensor, sharp: Tensor) -> Tensor:
        """Score each image, ``(B,)``; images as the function takes them, and finite."""
        return self.checked(fused, sharp=sharp)

    def update(self, fused: Tensor, sharp: Tensor) -> None:
        """Add a batch to the mean."""
        self.add(self.score(fused, sharp))


class QMI(SourceMetric):
    """Q_MI: information shared with the sources, 0..2; see `mfif.metrics.functional.q_mi`.

    Args:
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        **kwargs: For `torchmetrics.Metric`.

    Example:
        >>> import torch
        >>> image = torch.arange(16).view(1, 1, 4, 4) / 15
        >>> QMI()(image, image, image)
        tensor(2., dtype=torch.float64)
    """

    formula = staticmethod(q_mi)
    plot_lower_bound = 0.0
    plot_upper_bound = 2.0


class QG(SourceMetric):
    """Q_G: edges kept from the sources, 0..1; see `mfif.metrics.functional.q_g`.

    Args:
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        variant: "zl", the original toolbox and the paper's, or "yl", its correction.
        **kwargs: For `torchmetrics.Metric`.

    Example:
        >>> import torch
        >>> image = torch.arange(16).view(1, 1, 4, 4) / 15
        >>> QG()(image, image, image).round(decimals=5)
        tensor(0.9867, dtype=torch.float64)
    """

    formula = staticmethod(q_g)
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def __init__(self, data_range: float = 1.0, variant: Variant = "zl", **kwargs: Any) -> None:
        super().__init__(data_range, **kwargs)
        self.options = {"variant": variant}


class EN(FusedMetric):
    """EN: entropy of the fused image in bits, 0..8; see `mfif.metrics.functional.en`.

    Args:
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        **kwargs: For `torchmetrics.Metric`.

    Example:
        >>> import torch
        >>> EN()(torch.arange(16).view(1, 1, 4, 4) / 15)
        tensor(4., dtype=torch.float64)
    """

    formula = staticmethod(en)
    plot_lower_bound = 0.0
    plot_upper_bound = 8.0


class VIFF(SourceMetric):
    """VIFF: visual information kept from the sources, about 0..1; see `mfif.metrics.functional.viff`.

    Args:
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        **kwargs: For `torchmetrics.Metric`.

    Example:
        >>> import torch
        >>> image = torch.rand(1, 1, 48, 48, generator=torch.Generator().manual_seed(0))
        >>> VIFF()(image, image, image).round(decimals=5)
        tensor(1., dtype=torch.float64)
    """

    formula = staticmethod(viff)
    is_differentiable = True
    plot_lower_bound = 0.0


class PSNR(TruthMetric):
    """PSNR: mean over images of each image's PSNR against the truth, in dB; see `mfif.metrics.functional.psnr`.

    Args:
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        limit: What an image scores at most, in dB. Two equal images score infinity, and one such pair would make the
            mean of all others infinite, too. None sets no limit.
        **kwargs: For `torchmetrics.Metric`.

    Example:
        >>> import torch
        >>> PSNR()(torch.full((1, 1, 2, 2), 0.6), torch.full((1, 1, 2, 2), 0.5)).round(decimals=3)
        tensor(20., dtype=torch.float64)
    """

    formula = staticmethod(psnr)
    is_differentiable = True

    def __init__(self, data_range: float = 1.0, limit: float | None = 100.0, **kwargs: Any) -> None:
        super().__init__(data_range, **kwargs)
        self.limit = limit

    def score(self, fused: Tensor, sharp: Tensor) -> Tensor:
        """Score each image, ``(B,)``, up to the limit; images as the function takes them, and finite."""
        scores = super().score(fused, sharp)
        return scores if self.limit is None else scores.clamp(max=self.limit)
