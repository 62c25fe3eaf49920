"""Metrics of gradients and contrast as torchmetrics classes: SD, AG, SF, EI, Q_SF, Q_M."""

from typing import Any

from mfif.metrics.functional import ag, ei, q_m, q_sf, sd, sf
from mfif.metrics.functional.ag import Variant as GradientVariant
from mfif.metrics.functional.sd import Variant as DeviationVariant
from mfif.metrics.functional.sf import Variant as FrequencyVariant
from mfif.metrics.fusion import FusedMetric, SourceMetric


class SD(FusedMetric):
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

    formula = staticmethod(sd)
    is_differentiable = True
    plot_lower_bound = 0.0

    def __init__(self, data_range: float = 1.0, variant: DeviationVariant = "yl", **kwargs: Any) -> None:
        super().__init__(data_range, **kwargs)
        self.options = {"variant": variant}


class AG(FusedMetric):
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

    formula = staticmethod(ag)
    is_differentiable = True
    plot_lower_bound = 0.0

    def __init__(self, data_range: float = 1.0, variant: GradientVariant = "yl", **kwargs: Any) -> None:
        super().__init__(data_range, **kwargs)
        self.options = {"variant": variant}


class SF(FusedMetric):
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

    formula = staticmethod(sf)
    is_differentiable = True
    plot_lower_bound = 0.0

    def __init__(self, data_range: float = 1.0, variant: FrequencyVariant = "yl", **kwargs: Any) -> None:
        super().__init__(data_range, **kwargs)
        self.options = {"variant": variant}


class EI(FusedMetric):
    """EI: mean Sobel magnitude of the fused image; see `mfif.metrics.functional.ei`.

    Args:
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        **kwargs: For `torchmetrics.Metric`.

    Example:
        >>> import torch
        >>> EI(data_range=255)(torch.tensor([0.0, 2.0, 0.0, 2.0]).view(1, 1, 2, 2))
        tensor(8., dtype=torch.float64)
    """

    formula = staticmethod(ei)
    is_differentiable = True
    plot_lower_bound = 0.0


class QSF(SourceMetric):
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

    formula = staticmethod(q_sf)
    is_differentiable = True
    higher_is_better = None  # the best is in between
    plot_lower_bound = -1.0


class QM(SourceMetric):
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

    formula = staticmethod(q_m)
    is_differentiable = True
    plot_lower_bound = 0.0
    plot_upper_bound = 3.0
