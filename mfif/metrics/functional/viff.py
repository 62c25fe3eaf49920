"""VIFF: visual information fidelity for fusion."""

import math

import torch
from torch import Tensor

from mfif.metrics.functional.gray import gray8
from mfif.metrics.functional.one_by_one import one_by_one
from mfif.metrics.functional.smoothing import gaussian, smooth
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
    grays = [gray8(image, data_range) for image in (fused, source_a, source_b)]
    if min(fused.shape[-2:]) < _SMALLEST_SIDE:
        return grays[0].new_full(grays[0].shape[:1], torch.nan)
    return one_by_one(_score, *grays)


def _score(*grays: Tensor) -> Tensor:
    """VIFF of gray images ``(B, H, W)``: fused and both sources."""
    # Only variances count, and float32 would lose the small ones in the squares of bright pixels.
    f, a, b = (gray - gray.mean((-2, -1), keepdim=True) for gray in grays)
    score = f.new_zeros(len(f))
    for scale, weight in enumerate(_SCALE_WEIGHTS):
        size = 2 ** (4 - scale) + 1
        window = gaussian(size, size / 5)
        if scale > 0:
            f, a, b = (smooth(image, window)[..., ::2, ::2].contiguous() for image in (f, a, b))
        if weight > 0:
            score = score + weight * _fidelity(f, a, b, window)
    return score


def _fidelity(f: Tensor, a: Tensor, b: Tensor, window: list[float]) -> Tensor:
    """One scale's ratio of information kept to information there, ``(B,)``, for images ``(B, H, W)``."""
    mean_f = smooth(f, window)
    var_f = (smooth(f * f, window) - mean_f * mean_f).clamp(min=0)
    gain_a, kept_a, there_a = _kept(f, a, mean_f, var_f, window)
    gain_b, kept_b, there_b = _kept(f, b, mean_f, var_f, window)
    weaker_a = gain_a < gain_b
    return _information(torch.where(weaker_a, kept_a, kept_b)) / _information(torch.where(weaker_a, there_a, there_b))


def _kept(
    f: Tensor, source: Tensor, mean_f: Tensor, var_f: Tensor, window: list[float]
) -> tuple[Tensor, Tensor, Tensor]:
    """Gain from a source to the fused image, and signal to noise of the source seen through it and seen itself."""
    mean = smooth(source, window)
    var = (smooth(source * source, window) - mean * mean).clamp(min=0)
    covariance = smooth(source * f, window) - mean * mean_f
    flat = torch.minimum(var, var_f) < _FLAT
    gain = (covariance / (var + _FLAT)).masked_fill(flat, 0).clamp(min=0)
    distortion = (var_f - gain * covariance).clamp(min=_FLAT)
    there = var.masked_fill(var < _FLAT, 0) / _VISUAL_NOISE
    return gain, gain * gain * var / (distortion + _VISUAL_NOISE), there


def _information(ratio: Tensor) -> Tensor:
    """Sum over pixels of log10(1 + signal to noise), ``(B,)``."""
    return torch.log1p(ratio).sum((1, 2)) / math.log(10) + _STABILIZER * ratio[0].numel()
