"""Metrics of structure as torchmetrics classes: similarity to the sources or the truth."""

from typing import Any

from mfif.metrics.functional.q_c import q_c
from mfif.metrics.functional.q_e import q_e
from mfif.metrics.functional.q_s import Variant, q_s
from mfif.metrics.functional.q_w import q_w
from mfif.metrics.functional.q_y import q_y
from mfif.metrics.functional.source_psnr import Variant as PsnrVariant
from mfif.metrics.functional.source_psnr import source_psnr
from mfif.metrics.functional.source_ssim import source_ssim
from mfif.metrics.functional.ssim import ssim
from mfif.metrics.fusion import SourceMetric, TruthMetric


class QS(SourceMetric):
    """Q_S: similarity to the sources in windows, -1..1; see `mfif.metrics.functional.q_s`.

    Args:
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        variant: "yl", with the windows of the publication, or "zl", the original toolbox.
        **kwargs: For `torchmetrics.Metric`.

    Example:
        >>> import torch
        >>> image = torch.arange(64).view(1, 1, 8, 8) / 63
        >>> QS()(image, image, image).round(decimals=5)
        tensor(1., dtype=torch.float64)
    """

    formula = staticmethod(q_s)
    is_differentiable = True
    plot_lower_bound = -1.0
    plot_upper_bound = 1.0

    def __init__(self, data_range: float = 1.0, variant: Variant = "yl", **kwargs: Any) -> None:
        super().__init__(data_range, **kwargs)
        self.options = {"variant": variant}


class QW(SourceMetric):
    """Q_W: Q_S weighted by where the sources are lively, -1..1; see `mfif.metrics.functional.q_w`.

    Args:
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        variant: "yl", with the windows of the publication, or "zl", the original toolbox.
        **kwargs: For `torchmetrics.Metric`.

    Example:
        >>> import torch
        >>> image = torch.arange(64).view(1, 1, 8, 8) / 63
        >>> QW()(image, image, image).round(decimals=5)
        tensor(1., dtype=torch.float64)
    """

    formula = staticmethod(q_w)
    is_differentiable = True
    plot_lower_bound = -1.0
    plot_upper_bound = 1.0

    def __init__(self, data_range: float = 1.0, variant: Variant = "yl", **kwargs: Any) -> None:
        super().__init__(data_range, **kwargs)
        self.options = {"variant": variant}


class QE(SourceMetric):
    """Q_E: Q_W of the images and of their edges, -1..1; see `mfif.metrics.functional.q_e`.

    Args:
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        **kwargs: For `torchmetrics.Metric`.

    Example:
        >>> import torch
        >>> image = torch.arange(64).view(1, 1, 8, 8) / 63
        >>> QE()(image, image, image).round(decimals=5)
        tensor(1., dtype=torch.float64)
    """

    formula = staticmethod(q_e)
    is_differentiable = True
    plot_lower_bound = -1.0
    plot_upper_bound = 1.0


class QC(SourceMetric):
    """Q_C: similarity to the source that the fused image varies with, -1..1; see `mfif.metrics.functional.q_c`.

    Args:
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        variant: "yl", with the windows of the publication, or "zl", the original toolbox.
        **kwargs: For `torchmetrics.Metric`.

    Example:
        >>> import torch
        >>> image = torch.arange(64).view(1, 1, 8, 8) / 63
        >>> QC()(image, image, image).round(decimals=5)
        tensor(1., dtype=torch.float64)
    """

    formula = staticmethod(q_c)
    is_differentiable = True
    plot_lower_bound = -1.0
    plot_upper_bound = 1.0

    def __init__(self, data_range: float = 1.0, variant: Variant = "yl", **kwargs: Any) -> None:
        super().__init__(data_range, **kwargs)
        self.options = {"variant": variant}


class QY(SourceMetric):
    """Q_Y: similarity to both sources or to the closer one, -1..1; see `mfif.metrics.functional.q_y`.

    Args:
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        **kwargs: For `torchmetrics.Metric`.

    Example:
        >>> import torch
        >>> image = torch.arange(64).view(1, 1, 8, 8) / 63
        >>> QY()(image, image, image).round(decimals=5)
        tensor(1., dtype=torch.float64)
    """

    formula = staticmethod(q_y)
    is_differentiable = True
    plot_lower_bound = -1.0
    plot_upper_bound = 1.0


class SSIM(TruthMetric):
    """SSIM: structural similarity to the truth, -1..1; see `mfif.metrics.functional.ssim`.

    Args:
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        **kwargs: For `torchmetrics.Metric`.

    Example:
        >>> import torch
        >>> image = torch.arange(256).view(1, 1, 16, 16) / 255
        >>> SSIM()(image, image).round(decimals=5)
        tensor(1., dtype=torch.float64)
    """

    formula = staticmethod(ssim)
    is_differentiable = True
    plot_lower_bound = -1.0
    plot_upper_bound = 1.0


class SourcePSNR(SourceMetric):
    """PSNR against both sources, in dB; see `mfif.metrics.functional.source_psnr`.

    Three equal images score infinity, and then so does the mean: it is not hidden.

    Args:
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        variant: "vifb", as MFIFB prints it, or "published", as the formula has it.
        **kwargs: For `torchmetrics.Metric`.

    Example:
        >>> import torch
        >>> black, white = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
        >>> SourcePSNR(variant="published")(black, black, white).round(decimals=2)
        tensor(3.0100, dtype=torch.float64)
    """

    formula = staticmethod(source_psnr)

    def __init__(self, data_range: float = 1.0, variant: PsnrVariant = "vifb", **kwargs: Any) -> None:
        super().__init__(data_range, **kwargs)
        self.options = {"variant": variant}


class SourceSSIM(SourceMetric):
    """SSIM to the one source plus that to the other, -2..2; see `mfif.metrics.functional.source_ssim`.

    Args:
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        **kwargs: For `torchmetrics.Metric`.

    Example:
        >>> import torch
        >>> image = torch.arange(256).view(1, 1, 16, 16) / 255
        >>> SourceSSIM()(image, image, image).round(decimals=5)
        tensor(2., dtype=torch.float64)
    """

    formula = staticmethod(source_ssim)
    is_differentiable = True
    plot_lower_bound = -2.0
    plot_upper_bound = 2.0
