"""DSIFT: dense SIFT descriptors measure focus, and find what to compare where that leaves a pixel undecided."""

import itertools
import math

import torch
from skimage.morphology import remove_small_holes, remove_small_objects
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, pad

from mfif.classical.gray8 import gray8

_ORIENTATIONS, _ATTENUATION = 8, 9  # bins of direction, and the power by which a bin loses to the next one
_BINS = 4  # along each side of a descriptor
_AGREEMENT = 0.99  # share of the blocks over a pixel that must vote for a source
_RADIUS = 3  # of the search for a match, and of the windows whose contrast is compared
_ROWS = 16  # of the image that are matched at once


class DenseSift:
    """Decides by the strength of dense SIFT descriptors, and undecided pixels by the contrast of what matches them.

    The map is 1 or 0 where a source is sure to be in focus and 0.5 elsewhere: it must not be thresholded.

    Args:
        scale: Size of the descriptors in pixels; their 4 x 4 bins are an eighth of it apart.
        block: Side in pixels of the blocks that vote. In images smaller than a block nothing is decided.
        area: Pixels that a region decided by votes must have to be kept, and a hole in it not to be filled.

    Raises:
        ValueError: `scale` is no multiple of 8 from 16 on, or `block` or `area` is not positive.

    Source: Liu, Liu, Wang, Multi-focus image fusion with dense SIFT, Information Fusion 2015, and the authors' code.
    """

    def __init__(self, scale: int = 48, block: int = 8, area: int = 3600) -> None:
        if scale < 16 or scale % 8:
            raise ValueError(f"Expected `scale` to be a multiple of 8 from 16 on, got {scale}.")
        if block < 1 or area < 1:
            raise ValueError(f"Expected `block` and `area` to be positive, got {block} and {area}.")
        self.scale, self.block, self.area = scale, block, area

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Decision map ``(B, 1, H, W)`` of gray sources of that shape in [0, 1]; they are rounded to 8 bit."""
        sources = (torch.from_numpy(gray8(source)).to(a.device, torch.float64) for source in (a, b))
        maps = [self._decide(pair) for pair in zip(*sources, strict=True)]
        return torch.stack(maps)[:, None].to(a.dtype)

    def _decide(self, images: tuple[Tensor, Tensor]) -> Tensor:
        """Decision map of two images ``(H, W)``, whole numbers up to 255."""
        step = self.scale // 8
        histograms = [orientation_histograms(image, step) for image in images]
        a, b = (bins(planes.sum(0), step).sum(0) for planes in histograms)
        first, second = (self._clean(votes) for votes in (elected(a, b, self.block), elected(b, a, self.block)))
        alpha = (1 + first - second) / 2
        _match(alpha, images, histograms, step)
        return alpha

    def _clean(self, regions: Tensor) -> Tensor:
        """Drop the regions smaller than `area`, then fill such holes; both are 8-connected."""
        cleaned = remove_small_objects(regions.cpu().numpy(), max_size=self.area - 1, connectivity=2)
        cleaned = remove_small_holes(cleaned, max_size=self.area - 1, connectivity=2)
        return torch.from_numpy(cleaned).to(regions.device, torch.float64)


def orientation_histograms(image: Tensor, step: int) -> Tensor:
    """Gradients by direction, spread over the bins of dense SIFT descriptors.

    Args:
        image: ``(H, W)``, float and not negative; its maximum is taken as white.
        step: Distance of the bins in pixels.

    Returns:
        ``(8, H + 3 * step, W + 3 * step)``, see `bins`.
    """
    margin = 2 * step - 1
    framed = pad(image, (margin,) * 4)
    framed = framed / framed.max().clamp(min=1)
    gradient = conv2d(framed[None, None], _derivatives().to(image), padding=2)[0]
    magnitude = torch.hypot(gradient[0], gradient[1])
    angles = torch.arange(_ORIENTATIONS).to(image) * (2 * math.pi / _ORIENTATIONS)
    directions = torch.stack([angles.cos(), angles.sin()], 1)
    cosines = torch.tensordot(directions, gradient, 1) / magnitude.clamp(min=torch.finfo(image.dtype).tiny)
    planes = cosines.clamp(min=0) ** _ATTENUATION * magnitude
    triangle = 1 - (torch.arange(2 * step).to(image) - (step - 0.5)).abs() / step
    before, after = step - 2, step + 1  # one less would be the middle; the authors' code has it so
    planes = pad(planes, (before, after, before, after))[:, None]
    planes = conv2d(conv2d(planes, triangle.view(1, 1, 1, -1)), triangle.view(1, 1, -1, 1))[:, 0]
    return planes[:, : image.shape[0] + 3 * step, : image.shape[1] + 3 * step]


def _derivatives() -> Tensor:
    """Horizontal and vertical derivative of a Gaussian of one pixel, ``(2, 1, 5, 5)``; the magnitudes sum to two."""
    profile = torch.exp(-(torch.arange(-2.0, 3.0, dtype=torch.float64) ** 2) / 2)
    derivatives = torch.stack(torch.gradient(torch.outer(profile, profile), dim=(1, 0)))
    return (2 * derivatives / derivatives.abs().sum((1, 2), keepdim=True))[:, None]


def bins(histograms: Tensor, step: int) -> Tensor:
    """The 16 bins of every pixel's descriptor.

    Args:
        histograms: ``(..., H + 3 * step, W + 3 * step)``; bin ``(i, j)`` of pixel ``(y, x)`` is at
            ``(y + step * i, x + step * j)``.
        step: Distance of the bins in pixels.

    Returns:
        ``(16, ..., H, W)``.
    """
    height, width = histograms.shape[-2] - 3 * step, histograms.shape[-1] - 3 * step
    starts = itertools.product(range(0, _BINS * step, step), repeat=2)
    return torch.stack([histograms[..., top : top + height, left : left + width] for top, left in starts])


def elected(mine: Tensor, other: Tensor, block: int) -> Tensor:
    """Where nearly all blocks over a pixel hold more of `mine` than of `other`.

    Args:
        mine: Strength ``(H, W)``.
        other: Strength of the other source, same shape.
        block: Side of the blocks, which overlap at every pixel.

    Returns:
        ``(H, W)``, boolean.
    """
    if min(mine.shape) < block:
        return torch.zeros_like(mine, dtype=torch.bool)
    votes = (_sums(mine, block, block) > _sums(other, block, block)).to(mine)
    votes, blocks = (_sums(pad(each, (block - 1,) * 4), block, block) for each in (votes, torch.ones_like(votes)))
    return votes / blocks > _AGREEMENT


def _match(alpha: Tensor, images: tuple[Tensor, Tensor], histograms: list[Tensor], step: int) -> None:
    """Decide in place the undecided pixels that have more contrast than their match in the other source, and it less.

    Each source's descriptor is matched in the other one. What the two comparisons do not agree on stays undecided, and
    so does what is compared to a window that leaves the image.
    """
    height = alpha.shape[0]
    contrast_a, contrast_b = (spatial_frequency(image) for image in images)
    undecided = (alpha == 0.5) & contrast_a.isfinite()
    for top in range(_RADIUS, height - _RADIUS, _ROWS):
        end = min(top + _ROWS, height - _RADIUS)
        y, x = undecided[top:end].nonzero(as_tuple=True)
        if len(y) == 0:
            continue
        y = y + _RADIUS  # in the rows seen, which start a radius above
        rows = slice(top - _RADIUS, end + _RADIUS)
        a, b = contrast_a[rows], contrast_b[rows]
        seen = slice(top - _RADIUS, end + _RADIUS + 3 * step)
        descriptors_a, descriptors_b = (_descriptors(planes[:, seen], step) for planes in histograms)
        in_b = _nearest(descriptors_a, descriptors_b, y, x)
        in_a = _nearest(descriptors_b, descriptors_a, y, x)
        wins = (a[y, x] > b[in_b]) & (b[y, x] < a[in_a])
        loses = (a[y, x] < b[in_b]) & (b[y, x] > a[in_a])
        alpha[rows][y[wins], x[wins]] = 1
        alpha[rows][y[loses], x[loses]] = 0


def spatial_frequency(image: Tensor) -> Tensor:
    """Contrast of the window around each pixel: the root of its mean squared differences along both axes.

    Args:
        image: ``(H, W)``.

    Returns:
        ``(H, W)``; NaN, which is neither more nor less than anything, where the window leaves the image.
    """
    side = 2 * _RADIUS + 1
    if min(image.shape) < side:
        return torch.full_like(image, torch.nan)
    # Divided before they are added, as in the authors' code: it decides between contrasts that are equal but for this.
    vertical = _sums(image.diff(dim=0) ** 2, side - 1, side) / side**2
    horizontal = _sums(image.diff(dim=1) ** 2, side, side - 1) / side**2
    return pad((vertical + horizontal).sqrt(), (_RADIUS,) * 4, value=torch.nan)


def _sums(image: Tensor, height: int, width: int) -> Tensor:
    """Sums of all windows that lie in the image."""
    return avg_pool2d(image[None, None], (height, width), stride=1, divisor_override=1)[0, 0]


def _descriptors(histograms: Tensor, step: int) -> Tensor:
    """SIFT descriptors ``(H, W, 128)``, the strong ones normalized and clipped, in single precision."""
    raw = bins(histograms.float(), step).flatten(0, 1).movedim(0, -1).contiguous()
    norm = torch.linalg.vector_norm(raw, dim=-1, keepdim=True)
    clipped = (raw / norm).clamp(max=0.2)
    clipped /= torch.linalg.vector_norm(clipped, dim=-1, keepdim=True)
    return torch.where(norm > 1, clipped, raw)


def _nearest(mine: Tensor, other: Tensor, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and columns, within `_RADIUS`, of the descriptors in `other` that are nearest to `mine` at ``(y, x)``."""
    targets = mine[y, x]
    offsets = list(itertools.product(range(-_RADIUS, _RADIUS + 1), repeat=2))  # columns first: it decides ties
    distances = [(other[y + down, x + right] - targets).square().sum(1) for right, down in offsets]
    right, down = torch.tensor(offsets, device=y.device)[torch.stack(distances).argmin(0)].unbind(1)
    return y + down, x + right
