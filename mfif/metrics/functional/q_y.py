"""Q_Y: structural similarity to both sources where they agree, to the closer one where they do not, Yang's metric."""

import torch
from torch import Tensor

from mfif.metrics.functional.gray import gray8
from mfif.metrics.functional.one_by_one import one_by_one
from mfif.metrics.functional.validation import check_images, check_size
from mfif.metrics.functional.window import gaussian_moments, saliencies, similarity

_WINDOW = 7
_STABILIZERS = (2e-16, 2e-16)
_AGREEMENT = 0.75  # similarity of the sources from which on they count as agreeing


def q_y(fused: Tensor, source_a: Tensor, source_b: Tensor, data_range: float = 1.0) -> Tensor:
    """Mean over windows of the similarity to the sources; higher is better, differentiable.

    Where the sources are alike, each is weighted by its variance; elsewhere, the one that the fused image resembles
    more counts alone.

    Args:
        fused: ``(B, 1, H, W)`` or ``(B, 3, H, W)`` in [0, data_range]; colour is scored on its gray.
        source_a: First source, same shape.
        source_b: Second source, same shape.
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.

    Returns:
        ``(B,)`` in -1..1; 1 if all three images are equal. NaN where a pixel is not finite.

    Raises:
        TypeError: An image is not a real tensor.
        ValueError: Shapes are wrong or differ, or an image does not fit `data_range` or is smaller than the window of
            7 x 7 pixels.

    Source: Yang et al., Information Fusion 9(2), 2008; ``metricYang.m`` of yuliu316316/MFIF-Metrics (and of
    zhengliu6699/imageFusionMetrics, the same but for NaN where both sources are flat), which this follows to rounding
    wherever no window is flat in two images at different levels. There the reference divides rounding noise by
    rounding noise, up to a score of 36; this takes the luminance term of the similarity, its exact value.

    Example:
        >>> import torch
        >>> image = torch.arange(64).view(1, 1, 8, 8) / 63
        >>> q_y(image, image, image).round(decimals=5)
        tensor([1.], dtype=torch.float64)
    """
    check_images(data_range, fused=fused, source_a=source_a, source_b=source_b)
    check_size(_WINDOW, fused=fused)
    grays = [gray8(image, data_range) for image in (fused, source_a, source_b)]
    return one_by_one(_score, *grays)


def _score(f: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Q_Y of gray images ``(B, H, W)``."""
    moments = gaussian_moments(_WINDOW, f, a, b)
    like_a, like_b, agreement = (similarity(moments, i, j, _STABILIZERS) for i, j in ((0, 1), (0, 2), (1, 2)))
    saliency_a, saliency_b = saliencies(moments, 1, 2)
    share = saliency_a / (saliency_a + saliency_b)
    mixed = share * like_a + (1 - share) * like_b
    return torch.where(agreement >= _AGREEMENT, mixed, like_a.maximum(like_b)).mean((1, 2))
