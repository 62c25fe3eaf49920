"""Q_S: structural similarity to the livelier source, Piella's fusion quality index."""

from typing import Literal, NamedTuple

from torch import Tensor

from mfif.metrics.functional.gray import gray8
from mfif.metrics.functional.one_by_one import one_by_one
from mfif.metrics.functional.shared_work import shared_work
from mfif.metrics.functional.validation import check_choice, check_images, check_size
from mfif.metrics.functional.window import BOX, Moments, gaussian_moments, saliencies, shared_box_moments, similarity

Variant = Literal["yl", "zl"]

WINDOW = {"yl": BOX, "zl": 11}
_STABILIZERS = {"yl": ((1e-6 * 255) ** 2, (1e-6 * 255) ** 2), "zl": ((0.01 * 255) ** 2, (0.03 * 255) ** 2)}


class LocalQuality(NamedTuple):
    """What Q_S, Q_W and Q_E average.

    Attributes:
        quality: Similarity to the sources in every window, weighted by their variances, ``(B, h, w)``.
        saliency: The larger of the two variances, same shape.
    """

    quality: Tensor
    saliency: Tensor


def q_s(fused: Tensor, source_a: Tensor, source_b: Tensor, data_range: float = 1.0, variant: Variant = "yl") -> Tensor:
    """Mean over windows of the similarity to the sources, each weighted by its variance; higher is better.

    Differentiable.

    Args:
        fused: ``(B, 1, H, W)`` or ``(B, 3, H, W)`` in [0, data_range]; colour is scored on its gray.
        source_a: First source, same shape.
        source_b: Second source, same shape.
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        variant: Which reference to follow. "yl": windows of 8 x 8 pixels and the similarity of the publication (UIQI).
            "zl": the original toolbox, SSIM with Gaussian windows of 11 x 11; about 5 % higher.

    Returns:
        ``(B,)`` in -1..1; 1 if all three images are equal. NaN where a pixel is not finite.

    Raises:
        TypeError: An image is not a real tensor.
        ValueError: Shapes are wrong or differ, an image does not fit `data_range` or is smaller than the window, or
            `variant` is unknown.

    Source: Piella and Heijmans, ICIP 2003; ``metricPeilla.m`` with ``sw=1`` of yuliu316316/MFIF-Metrics ("yl") and of
    zhengliu6699/imageFusionMetrics ("zl"), which this follows to rounding.

    Example:
        >>> import torch
        >>> image = torch.arange(64).view(1, 1, 8, 8) / 63
        >>> q_s(image, image, image).round(decimals=5)
        tensor([1.], dtype=torch.float64)
    """
    check_images(data_range, fused=fused, source_a=source_a, source_b=source_b)
    check_choice("variant", variant, WINDOW)
    check_size(WINDOW[variant], fused=fused)
    grays = [gray8(image, data_range) for image in (fused, source_a, source_b)]
    return one_by_one(lambda f, a, b: local_quality(f, a, b, variant).quality.mean((1, 2)), *grays)


@shared_work
def local_quality(f: Tensor, a: Tensor, b: Tensor, variant: Variant = "yl") -> LocalQuality:
    """Piella's local quality of gray images, ``(B, H, W)`` each."""
    moments = shared_box_moments(f, a, b) if variant == "yl" else gaussian_moments(WINDOW[variant], f, a, b)
    return quality_of(moments, variant)


def quality_of(moments: Moments, variant: Variant = "yl") -> LocalQuality:
    """Piella's local quality from the moments of the fused image and both sources."""
    like_a, like_b = (similarity(moments, 0, source, _STABILIZERS[variant]) for source in (1, 2))
    saliency_a, saliency_b = saliencies(moments, 1, 2)
    share = saliency_a / (saliency_a + saliency_b)
    return LocalQuality(share * like_a + (1 - share) * like_b, saliency_a.maximum(saliency_b))
