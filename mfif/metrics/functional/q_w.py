"""Q_W: Piella's fusion quality index, weighted by where the sources are lively."""

from torch import Tensor

from mfif.metrics.functional.gray import gray8
from mfif.metrics.functional.one_by_one import one_by_one
from mfif.metrics.functional.q_s import WINDOW, LocalQuality, Variant, local_quality
from mfif.metrics.functional.validation import check_choice, check_images, check_size


def q_w(fused: Tensor, source_a: Tensor, source_b: Tensor, data_range: float = 1.0, variant: Variant = "yl") -> Tensor:
    """Q_S with windows weighted by the larger variance of the two sources; higher is better, differentiable.

    Args:
        fused: ``(B, 1, H, W)`` or ``(B, 3, H, W)`` in [0, data_range]; colour is scored on its gray.
        source_a: First source, same shape.
        source_b: Second source, same shape.
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        variant: Which reference to follow. "yl": windows of 8 x 8 pixels and the similarity of the publication (UIQI).
            "zl": the original toolbox, SSIM with Gaussian windows of 11 x 11; about 1 % higher.

    Returns:
        ``(B,)`` in -1..1; 1 if all three images are equal. NaN where a pixel is not finite.

    Raises:
        TypeError: An image is not a real tensor.
        ValueError: Shapes are wrong or differ, an image does not fit `data_range` or is smaller than the window, or
            `variant` is unknown.

    Source: Piella and Heijmans, ICIP 2003; ``metricPeilla.m`` with ``sw=2`` of yuliu316316/MFIF-Metrics ("yl") and of
    zhengliu6699/imageFusionMetrics ("zl"), which this follows. As there, a window flat in both sources has a weight of
    0.5; "zl" itself gives it so only where its own rounding leaves a variance of exactly zero.

    Example:
        >>> import torch
        >>> image = torch.arange(64).view(1, 1, 8, 8) / 63
        >>> q_w(image, image, image).round(decimals=5)
        tensor([1.], dtype=torch.float64)
    """
    check_images(data_range, fused=fused, source_a=source_a, source_b=source_b)
    check_choice("variant", variant, WINDOW)
    check_size(WINDOW[variant], fused=fused)
    grays = [gray8(image, data_range) for image in (fused, source_a, source_b)]
    return one_by_one(lambda f, a, b: weighted(local_quality(f, a, b, variant)), *grays)


def weighted(local: LocalQuality) -> Tensor:
    """Mean quality of windows weighted by their saliency, ``(B,)``."""
    return (local.saliency * local.quality).sum((1, 2)) / local.saliency.sum((1, 2))
