"""Metrics of structure as torchmetrics classes: similarity to the sources or the truth, and edges of the map."""

from typing import Any

from torch import Tensor

from mfif.metrics.functional.boundary_accuracy import boundary_accuracy
from mfif.metrics.functional.q_c import q_c
from mfif.metrics.functional.q_e import q_e
from mfif.metrics.functional.q_s import Variant, q_s
from mfif.metrics.functional.q_w import q_w
from mfif.metrics.functional.q_y import q_y
from mfif.metrics.functional.source_psnr import Variant as PsnrVariant
from mfif.metrics.functional.source_psnr import source_psnr
from mfif.metrics.functional.source_ssim import source_ssim
from mfif.metrics.functional.ssim import ssim
from mfif.metrics.functional.validation import check_values
from mfif.metrics.fusion import FusionMetric, SourceMetric, TruthMetric


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
