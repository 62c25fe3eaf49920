"""Q_C: structural similarity to the source that the fused image varies with, Cvejic's metric."""

from functools import partial

import torch
from torch import Tensor

from mfif.metrics.functional.gray import gray8
from mfif.metrics.functional.one_by_one import one_by_one
from mfif.metrics.functional.q_s import Variant
from mfif.metrics.functional.validation import check_choice, check_images, check_size
from mfif.metrics.functional.window import BOX, gaussian_moments, shared_box_moments, similarity

_WINDOW = {"yl": BOX, "zl": 7}
_STABILIZERS = (2e-16, 2e-16)


def q_c(fused: Tensor, source_a: Tensor, source_b: Tensor, data_range: float = 1.0, variant: Variant = "yl") -> Tensor:
    """Mean over windows of the similarity to the sources, weighted by their covariances with the fused image.

    Higher is better; differentiable.

    Args:
        fused: ``(B, 1, H, W)`` or ``(B, 3, H, W)`` in [0, data_range]; colour is scored on its gray.
        source_a: First source, same shape.
        source_b: Second source, same shape.
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        variant: Which reference to follow. "yl": windows of 8 x 8 pixels, weights clipped to 0..1. "zl": the original
            toolbox, Gaussian windows of 7 x 7; a weight of `source_a` under 0 makes the window's score 0, one over 1
            makes it 1 (so exchanging the sources matters).

    Returns:
        ``(B,)`` in -1..1; 1 if all three images are equal. NaN where a pixel is not finite.

    Raises:
        TypeError: An image is not a real tensor.
        ValueError: Shapes are wrong or differ, an image does not fit `data_range` or is smaller than the window, or
            `variant` is unknown.

    Source: Cvejic et al., International Journal of Signal Processing 2(3), 2005; ``metricCvejic.m`` with ``sw=2`` of
    yuliu316316/MFIF-Metrics ("yl"), which this follows to rounding, and of zhengliu6699/imageFusionMetrics ("zl").
    Where the fused image varies with neither source, both weigh 0.5, as in "yl"; "zl" itself divides zero by zero, or
    rounding noise by rounding noise: half of all photographs have no score there, and others one like 5.17.

    Example:
        >>> import torch
        >>> image = torch.arange(64).view(1, 1, 8, 8) / 63
        >>> q_c(image, image, image).round(decimals=5)
        tensor([1.], dtype=torch.float64)
    """
    check_images(data_range, fused=fused, source_a=source_a, source_b=source_b)
    check_choice("variant", variant, _WINDOW)
    check_size(_WINDOW[variant], fused=fused)
    grays = [gray8(image, data_range) for image in (fused, source_a, source_b)]
    return one_by_one(partial(_score, variant=variant), *grays)


def _score(f: Tensor, a: Tensor, b: Tensor, variant: Variant) -> Tensor:
    """Q_C of gray images ``(B, H, W)``."""
    moments = shared_box_moments(f, a, b) if variant == "yl" else gaussian_moments(_WINDOW[variant], f, a, b)
    like_a, like_b = (similarity(moments, 0, source, _STABILIZERS) for source in (1, 2))
    with_a, with_b = moments.central[0, 1], moments.central[0, 2]
    total = with_a + with_b
    # Over zero, the ratio would be 0/0, taken as 1/2, or infinite, of which only the side that is clipped matters.
    ratio = with_a / torch.where(total == 0, 1.0, total)
    share = torch.where(total == 0, 0.5 + with_a.sign(), ratio)
    clipped = share.clamp(0, 1)
    quality = clipped * like_a + (1 - clipped) * like_b
    if variant == "zl":
        quality = torch.where(share < 0, 0.0, torch.where(share > 1, 1.0, quality))
    return quality.mean((1, 2))
