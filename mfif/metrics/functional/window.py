"""Means, variances and covariances of images in a sliding window, and the similarity (SSIM) made of them."""

from collections.abc import Callable, Sequence
from itertools import combinations_with_replacement
from typing import NamedTuple

import torch
from torch import Tensor

from mfif.metrics.functional.shared_work import shared_work
from mfif.metrics.functional.smoothing import gaussian, smooth

BOX = 8  # side of the box window
_STEPS = (1, 2, 4)  # that double the width of a window up to 8
_SIGMA = 1.5  # of the Gaussian windows
_FLAT = 1e-12  # share of the mean square that a variance is rounding noise of, in float64


class Moments(NamedTuple):
    """Statistics of some images in every window that lies inside them.

    Attributes:
        mean: Per image, ``(B, h, w)``.
        central: By the numbers ``(i, j)``, ``i <= j``, of two images: their covariance, ``(B, h, w)``; the variance
            for ``i == j``. Exactly zero in windows where one of the two is flat.
    """

    mean: list[Tensor]
    central: dict[tuple[int, int], Tensor]


def box_moments(*images: Tensor) -> Moments:
    """Moments in windows of 8 x 8 equal weights.

    Args:
        *images: ``(B, H, W)`` each, at least 8 pixels high and wide.

    Returns:
        Moments on ``(B, H - 7, W - 7)``, population form (divided by 64).

    Example:
        >>> import torch
        >>> moments = box_moments(torch.arange(64.0).view(1, 8, 8))
        >>> moments.mean[0].item(), moments.central[0, 0].item()
        (31.5, 341.25)
    """
    return _from_products(images, _box_mean) if images[0].dtype == torch.float64 else _from_halves(images)


shared_box_moments = shared_work(box_moments)  # of the gray images, for all metrics that need them


def gaussian_moments(size: int, *images: Tensor) -> Moments:
    """Moments in windows of `size` x `size` Gaussian weights with a standard deviation of 1.5 pixels.

    Args:
        size: Side of the window in pixels, odd.
        *images: ``(B, H, W)`` each, at least `size` pixels high and wide.

    Returns:
        Moments on ``(B, H - size + 1, W - size + 1)``, population form.

    Example:
        >>> import torch
        >>> moments = gaussian_moments(7, torch.full((1, 7, 7), 3.0))
        >>> moments.mean[0].item(), moments.central[0, 0].item()
        (3.0, 0.0)
    """
    weights = gaussian(size, _SIGMA)
    if images[0].dtype == torch.float64:
        return _from_products(images, lambda image: smooth(image, weights))
    return _from_middle(images, weights)


def _from_products(images: Sequence[Tensor], average: Callable[[Tensor], Tensor]) -> Moments:
    """Moments as ``E[xy] - E[x] E[y]``, in float64: two to three times as fast as what float32 needs."""
    mean = [average(image) for image in images]
    central, flat = dict[tuple[int, int], Tensor](), []
    for i, image in enumerate(images):
        square = average(image * image)
        central[i, i] = square - mean[i] * mean[i]
        flat.append(central[i, i] <= _FLAT * square)
    for i, j in _pairs(images):
        product = central[i, i] if i == j else average(images[i] * images[j]) - mean[i] * mean[j]
        central[i, j] = product.masked_fill(flat[i] | flat[j], 0)
    return Moments(mean, central)


def _from_halves(images: Sequence[Tensor]) -> Moments:
    """Box moments put together from those of half a window and half a window, whose means are close where it is flat.

    No small difference of large numbers is taken, so that float32 is as good as its 24 bits.

    Source: pairwise update of Chan, Golub and LeVeque, The American Statistician 37(3), 1983.
    """
    sums, central = list(images), dict[tuple[int, int], Tensor]()
    for level, (dim, step) in enumerate((dim, step) for dim in (-1, -2) for step in _STEPS):
        size = sums[0].shape[dim] - step
        low = [total.narrow(dim, 0, size) for total in sums]
        high = [total.narrow(dim, step, size) for total in sums]
        apart = [above - below for below, above in zip(low, high, strict=True)]
        for i, j in _pairs(images):
            joined = apart[i] * apart[j] * 0.5 ** (level + 1)
            if level > 0:
                joined = joined + central[i, j].narrow(dim, 0, size) + central[i, j].narrow(dim, step, size)
            central[i, j] = joined
        sums = [below + above for below, above in zip(low, high, strict=True)]
    count = BOX * BOX
    return Moments([total / count for total in sums], {pair: total / count for pair, total in central.items()})


def _from_middle(images: Sequence[Tensor], weights: Sequence[float]) -> Moments:
    """Gaussian moments of the differences to the pixel in the middle, along one axis and then the other.

    That pixel is never far from the mean compared with the standard deviation: little cancels, in float32 too.
    """
    middle = len(weights) // 2
    mean, central = list(images), dict[tuple[int, int], Tensor]()
    for dim in (-1, -2):
        length = mean[0].shape[dim] - len(weights) + 1
        center = [image.narrow(dim, middle, length) for image in mean]
        offset = [torch.zeros_like(image) for image in center]
        spread = {pair: torch.zeros_like(center[0]) for pair in _pairs(images)}
        for start, weight in enumerate(weights):
            apart = [image.narrow(dim, start, length) - origin for image, origin in zip(mean, center, strict=True)]
            for total, difference in zip(offset, apart, strict=True):
                total.add_(difference, alpha=weight)
            for (i, j), total in spread.items():
                total.addcmul_(apart[i], apart[j], value=weight)
            for pair, inner in central.items():
                spread[pair].add_(inner.narrow(dim, start, length), alpha=weight)
        central = {(i, j): total.addcmul_(offset[i], offset[j], value=-1) for (i, j), total in spread.items()}
        mean = [origin + total for origin, total in zip(center, offset, strict=True)]
    return Moments(mean, central)


def _box_mean(image: Tensor) -> Tensor:
    """Mean in windows of 8 x 8; sums are doubled in width, so that whole numbers stay exact."""
    for dim in (-1, -2):
        for step in _STEPS:
            size = image.shape[dim] - step
            image = image.narrow(dim, 0, size) + image.narrow(dim, step, size)
    return image / (BOX * BOX)


def _pairs(images: Sequence[Tensor]) -> list[tuple[int, int]]:
    return list(combinations_with_replacement(range(len(images)), 2))


def similarity(moments: Moments, i: int, j: int, stabilizers: tuple[float, float]) -> Tensor:
    """Structural similarity of images number `i` and `j` in every window, -1..1.

    Two flat windows of different levels keep their luminance term only: structure is alike where there is none.

    Args:
        moments: Of at least these two images.
        i: Number of one image.
        j: Number of the other, larger than `i`.
        stabilizers: C1, which is added to the squares of the means, and C2, which is added to the variances.

    Returns:
        ``(B, h, w)``.

    Source: Wang et al., IEEE Transactions on Image Processing 13(4), 2004, eq. (13).
    """
    c1, c2 = stabilizers
    x, y = moments.mean[i], moments.mean[j]
    luminance = (2 * x * y + c1) / (x * x + y * y + c1)
    structure = (2 * moments.central[i, j] + c2) / (moments.central[i, i] + moments.central[j, j] + c2)
    return luminance * structure


def saliencies(moments: Moments, i: int, j: int) -> tuple[Tensor, Tensor]:
    """Variances of images number `i` and `j`, both 0.5 where both are zero, as the references weigh windows."""
    x, y = moments.central[i, i], moments.central[j, j]
    lift = torch.where(x + y == 0, 0.5, 0.0)
    return x + lift, y + lift
