"""Q_G (Q^AB/F): how much of the sources' edges the fused image keeps."""

import math
from functools import partial
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mfif.metrics.functional.gray import gray8
from mfif.metrics.functional.one_by_one import one_by_one
from mfif.metrics.functional.roots import root
from mfif.metrics.functional.validation import check_images

Variant = Literal["zl", "yl"]

_LIFT = 1e-5  # stands in for a zero gradient wherever the reference divides by one


class _Sigmoid(NamedTuple):
    """gain / (1 + exp(-slope * (x - center)))."""

    gain: float
    slope: float
    center: float

    def __call__(self, x: Tensor) -> Tensor:
        return self.gain * torch.sigmoid(self.slope * (x - self.center))


_STRENGTH = {"zl": _Sigmoid(1.0, 10.0, 0.5), "yl": _Sigmoid(0.9994, 15.0, 0.5)}
_ANGLE = {"zl": _Sigmoid(1.0, 20.0, 0.75), "yl": _Sigmoid(0.9879, 22.0, 0.8)}


class _Edges(NamedTuple):
    strength: Tensor  # zero where the image is flat
    lifted: Tensor  # the same, never zero
    angle: Tensor  # -pi/2 .. pi/2


def q_g(fused: Tensor, source_a: Tensor, source_b: Tensor, data_range: float = 1.0, variant: Variant = "zl") -> Tensor:
    """Share of the sources' edge strength and direction found again in the fused image; higher is better.

    Args:
        fused: ``(B, 1, H, W)`` or ``(B, 3, H, W)`` in [0, data_range]; colour is scored on its gray.
        source_a: First source, same shape.
        source_b: Second source, same shape.
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        variant: Which reference to follow. "zl": the original toolbox, which the paper used; mean over pixels of the
            weighted ratio, angle difference wrapped. "yl": its correction after the publication; one ratio of sums,
            angle difference not wrapped, other constants; about 4 % higher.

    Returns:
        ``(B,)`` in 0..1. Perfect fusion gives 0.98666 ("zl") or 0.97479 ("yl"), not 1. NaN where a pixel is not finite.

    Raises:
        TypeError: An image is not a real tensor.
        ValueError: Shapes are wrong or differ, an image does not fit `data_range`, or `variant` is unknown.

    Source: Xydeas and Petrovic, Electronics Letters 36(4), 2000; ``metricXydeas.m`` of zhengliu6699/imageFusionMetrics
    ("zl") and of yuliu316316/MFIF-Metrics ("yl"), which this follows to rounding. In either, exchanging the sources
    matters (by about 1e-4) where the fused image is flat: there the first source meets strength 0, the second 1e-5.

    Example:
        >>> import torch
        >>> image = torch.arange(16).view(1, 1, 4, 4) / 15
        >>> q_g(image, image, image).round(decimals=5)
        tensor([0.9867], dtype=torch.float64)
    """
    check_images(data_range, fused=fused, source_a=source_a, source_b=source_b)
    if variant not in _STRENGTH:
        raise ValueError(f"Expected `variant` to be 'zl' or 'yl', got {variant!r}.")
    grays = [gray8(image, data_range) for image in (fused, source_a, source_b)]
    return one_by_one(partial(_score, variant=variant), *grays)


def _score(*grays: Tensor, variant: Variant) -> Tensor:
    """Q_G of gray images ``(B, H, W)``: fused and both sources."""
    f, a, b = (_edges(gray) for gray in grays)
    ratio_a = torch.where(a.strength > f.strength, f.strength / a.lifted, a.lifted / f.lifted)
    ratio_b = torch.minimum(b.lifted, f.lifted) / torch.maximum(b.lifted, f.lifted)
    kept_a = _STRENGTH[variant](ratio_a) * _ANGLE[variant](_alignment(a.angle, f.angle, variant))
    kept_b = _STRENGTH[variant](ratio_b) * _ANGLE[variant](_alignment(b.angle, f.angle, variant))

    kept = kept_a * a.lifted + kept_b * b.lifted
    weight = a.lifted + b.lifted
    if variant == "zl":
        return (kept / weight).mean((1, 2))
    return kept.sum((1, 2)) / weight.sum((1, 2))


def _edges(gray: Tensor) -> _Edges:
    """Sobel strength and angle of ``(B, H, W)``, zeros beyond the border."""
    # Sums of shifted views, not a convolution: whole numbers stay exact in every type and on every device.
    padded = F.pad(gray, (1, 1, 1, 1))
    down = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    across = padded[:, :, :-2] + 2 * padded[:, :, 1:-1] + padded[:, :, 2:]
    gx = down[:, :, 2:] - down[:, :, :-2]
    gy = across[:, 2:] - across[:, :-2]
    strength = root(gx * gx + gy * gy)
    return _Edges(strength, strength.clamp(min=_LIFT), torch.atan(gy / torch.where(gx == 0, _LIFT, gx)))


def _alignment(angle: Tensor, other: Tensor, variant: Variant) -> Tensor:
    """1 for equal edge directions; "yl" falls to -1, "zl" knows that angles pi apart are one direction."""
    apart = (angle - other).abs() * (2 / math.pi)
    return (apart - 1).abs() if variant == "zl" else 1 - apart
