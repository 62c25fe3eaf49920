"""Metrics of phase congruency as torchmetrics classes."""

from mfif.metrics.functional.q_p import q_p
from mfif.metrics.fusion import SourceMetric


class QP(SourceMetric):
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

    formula = staticmethod(q_p)
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0
