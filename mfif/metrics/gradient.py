"""Metrics of gradients and contrast as torchmetrics classes: SD, AG, SF, EI, Q_SF, Q_M."""

from typing import Any

from torch import Tensor

from mfif.metrics.functional import ag, ei, q_m, q_sf, sd, sf
from mfif.metrics.functional.ag import Variant as GradientVariant
from mfif.metrics.functional.sd import Variant as DeviationVariant
from mfif.metrics.functional.sf import Variant as FrequencyVariant
from mfif.metrics.functional.validation import check_values
from mfif.metrics.fusion import FusionMetric


class SD(FusionMetric):
    """SD: contrast of the fused image in gray levels; see `mfif.metrics.functional.sd`.

    Args:
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        variant: "yl", mean over columns, or "vifb", over all pixels.
        **kwargs: For `torchmetrics.Metric`.

    Example:
        >>> import torch
        >>> SD(variant="vifb")(torch.tensor([0.0, 1.0, 1.0, 0.0]).view(1, 1, 2, 2))
        tensor(127.5000, dtype=torch.float64)
    """

    is_differentiable = True
    plot_lower_bound = 0.0

    def __init__(self, data_range: float = 1.0, variant: DeviationVariant = "yl", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_range = data_range
        self.variant = variant

    def score(self, fused: Tensor) -> Tensor:
        """Score each image, ``(B,)``; images as in `mfif.metrics.functional.sd`, and finite."""
        scores = sd(fused, self.data_range, self.variant)
        check_values({"fused": fused}, {}, self.data_range)
        return scores

    def update(self, fused: Tensor) -> None:
        """Add a batch to the mean."""
        self.add(self.score(fused))


class AG(FusionMetric):
    """AG: mean gradient of the fused image in gray levels; see `mfif.metrics.functional.ag`.

    Args:
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        variant: "yl", differences to the next pixel, or "vifb", central differences.
        **kwargs: For `torchmetrics.Metric`.

    Example:
        >>> import torch
        >>> AG(data_range=255)(torch.tensor([0.0, 2.0, 0.0, 2.0]).view(1, 1, 2, 2)) ** 2
        tensor(0.5000, dtype=torch.float64)
    """

    is_differentiable = True
    plot_lower_bound = 0.0

    def __init__(self, data_range: float = 1.0, variant: GradientVariant = "yl", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_range = data_range
        self.variant = variant

    def score(self, fused: Tensor) -> Tensor:
        """Score each image, ``(B,)``; images as in `mfif.metrics.functional.ag`, and finite."""
        scores = ag(fused, self.data_range, self.variant)
        check_values({"fused": fused}, {}, self.data_range)
        return scores

    def update(self, fused: Tensor) -> None:
        """Add a batch to the mean."""
        self.add(self.score(fused))


class SF(FusionMetric):
    """SF: root mean square difference of neighbours in gray levels; see `mfif.metrics.functional.sf`.

    Args:
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        variant: "yl", divided by the number of pixels, or "tang", by that of the differences.
        **kwargs: For `torchmetrics.Metric`.

    Example:
        >>> import torch
        >>> SF(data_range=255)(torch.tensor([0.0, 2.0, 0.0, 2.0]).view(1, 1, 2, 2)).square().round(decimals=6)
        tensor(2., dtype=torch.float64)
    """

    is_differentiable = True
    plot_lower_bound = 0.0

    def __init__(self, data_range: float = 1.0, variant: FrequencyVariant = "yl", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_range = data_range
        self.variant = variant

    def score(self, fused: Tensor) -> Tensor:
        """Score each image, ``(B,)``; images as in `mfif.metrics.functional.sf`, and finite."""
        scores = sf(fused, self.data_range, self.variant)
        check_values({"fused": fused}, {}, self.data_range)
        return scores

    def update(self, fused: Tensor) -> None:
        """Add a batch to the mean."""
        self.add(self.score(fused))


class EI(FusionMetric):
    """EI: mean Sobel magnitude of the fused image; see `mfif.metrics.functional.ei`.

    Args:
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        **kwargs: For `torchmetrics.Metric`.

    Example:
        >>> import torch
        >>> EI(data_range=255)(torch.tensor([0.0, 2.0, 0.0, 2.0]).view(1, 1, 2, 2))
        tensor(8., dtype=torch.float64)
    """

    is_differentiable = True
    plot_lower_bound = 0.0

    def __init__(self, data_range: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_range = data_range

    def score(self, fused: Tensor) -> Tensor:
        """Score each image, ``(B,)``; images as in `mfif.metrics.functional.ei`, and finite."""
        scores = ei(fused, self.data_range)
        check_values({"fused": fused}, {}, self.data_range)
        return scores

    def update(self, fused: Tensor) -> None:
        """Add a batch to the mean."""
        self.add(self.score(fused))


class QSF(FusionMetric):
    """Q_SF: relative error of the spatial frequency, -1 or more, best at 0; see `mfif.metrics.functional.q_sf`.

    Args:
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        **kwargs: For `torchmetrics.Metric`.

    Example:
        >>> import torch
        >>> image = torch.arange(16).view(1, 1, 4, 4) / 15
        >>> QSF()(image / 2, image, image).round(decimals=1)
        tensor(-0.5000, dtype=torch.float64)
    """

    is_differentiable = True
    higher_is_better = None  # type: ignore[assignment]  # the best is in between
    plot_lower_bound = -1.0

    def __init__(self, data_range: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_range = data_range

    def score(self, fused: Tensor, source_a: Tensor, source_b: Tensor) -> Tensor:
        """Score each image, ``(B,)``; images as in `mfif.metrics.functional.q_sf`, and finite."""
        scores = q_sf(fused, source_a, source_b, self.data_range)
        check_values({"fused": fused}, {"source_a": source_a, "source_b": source_b}, self.data_range)
        return scores

    def update(self, fused: Tensor, source_a: Tensor, source_b: Tensor) -> None:
        """Add a batch to the mean."""
        self.add(self.score(fused, source_a, source_b))


class QM(FusionMetric):
    """Q_M: wavelet details kept from the sources, 0..3; see `mfif.metrics.functional.q_m`.

    Args:
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        **kwargs: For `torchmetrics.Metric`.

    Example:
        >>> import torch
        >>> image = torch.arange(16).view(1, 1, 4, 4) / 15
        >>> QM()(image, image, image).round(decimals=4)
        tensor(3., dtype=torch.float64)
    """

    is_differentiable = True
    plot_lower_bound = 0.0
    plot_upper_bound = 3.0

    def __init__(self, data_range: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_range = data_range

    def score(self, fused: Tensor, source_a: Tensor, source_b: Tensor) -> Tensor:
        """Score each image, ``(B,)``; images as in `mfif.metrics.functional.q_m`, and finite."""
        scores = q_m(fused, source_a, source_b, self.data_range)
        check_values({"fused": fused}, {"source_a": source_a, "source_b": source_b}, self.data_range)
        return scores

    def update(self, fused: Tensor, source_a: Tensor, source_b: Tensor) -> None:
        """Add a batch to the mean."""
        self.add(self.score(fused, source_a, source_b))
