"""Q_SF: spatial frequency of the fused image against the most that its sources have."""

import math

import torch
from torch import Tensor

from mfif.metrics.functional.gray import gray8
from mfif.metrics.functional.roots import root
from mfif.metrics.functional.validation import check_images

_DIAGONAL = math.sqrt(0.5)  # weight of the squared diagonal differences


def q_sf(fused: Tensor, source_a: Tensor, source_b: Tensor, data_range: float = 1.0) -> Tensor:
    """Relative error of the fused image's spatial frequency; 0 is best, negative is lost activity; differentiable.

    ``(SF(F) - SF_R) / SF_R``. SF sums squared differences of neighbours along rows, columns and both diagonals; SF_R
    takes at every pixel the larger of the two sources' differences.

    Args:
        fused: ``(B, 1, H, W)`` or ``(B, 3, H, W)`` in [0, data_range]; colour is scored on its gray.
        source_a: First source, same shape.
        source_b: Second source, same shape.
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.

    Returns:
        ``(B,)``, -1 or more; -1 for a constant fused image. As the reference, NaN if all three images are constant
        (0/0) and infinity if only the sources are; NaN also where a pixel is not finite.

    Raises:
        TypeError: An image is not a real tensor.
        ValueError: Shapes are wrong or differ, or an image does not fit `data_range`.

    Source: Zheng et al., Information Fusion 8(2), 2007; ``metricZheng.m`` of zhengliu6699/imageFusionMetrics, which
    weights the squared diagonal differences by sqrt(1/2) and divides every sum by HW.

    Example:
        >>> import torch
        >>> image = torch.arange(16).view(1, 1, 4, 4) / 15
        >>> q_sf(image / 2, image, image).round(decimals=1)
        tensor([-0.5000], dtype=torch.float64)
    """
    check_images(data_range, fused=fused, source_a=source_a, source_b=source_b)
    f, a, b = (_differences(gray8(image, data_range)) for image in (fused, source_a, source_b))
    strongest = [torch.maximum(of_a.abs(), of_b.abs()) for of_a, of_b in zip(a, b, strict=True)]
    reference = root(_power(strongest))
    # The common divisor HW cancels.
    return (root(_power(f)) - reference) / reference


def _differences(gray: Tensor) -> list[Tensor]:
    """Differences of ``(B, H, W)`` to the next pixel: in the row, in the column, and along both diagonals."""
    return [
        gray[:, :, 1:] - gray[:, :, :-1],
        gray[:, 1:] - gray[:, :-1],
        gray[:, 1:, 1:] - gray[:, :-1, :-1],
        gray[:, 1:, :-1] - gray[:, :-1, 1:],
    ]


def _power(differences: list[Tensor]) -> Tensor:
    """Weighted sum of squares, ``(B,)``."""
    row, column, main, second = (difference.square().sum((1, 2)) for difference in differences)
    return row + column + _DIAGONAL * (main + second)
