"""VIFF: visual information fidelity for fusion."""

import math

import torch
from torch import Tensor

from mfif.metrics.functional.compiling import compilable
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


@compilable
def _score(*grays: Tensor) -> Tensor:
    """VIFF of gray images ``(B, H, W)``: fused and both sources."""
    # Only variances count, and float32 would lose the small ones in the squares of bright pixels.
    f, a, b = (gray - gray.mean((-2, -1), keepdim=True) for gray in grays)
    score = f.new_zeros(len(f))
    for scale, weight in enumerate(_SCALE_WEIGHTS):
        size = 2 ** (4 - scale) + 1
        window = gaussian(size, size / 5)
        if scale > 0:
            f, a, b = (smooth(image, window, step=2) for image in (f, a, b))
        if weight > 0:
            score = score + weight * _fidelity(f, a, b, window)
    return score


def _fidelity(f: Tensor, a: Tensor, b: Tensor, window: list[float]) -> Tensor:
    """One scale's ratio of information kept to information there, ``(B,)``, for images ``(B, H, W)``."""
    smoothed = smooth(torch.stack([f, a, b, f * f, a * a, b * b, a * f, b * f]), window)
    mean_f, mean_a, mean_b, square_f, square_a, square_b, product_a, product_b = smoothed
    var_f = torch.addcmul(square_f, mean_f, mean_f, value=-1).clamp(min=0)
    var_a = torch.addcmul(square_a, mean_a, mean_a, value=-1).clamp(min=0)
    var_b = torch.addcmul(square_b, mean_b, mean_b, value=-1).clamp(min=0)
    gain_a, kept_a = _kept(var_f, var_a, torch.addcmul(product_a, mean_a, mean_f, value=-1))
    gain_b, kept_b = _kept(var_f, var_b, torch.addcmul(product_b, mean_b, mean_f, value=-1))
    # 1 where the first source comes back weaker, 0 elsewhere; torch.where takes ten times as long as lerp.
    weaker_a = (gain_a - gain_b).detach().lt_(0)
    kept = _information(torch.lerp(kept_b, kept_a, weaker_a))
    return kept / _information(torch.lerp(var_b, var_a, weaker_a) / _VISUAL_NOISE)


def _kept(var_f: Tensor, var: Tensor, covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Gain from a source to the fused image, and signal to noise of the source seen through it."""
    not_flat = torch.minimum(var, var_f).detach().ge_(_FLAT)  # 1 or 0
    gain = (covariance / (var + _FLAT) * not_flat).clamp(min=0)
    distortion = torch.addcmul(var_f, gain, covariance, value=-1).clamp(min=_FLAT)
    return gain, gain * gain * var / (distortion + _VISUAL_NOISE)


def _information(ratio: Tensor) -> Tensor:
    """Sum over pixels of log10(1 + signal to noise), ``(B,)``."""
    return torch.log1p(ratio).sum((1, 2)) / math.log(10) + _STABILIZER * ratio[0].numel()
