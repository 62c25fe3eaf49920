"""Q_CB: contrast kept from the sources as the eye weighs it, the Chen-Blum metric."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from mfif.metrics.functional.gray import gray8
from mfif.metrics.functional.one_by_one import one_by_one
from mfif.metrics.functional.sensitivity import filter_frequencies, radial_frequency, stretch8
from mfif.metrics.functional.smoothing import smooth
from mfif.metrics.functional.validation import check_images

_RADIUS = 15  # of the windows of both Gaussians
_NARROW, _WIDE = 2.0, 4.0  # their standard deviations
_MASKING = 1e-4


def q_cb(fused: Tensor, source_a: Tensor, source_b: Tensor, data_range: float = 1.0) -> Tensor:
    """Local contrast of the sources found again in the fused image; higher is better, differentiable.

    Args:
        fused: ``(B, 1, H, W)`` or ``(B, 3, H, W)`` in [0, data_range]; colour is scored on its gray.
        source_a: First source, same shape.
        source_b: Second source, same shape.
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.

    Returns:
        ``(B,)`` in 0..1; 1 if all three images are equal. NaN, as the reference, where an image of the three is
        constant; also where a pixel is not finite.

    Raises:
        TypeError: An image is not a real tensor.
        ValueError: Shapes are wrong or differ, or an image does not fit `data_range`.

    Source: Chen and Blum, Image and Vision Computing 27(10), 2009; ``metricChenBlum.m`` of
    zhengliu6699/imageFusionMetrics, which this follows to rounding: images stretched to 0..255, sensitivity a
    difference of Gaussians, windows of 31 x 31 pixels not normalized, zeros beyond the border.

    Example:
        >>> import torch
        >>> image = torch.arange(64).view(1, 1, 8, 8) / 63
        >>> q_cb(image, image, image).round(decimals=5)
        tensor([1.], dtype=torch.float64)
    """
    check_images(data_range, fused=fused, source_a=source_a, source_b=source_b)
    grays = [gray8(image, data_range) for image in (fused, source_a, source_b)]
    return one_by_one(_score, *grays)


def _score(*grays: Tensor) -> Tensor:
    """Q_CB of gray images f, a, b, ``(B, H, W)`` each."""
    f, a, b = map(_masked_contrast, grays)
    kept_a, kept_b = (source.minimum(f) / source.maximum(f) for source in (a, b))
    saliency_a, saliency_b = a * a, b * b
    return ((saliency_a * kept_a + saliency_b * kept_b) / (saliency_a + saliency_b)).mean((1, 2))


def _masked_contrast(gray: Tensor) -> Tensor:
    """Contrast of gray images ``(B, H, W)`` as seen: filtered by sensitivity, compared to the surround, masked."""
    image = stretch8(gray)
    seen = filter_frequencies(image, _sensitivity(radial_frequency(image)))
    contrast = (_smooth(seen, _NARROW) / _smooth(seen, _WIDE) - 1).abs()
    return contrast**3 / (contrast**2 + _MASKING)


def _sensitivity(frequency: Tensor) -> Tensor:
    """Contrast sensitivity of the eye at a 15th of the frequency, as the reference scales it."""
    squared = (frequency / 15) ** 2
    return torch.exp(-squared / 15.3870**2) - 0.7622 * torch.exp(-squared / 1.3456**2)


def _smooth(images: Tensor, sigma: float) -> Tensor:
    """Correlate ``(B, H, W)`` with a Gaussian cut to 31 x 31 pixels, zeros beyond the border."""
    taps = [math.exp(-0.5 * (i / sigma) ** 2) / (math.sqrt(2 * math.pi) * sigma) for i in range(-_RADIUS, _RADIUS + 1)]
    return smooth(F.pad(images, (_RADIUS,) * 4), taps)
