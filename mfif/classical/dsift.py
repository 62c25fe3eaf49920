"""DSIFT: dense SIFT descriptors measure focus, and find what to compare where that leaves a pixel undecided."""

import itertools
import math

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, pad

from mfif.classical.gray8 import gray8
from mfif.regions import flip_small_regions

_ORIENTATIONS, _ATTENUATION = 8, 9  # bins of direction, and the power by which a bin loses to the next one
_BINS = 4  # along each side of a descriptor
_AGREEMENT = 0.99  # share of the blocks over a pixel that must vote for a source
_RADIUS = 3  # of the search for a match, and of the windows whose contrast is compared
_ROWS = 16  # of the image that are matched at once
_SIDE = 320  # in pixels of the parts of the image whose descriptors are in memory at once

Window = tuple[slice, slice]  # rows and columns


class DenseSift:
    """Decides by the strength of dense SIFT descriptors, and undecided pixels by the contrast of what matches them.

    The map is 1 or 0 where a source is sure to be in focus and 0.5 elsewhere: it must not be thresholded. Regions are
    judged in the whole map; descriptors are made of one part at a time, so that memory holds images and maps alone.

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
        sources = (torch.from_numpy(gray8(source)).to(a.device) for source in (a, b))
        return torch.stack([self._decide(*pair) for pair in zip(*sources, strict=True)])[:, None].to(a.dtype)

    def _decide(self, a: Tensor, b: Tensor) -> Tensor:
        """Decision map of two images ``(H, W)`` of uint8."""
        step = self.scale // 8
        votes = torch.stack([torch.zeros_like(a, dtype=torch.bool)] * 2)
        for window in _parts(a):
            seen = _widened(window, self.block - 1, a)
            strengths = [bins(histograms_of(image, step, seen).sum(0), step).sum(0) for image in (a, b)]
            for mine, other, won in zip(strengths, strengths[::-1], votes, strict=True):
                won[window] = elected(mine, other, self.block)[_inside(window, seen)]
        first, second = (self._clean(won) for won in votes)
        alpha = (1 + first - second) / 2
        _match(alpha, (a, b), step)
        return alpha

    def _clean(self, regions: Tensor) -> Tensor:
        """Drop the regions smaller than `area`, then fill such holes; both are 8-connected."""
        cleaned = regions.cpu().numpy().copy()
        for value in (True, False):
            flip_small_regions(cleaned, value, self.area)
        return torch.from_numpy(cleaned).to(regions.device, torch.float32)


def _parts(image: Tensor) -> list[Window]:
    """Windows of `_SIDE` pixels that make an image ``(H, W)``."""
    rows, columns = (
        [slice(start, min(start + _SIDE, length)) for start in range(0, length, _SIDE)] for length in image.shape
    )
    return list(itertools.product(rows, columns))


def _widened(window: Window, reach: int, image: Tensor, beyond: int | None = None) -> Window:
    """A window with so many pixels around it as the image has, on the far sides `beyond` if that is another number."""
    beyond = reach if beyond is None else beyond
    rows, columns = (
        slice(max(side.start - reach, 0), min(side.stop + beyond, length))
        for side, length in zip(window, image.shape, strict=True)
    )
    return rows, columns


def _inside(window: Window, seen: Window, more: int = 0) -> Window:
    """A window as of what is seen of the image, with some pixels more at the far sides."""
    rows, columns = (
        slice(own.start - whole.start, own.stop - whole.start + more) for own, whole in zip(window, seen, strict=True)
    )
    return rows, columns


def histograms_of(image: Tensor, step: int, window: Window) -> Tensor:
    """What `orientation_histograms` gives for the descriptors in a window, computed from around there alone.

    Args:
        image: ``(H, W)``, whole numbers up to 255 of any type.
        step: Distance of the bins in pixels.
        window: Rows and columns of the descriptors, ``h`` and ``w`` of them.

    Returns:
        ``(8, h + 3 * step, w + 3 * step)``, double precision.
    """
    # A bin sees gradients up to a step away, and these two pixels; the first bin lies two steps before its descriptor.
    seen = _widened(window, 3 * step, image, beyond=2 * step + 4)
    histograms = orientation_histograms(image[seen].double(), step, white=float(image.max()))
    return histograms[:, *_inside(window, seen, more=3 * step)]


def orientation_histograms(image: Tensor, step: int, white: float | None = None) -> Tensor:
    """Gradients by direction, spread over the bins of dense SIFT descriptors.

    Args:
        image: ``(H, W)``, float and not negative.
        step: Distance of the bins in pixels.
        white: What counts as white; None takes the largest value of the image.

    Returns:
        ``(8, H + 3 * step, W + 3 * step)``, see `bins`.
    """
    margin = 2 * step - 1
    framed = pad(image, (margin,) * 4)
    framed = framed / max(float(framed.max()) if white is None else white, 1)
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


def _match(alpha: Tensor, images: tuple[Tensor, Tensor], step: int) -> None:
    """Decide in place the undecided pixels that have more contrast than their match in the other source, and it less.

    Each source's descriptor is matched in the other one. What the two comparisons do not agree on stays undecided, and
    so does what is compared to a window that leaves the image.
    """
    for window in _parts(alpha):
        if not (alpha[window] == 0.5).any():
            continue
        seen = _widened(window, _RADIUS, alpha)
        contrasts = [_contrast_of(image, seen) for image in images]
        histograms = [histograms_of(image, step, seen) for image in images]
        here, part = alpha[seen], _inside(window, seen)
        for top in range(part[0].start, part[0].stop, _ROWS):
            rows = _widened((slice(top, min(top + _ROWS, part[0].stop)), part[1]), _RADIUS, here)[0]
            bins_of_rows = slice(rows.start, rows.stop + 3 * step)
            descriptors = [_descriptors(planes[:, bins_of_rows], step) for planes in histograms]
            own = (slice(top - rows.start, min(top + _ROWS, part[0].stop) - rows.start), part[1])
            _match_rows(here[rows], own, [contrast[rows] for contrast in contrasts], descriptors)


def _match_rows(alpha: Tensor, own: Window, contrasts: list[Tensor], descriptors: list[Tensor]) -> None:
    """Decide a window in place, around which `_RADIUS` pixels more are seen, or the image ends."""
    a, b = contrasts
    undecided = torch.zeros_like(alpha, dtype=torch.bool)
    undecided[own] = (alpha[own] == 0.5) & a[own].isfinite()
    y, x = undecided.nonzero(as_tuple=True)
    if len(y) == 0:
        return
    in_b = _nearest(descriptors[0], descriptors[1], y, x)
    in_a = _nearest(descriptors[1], descriptors[0], y, x)
    wins = (a[y, x] > b[in_b]) & (b[y, x] < a[in_a])
    loses = (a[y, x] < b[in_b]) & (b[y, x] > a[in_a])
    alpha[y[wins], x[wins]] = 1
    alpha[y[loses], x[loses]] = 0


def _contrast_of(image: Tensor, window: Window) -> Tensor:
    """`spatial_frequency` in a window of an image, computed from around there alone."""
    seen = _widened(window, _RADIUS, image)
    return spatial_frequency(image[seen].double())[_inside(window, seen)]


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
