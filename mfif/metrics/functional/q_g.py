"""Q_G (Q^AB/F): how much of the sources' edges the fused image keeps."""

import math
from functools import partial
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mfif.metrics.functional.compiling import compilable
from mfif.metrics.functional.gray import gray8
from mfif.metrics.functional.one_by_one import one_by_one
from mfif.metrics.functional.roots import root
from mfif.metrics.functional.validation import check_images

Variant = Literal["zl", "yl"]

_LIFT = 1e-5  # stands in for a zero gradient wherever the reference divides by one


class _Sigmoid(NamedTuple):
    """gain / (1 + exp(-slope * (x - center))); the gain, common to all pixels, is left to the end."""

    gain: float
    slope: float
    center: float

    def __call__(self, x: Tensor, unit: float = 1.0) -> Tensor:
        """The sigmoid of ``unit * x``, without its gain."""
        return torch.add(x.new_tensor(-self.slope * self.center), x, alpha=self.slope * unit).sigmoid()


_STRENGTH = {"zl": _Sigmoid(1.0, 10.0, 0.5), "yl": _Sigmoid(0.9994, 15.0, 0.5)}
_ANGLE = {"zl": _Sigmoid(1.0, 20.0, 0.75), "yl": _Sigmoid(0.9879, 22.0, 0.8)}


class _Edges(NamedTuple):
    gx: Tensor  # never zero
    gy: Tensor
    strength: Tensor  # zero where the image is flat
    lifted: Tensor  # the same, never zero


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


@compilable
def _score(*grays: Tensor, variant: Variant) -> Tensor:
    """Q_G of gray images ``(B, H, W)``: fused and both sources."""
    f, a, b = (_edges(gray) for gray in grays)
    # The first source meets the strength 0 of a flat fused image, unless it is flat itself.
    kept_a = _kept(a, f, torch.maximum(f.strength, _LIFT - a.strength), variant)
    kept_b = _kept(b, f, f.lifted, variant)

    kept = torch.addcmul(kept_a * a.lifted, kept_b, b.lifted)
    weight = a.lifted + b.lifted
    gain = _STRENGTH[variant].gain * _ANGLE[variant].gain
    if variant == "zl":
        return gain * (kept / weight).mean((1, 2))
    return gain * kept.sum((1, 2)) / weight.sum((1, 2))


def _kept(source: _Edges, fused: _Edges, strength: Tensor, variant: Variant) -> Tensor:
    """How much of a source's edges the fused image has at each pixel, given its strength there."""
    ratio = torch.minimum(source.lifted, strength) / torch.maximum(source.lifted, strength)
    return _STRENGTH[variant](ratio) * _ANGLE[variant](_alignment(source, fused, variant), 2 / math.pi)


def _edges(gray: Tensor) -> _Edges:
    """Sobel gradient of ``(B, H, W)``, zeros beyond the border."""
    # Sums of shifted views, not a convolution: whole numbers stay exact in every type and on every device.
    padded = F.pad(gray, (1, 1, 1, 1))
    down = torch.add(padded[:, :-2] + padded[:, 2:], padded[:, 1:-1], alpha=2)
    across = torch.add(padded[:, :, :-2] + padded[:, :, 2:], padded[:, :, 1:-1], alpha=2)
    gx = down[:, :, 2:] - down[:, :, :-2]
    gy = across[:, 2:] - across[:, :-2]
    strength = root(torch.addcmul(gx * gx, gy, gy))
    zero = (1 - gx.detach().abs()).clamp(min=0)  # 1 or 0 for whole numbers; torch.where takes several times as long
    return _Edges(torch.add(gx, zero, alpha=_LIFT), gy, strength, strength.clamp(min=_LIFT))


def _alignment(source: _Edges, fused: _Edges, variant: Variant) -> Tensor:
    """pi/2 for equal edge directions; "yl" falls to -pi/2, "zl" knows that angles pi apart are one direction.

    The references have ``pi/2 - |d|`` ("yl") and ``| |d| - pi/2 |`` ("zl") for the difference d of two arctangents. One
    gives the same: of the dot product over the cross product, of gradients that point to the right.
    """
    dot = torch.addcmul(source.gx * fused.gx, source.gy, fused.gy)
    cross = torch.addcmul(source.gx * fused.gy, source.gy, fused.gx, value=-1)
    along = dot.abs() if variant == "zl" else dot * (source.gx * fused.gx).sign()
    return torch.atan2(along, cross.abs())
