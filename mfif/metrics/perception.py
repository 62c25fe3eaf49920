"""Metrics after human perception as torchmetrics classes."""

from mfif.metrics.functional.q_cb import q_cb
from mfif.metrics.functional.q_cv import q_cv
from mfif.metrics.fusion import SourceMetric


class QCV(SourceMetric):
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

    formula = staticmethod(q_cv)
    is_differentiable = True
    higher_is_better = False
    plot_lower_bound = 0.0


class QCB(SourceMetric):
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

    formula = staticmethod(q_cb)
    is_differentiable = True
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0
