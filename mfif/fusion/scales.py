"""One map of what a network says of a large picture at several resolutions."""

from collections.abc import Callable
from math import ceil

import torch
from torch import Tensor
from torch.nn import functional as F

from mfif.errors import InputError
from mfif.fusion.tiles import Raster

View = Callable[[Tensor], Tensor]
"""What a network sees, in [0, 1], of a part of a picture."""

Scores = Callable[[View, Raster, Raster], Tensor]
"""Gives the scores of a pair, see `score_of`, of what a view makes of it."""

_LEAST = 384  # pixels of the longer side of the smallest picture that is looked at
_WHITE, _MIDDLE = 65535, 32768  # of halved pictures, which are kept in 16 bits; with a sign, for all devices know those
_SURE = 1e-6  # what is nearer to 0 or 1 counts as this near
_BLOCK = 32  # side in pixels of the blocks whose scores are averaged; three by three tell how sure a network is
_UNSURE, _CERTAIN = 4.0, 8.0  # mean scores at which what lies below counts fully, and not at all
_WEIGHT = 2.0  # of the score below, where it counts fully
_ROWS = 512  # that are halved or joined at once; a multiple of blocks


def scales_of(height: int, width: int) -> int:
    """How many resolutions a picture is looked at in: it is halved while its longer side keeps 384 pixels.

    Example:
        >>> [scales_of(side, side) for side in (520, 768, 1536, 3072, 6000)]
        [1, 2, 3, 4, 4]
    """
    return max((max(height, width) // _LEAST).bit_length(), 1)


def check_scales(scales: int | None) -> None:
    """Raise unless a network can look at a picture in so many resolutions.

    Raises:
        InputError: It cannot.
    """
    if scales is not None and scales < 1:
        raise InputError(f"Expected `scales` to be positive, or none for as many as the size asks for, got {scales!r}.")


def scores_at(scales: int, a: Raster, b: Raster, view: View, scores: Scores) -> Tensor:
    """Scores of a pair at full resolution, joined with those of the pair at half of it, a quarter, and so on.

    Args:
        scales: How many resolutions.
        a: First source, ``(B, C, H, W)``.
        b: Second source, same shape.
        view: What the network sees of them.
        scores: Looks at a pair.

    Returns:
        ``(B, 1, H, W)``, float16.
    """
    if scales == 1:
        return scores(view, a, b)
    coarse = scores_at(scales - 1, halved(a, view), halved(b, view), unhalved, scores)
    return join(scores(view, a, b), coarse)


def halved(image: Raster, view: View) -> Tensor:
    """A picture at half the resolution, each pixel the mean of 2x2; of an odd row or column, of what there is.

    Args:
        image: The picture, ``(B, C, H, W)``.
        view: What shall be halved of it.

    Returns:
        ``(B, C', (H + 1) // 2, (W + 1) // 2)``, as `unhalved` takes it.
    """

    def mean(rows: Tensor) -> Tensor:
        pooled = F.avg_pool2d(view(rows), 2, ceil_mode=True, count_include_pad=False)
        return ((pooled.clamp(0, 1) * _WHITE).round() - _MIDDLE).to(torch.int16)

    height = image.shape[-2]
    parts = [mean(image[..., top : min(top + _ROWS, height), :]) for top in range(0, height, _ROWS)]
    return torch.cat(parts, dim=-2)


def unhalved(image: Tensor) -> Tensor:
    """What was halved in [0, 1], float32."""
    return (image.float() + _MIDDLE) / _WHITE


def log_odds(level: float) -> float:
    """The score of a level of a map."""
    return torch.tensor(level, dtype=torch.float64).clamp(0, 1).logit().item()


def score_of(alpha: Tensor) -> Tensor:
    """The logarithm of the odds that a map stands for, float16; of the complement it is exactly the opposite."""
    odds = torch.maximum(alpha, 1 - alpha).logit(eps=_SURE)  # of the larger one, for the other's rounds otherwise
    return torch.where(alpha < 0.5, -odds, odds).half()


def join(fine: Tensor, coarse: Tensor) -> Tensor:
    """Add the scores of a picture at half the resolution to those at the full one, where the latter are unsure.

    How sure a network is, is the mean size of its scores over 96x96 pixels. Where that is 8 or more, nothing is added:
    a seam is where scores change their sign, and thin things are seen at full resolution alone. Where it is 4 or less,
    as in what both sources show smooth, twice the coarse score is.

    Args:
        fine: Scores ``(B, 1, H, W)``, float16; what is added is added in place.
        coarse: Scores at half the resolution, ``(B, 1, (H + 1) // 2, (W + 1) // 2)``.

    Returns:
        `fine`.
    """
    height, width = fine.shape[-2:]
    share = _doubtful(fine)
    for top in range(0, height, _ROWS):
        bottom = min(top + _ROWS, height)
        weight = _WEIGHT * _enlarged(share, _BLOCK, top, bottom, width)
        below = _enlarged(coarse, 2, top, bottom, width)
        fine[..., top:bottom, :] = fine[..., top:bottom, :].float() + weight * below
    return fine


def _doubtful(score: Tensor) -> Tensor:
    """To what share the score below counts, of blocks."""
    blocks = torch.cat([_mean_size(rows) for rows in torch.split(score, _ROWS, dim=-2)], dim=-2)
    sure = F.avg_pool2d(blocks, 3, stride=1, padding=1, count_include_pad=False)
    return ((_CERTAIN - sure) / (_CERTAIN - _UNSURE)).clamp(0, 1)


def _mean_size(score: Tensor) -> Tensor:
    return F.avg_pool2d(score.float().abs(), _BLOCK, ceil_mode=True, count_include_pad=False)


def _enlarged(small: Tensor, factor: int, top: int, bottom: int, width: int) -> Tensor:
    """Rows of an image enlarged bilinearly, from one that is a multiple of the factor to before another."""
    first, last = top // factor - 1, ceil(bottom / factor) + 1
    rows = small[..., max(first, 0) : last, :].float()
    large = F.interpolate(rows, scale_factor=float(factor), mode="bilinear")
    start = top - max(first, 0) * factor
    return large[..., start : start + bottom - top, :width]
