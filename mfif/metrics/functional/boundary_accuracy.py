"""Accuracy of a decision map near the edges of the true one."""

import math

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, pad

from mfif.metrics.functional.precision import working_dtype
from mfif.metrics.functional.validation import check_shapes
from mfif.pair import binarize


def boundary_accuracy(alpha: Tensor, alpha_true: Tensor, radius: int = 5) -> Tensor:
    """Share of pixels near an edge of the true map that the decision map gives to the right source; higher is better.

    A pixel is near an edge if one that belongs to the other source lies at most `radius` pixels (Euclidean) from it:
    with a radius of 1, the two rows of pixels along the edge.

    Args:
        alpha: Decision map, ``(B, 1, H, W)`` in [0, 1], thresholded at 0.5 as for the fused image.
        alpha_true: True map, same shape, thresholded alike.
        radius: How far from the edge pixels count, in pixels, at least 1.

    Returns:
        ``(B,)`` in 0..1. NaN where the true map has no edge, or for a map with a value that is not finite.

    Raises:
        TypeError: A map is not a real tensor, or `radius` is not a whole number.
        ValueError: Maps are not ``(B, 1, H, W)``, are empty, or differ in shape, or `radius` is under 1.

    Source: ours; the band is the trimap of Kohli et al., International Journal of Computer Vision 82(3), 2009.

    Example:
        >>> import torch
        >>> alpha_true = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0, 0.0]).view(1, 1, 1, 6)
        >>> alpha = torch.tensor([0.0, 0.0, 1.0, 1.0, 0.0, 0.0]).view(1, 1, 1, 6)
        >>> boundary_accuracy(alpha, alpha_true, radius=1), boundary_accuracy(alpha, alpha_true, radius=2)
        (tensor([0.5000], dtype=torch.float64), tensor([0.5000], dtype=torch.float64))
    """
    check_shapes((1,), alpha=alpha, alpha_true=alpha_true)
    if not isinstance(radius, int) or isinstance(radius, bool):
        raise TypeError(f"Expected `radius` to be a whole number, got {radius!r}.")
    if radius < 1:
        raise ValueError(f"Expected `radius` to be at least 1, got {radius}.")
    truth = binarize(alpha_true) == 1
    near = _dilate(truth, radius) & _dilate(~truth, radius)
    right = (binarize(alpha) == binarize(alpha_true)) & near
    dtype = working_dtype(alpha.device)
    known = (alpha.isfinite() & alpha_true.isfinite()).all((1, 2, 3))
    return (right.sum((1, 2, 3)).to(dtype) / near.sum((1, 2, 3)).to(dtype)).masked_fill(~known, torch.nan)


def _dilate(region: Tensor, radius: int) -> Tensor:
    """Where a pixel of the region ``(B, 1, H, W)`` lies at most `radius` pixels away."""
    height = region.shape[-2]
    padded = pad(region.float(), (0, 0, radius, radius))
    reached = torch.zeros_like(region)
    for up in range(radius + 1):  # rows of the disc, and their mirror images
        half = math.isqrt(radius * radius - up * up)
        wide = max_pool2d(padded, (1, 2 * half + 1), 1, (0, half)) > 0
        reached |= wide[..., radius - up :, :][..., :height, :] | wide[..., radius + up :, :][..., :height, :]
    return reached
