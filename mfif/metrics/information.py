"""Metrics of information shared with the sources, as torchmetrics classes: Q_TE, Q_NCIE, CE, FMI, SCD."""

from typing import Any

from mfif.metrics.functional import ce, fmi, q_ncie, q_te, scd
from mfif.metrics.functional.fmi import Feature
from mfif.metrics.functional.q_te import Variant as TsallisVariant
from mfif.metrics.functional.scd import Variant as DifferenceVariant
from mfif.metrics.fusion import SourceMetric


class QTE(SourceMetric):
    """Q_TE: Tsallis information shared with the sources, not bounded; see `mfif.metrics.functional.q_te`.

    Args:
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        variant: "cvejic" or "nava", each as its reference code has it, or with "_published" as its formula has it.
        **kwargs: For `torchmetrics.Metric`.

    Example:
        >>> import torch
        >>> image = torch.arange(16).view(1, 1, 4, 4) / 15
        >>> QTE()(image, image, image).round(decimals=3)
        tensor(22.4850, dtype=torch.float64)
    """

    formula = staticmethod(q_te)

    def __init__(self, data_range: float = 1.0, variant: TsallisVariant = "cvejic", **kwargs: Any) -> None:
        super().__init__(data_range, **kwargs)
        self.options = {"variant": variant}


class QNCIE(SourceMetric):
    """Q_NCIE: nonlinear correlation with the sources, 0.80..1; see `mfif.metrics.functional.q_ncie`.

    Args:
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        **kwargs: For `torchmetrics.Metric`.

    Example:
        >>> import torch
        >>> image = torch.arange(256).view(1, 1, 16, 16) / 255
        >>> QNCIE()(image, image, image).round(decimals=6)
        tensor(1., dtype=torch.float64)
    """

    formula = staticmethod(q_ncie)
    plot_lower_bound = 0.8
    plot_upper_bound = 1.0


class CE(SourceMetric):
    """CE: cross entropy of the sources and the fused image in bits, lower is better; see `mfif.metrics.functional.ce`.

    Args:
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        **kwargs: For `torchmetrics.Metric`.

    Example:
        >>> import torch
        >>> white, half = torch.ones(1, 1, 2, 2), torch.tensor([0.0, 1.0, 1.0, 0.0]).view(1, 1, 2, 2)
        >>> CE()(half, white, white)
        tensor(1., dtype=torch.float64)
    """

    formula = staticmethod(ce)
    higher_is_better = False


class FMI(SourceMetric):
    """FMI: feature information shared with the sources in small windows, 0..1; see `mfif.metrics.functional.fmi`.

    Args:
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        feature: "pixel", "gradient" or "dct".
        **kwargs: For `torchmetrics.Metric`.

    Example:
        >>> import torch
        >>> image = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        >>> FMI()(image, image, image)
        tensor(1., dtype=torch.float64)
    """

    formula = staticmethod(fmi)
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def __init__(self, data_range: float = 1.0, feature: Feature = "pixel", **kwargs: Any) -> None:
        super().__init__(data_range, **kwargs)
        self.options = {"feature": feature}


class SCD(SourceMetric):
    """SCD: correlation of what each source added with the other one, -2..2; see `mfif.metrics.functional.scd`.

    Args:
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        variant: What a constant difference scores: 0 ("yl") or nothing ("tang").
        **kwargs: For `torchmetrics.Metric`.

    Example:
        >>> import torch
        >>> a, b = torch.rand(2, 1, 1, 8, 8, generator=torch.Generator().manual_seed(0)) / 2
        >>> SCD()(a + b, a, b).round(decimals=2)
        tensor(2., dtype=torch.float64)
    """

    formula = staticmethod(scd)
    is_differentiable = True
    plot_lower_bound = -2.0
    plot_upper_bound = 2.0

    def __init__(self, data_range: float = 1.0, variant: DifferenceVariant = "yl", **kwargs: Any) -> None:
        super().__init__(data_range, **kwargs)
        self.options = {"variant": variant}
