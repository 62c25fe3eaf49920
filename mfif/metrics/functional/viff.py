"""VIFF: visual information fidelity for fusion."""

import math

import torch
from torch import Tensor

from mfif.metrics.functional.gray import gray8
from mfif.metrics.functional.validation import check_images

_SCALE_WEIGHTS = (1 / 2.15, 0.0, 0.15 / 2.15, 1 / 2.15)  # finest first; the second scale does not count
_SMALLEST_SIDE = 41  # below it the coarsest scale has no pixel left
_VISUAL_NOISE = 0.005 * 255**2
_FLAT = 1e-10  # variance under which a window counts as flat
_STABILIZER = 1e-7


def viff(fused: Tensor, source_a: Tensor, source_b: Tensor, data_range: float = 1.0) -> Tensor:
    """Visual information of the sources that the fused image carries; higher is better, differentiable.

    Four scales; per pixel the source whose structure comes back weaker is the one that counts.

    Args:
        fused: ``(B, 1, H, W)`` or ``(B, 3, H, W)`` in [0, data_range]; colour is scored on its gray.
        source_a: First source, same shape.
        source_b: Second source, same shape.
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.

    Returns:
        ``(B,)``, about 0..1, more than 1 where fusion added contrast. NaN, as the reference, for images under 41
        pixels high or wide; also where a pixel is not finite.

    Raises:
        TypeError: An image is not a real tensor.
        ValueError: Shapes are wrong or differ, or an image does not fit `data_range`.

    Source: Han et al., Information Fusion 14(2), 2013; constants of the authors' ``VIFF_Public.m``. Colour is reduced
    to gray as the field does, where the reference would take L of CIELAB. Not the sum VIF(A, F) + VIF(B, F) that some
    ports print under this name.

    Example:
        >>> import torch
        >>> image = torch.rand(1, 1, 48, 48, generator=torch.Generator().manual_seed(0))
        >>> viff(image, image, image).round(decimals=5)
        tensor([1.], dtype=torch.float64)
    """
    check_images(data_range, fused=fused, source_a=source_a, source_b=source_b)
    images = torch.stack([gray8(image, data_range) for image in (fused, source_a, source_b)])
    if min(images.shape[-2:]) < _SMALLEST_SIDE:
        return images.new_full(images.shape[1:2], torch.nan)

    # Only variances count, and float32 would lose the small ones in the squares of bright pixels.
    images = images - images.mean((-2, -1), keepdim=True)
    score = images.new_zeros(images.shape[1])
    for scale, weight in enumerate(_SCALE_WEIGHTS):
        window = _gaussian(2 ** (4 - scale) + 1)
        if scale > 0:
            images = _smooth(images, window)[..., ::2, ::2]
        if weight > 0:
            score = score + weight * _fidelity(images, window)
    return score


def _fidelity(images: Tensor, window: list[float]) -> Tensor:
    """One scale's ratio of information kept to information there, ``(B,)``, for f, a, b stacked ``(3, B, H, W)``."""
    f, a, b = images
    # The moments of both sources with f, smoothed in one go.
    products = torch.stack([f * f, a * a, b * b, a * f, b * f])
    smoothed = _smooth(torch.cat([images, products]), window)
    means, squares, mixed = smoothed[:3], smoothed[3:6], smoothed[6:]
    variances = (squares - means * means).clamp(min=0)
    covariances = mixed - means[1:] * means[:1]

    var_f, var = variances[:1], variances[1:]
    flat = (var < _FLAT) | (var_f < _FLAT)
    gain = torch.where(flat, 0.0, covariances / (var + _FLAT)).clamp(min=0)
    distortion = (var_f - gain * covariances).clamp(min=_FLAT)
    kept = torch.log1p(gain * gain * var / (distortion + _VISUAL_NOISE)) / math.log(10)
    there = torch.log1p(torch.where(var < _FLAT, 0.0, var) / _VISUAL_NOISE) / math.log(10)

    weaker_a = gain[0] < gain[1]
    kept = torch.where(weaker_a, kept[0], kept[1]) + _STABILIZER
    there = torch.where(weaker_a, there[0], there[1]) + _STABILIZER
    return kept.sum((1, 2)) / there.sum((1, 2))


def _gaussian(size: int) -> list[float]:
    """One axis of ``fspecial('gaussian', size, size / 5)``, which is separable."""
    taps = [math.exp(-0.5 * ((i - size // 2) / (size / 5)) ** 2) for i in range(size)]
    return [tap / sum(taps) for tap in taps]


def _smooth(images: Tensor, window: list[float]) -> Tensor:
    """Correlate ``(..., H, W)`` with the window along both axes, 'valid' area only."""
    # Weighted sums of shifted views: on CPU ten times faster than conv2d in float64, and autocast leaves them alone.
    for dim in (-1, -2):
        size = images.shape[dim] - len(window) + 1
        total = images.narrow(dim, 0, size) * window[0]
        for start, tap in enumerate(window[1:], start=1):
            total = total.add_(images.narrow(dim, start, size), alpha=tap)
        images = total
    return images
