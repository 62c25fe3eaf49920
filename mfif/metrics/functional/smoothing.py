"""Gaussian windows, applied along one axis and then the other."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def gaussian(size: int, sigma: float) -> list[float]:
    """One axis of MATLAB's ``fspecial('gaussian', size, sigma)``, which is separable.

    Args:
        size: Number of taps, odd.
        sigma: Standard deviation in pixels.

    Returns:
        Taps that sum to 1.

    Example:
        >>> [round(tap, 3) for tap in gaussian(3, 0.5)]
        [0.107, 0.787, 0.107]
    """
    taps = [math.exp(-0.5 * ((i - size // 2) / sigma) ** 2) for i in range(size)]
    return [tap / sum(taps) for tap in taps]


def smooth(images: Tensor, window: Sequence[float]) -> Tensor:
    """Correlate with the window along both axes, 'valid' area only.

    Args:
        images: ``(..., H, W)``, neither side smaller than the window.
        window: Taps of one axis.

    Returns:
        ``(..., H - n + 1, W - n + 1)`` for n taps.

    Example:
        >>> import torch
        >>> smooth(torch.ones(3, 4), [0.25, 0.5, 0.25])
        tensor([[1., 1.]])
    """
    if images.device.type == "cpu" and images.ndim > 2 and len(images) > 1:
        return torch.stack([smooth(plane, window) for plane in images])  # they stay in the cache: twice as fast
    # Weighted sums of shifted views: on CPU ten times faster than conv2d in float64, and autocast leaves them alone.
    for dim in (-1, -2):
        size = images.shape[dim] - len(window) + 1
        total = images.narrow(dim, 0, size) * window[0]
        for start, tap in enumerate(window[1:], start=1):
            total = total.add_(images.narrow(dim, start, size), alpha=tap)
        images = total
    return images
