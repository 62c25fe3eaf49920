"""Histograms of gray levels and their entropy, batched."""

import math

import torch
from torch import Tensor

from mfif.metrics.functional.one_by_one import one_by_one
from mfif.metrics.functional.shared_work import shared_work


def histogram(index: Tensor, bins: int) -> Tensor:
    """Count how often each value occurs in each row.

    Args:
        index: ``(B, N)`` int32 or int64 in 0..bins-1.
        bins: Number of values.

    Returns:
        ``(B, bins)`` counts, int32.

    Example:
        >>> import torch
        >>> histogram(torch.tensor([[0, 2, 2]]), 3)
        tensor([[1, 0, 2]], dtype=torch.int32)
    """
    batch = index.shape[0]
    if index.device.type == "cpu":
        return torch.stack([torch.bincount(row, minlength=bins) for row in index]).int()
    # One flat scatter of integers: no wait for the device (torch.bincount waits), the same result in every order.
    rows = torch.arange(batch, device=index.device).unsqueeze(1) * bins
    flat = (index + rows).flatten()
    ones = torch.ones_like(flat, dtype=torch.int32)
    return ones.new_zeros(batch * bins).scatter_add_(0, flat, ones).view(batch, bins)


def entropy(probability: Tensor) -> Tensor:
    """Shannon entropy in bits over the last dimension, with 0 log 0 = 0.

    Args:
        probability: ``(..., bins)``, each row summing to 1.

    Returns:
        ``(...)`` in bits.

    Example:
        >>> import torch
        >>> entropy(torch.tensor([0.5, 0.0, 0.5]))
        tensor(1.)
    """
    return -torch.xlogy(probability, probability).sum(-1) / math.log(2)


@shared_work
def level_histogram(gray: Tensor) -> Tensor:
    """Count the 256 gray levels of each image.

    Args:
        gray: ``(B, H, W)`` of whole numbers 0..255, as `gray8` gives them; NaN counts as 0.

    Returns:
        ``(B, 256)`` counts, int32.

    Example:
        >>> import torch
        >>> level_histogram(torch.tensor([[[0.0, 2.0, 2.0]]]))[:, :4]
        tensor([[1, 0, 2, 0]], dtype=torch.int32)
    """
    return one_by_one(_count_levels, gray.detach())


@shared_work
def joint_histogram(first: Tensor, second: Tensor) -> Tensor:
    """Count the pairs of gray levels that two images have at the same pixel.

    Args:
        first: ``(B, H, W)`` of whole numbers 0..255, as `gray8` gives them; a pixel that is NaN counts as 0 in both.
        second: The other image, same shape.

    Returns:
        ``(B, 256, 256)`` counts, int32; rows by the level of `first`.

    Example:
        >>> import torch
        >>> joint_histogram(torch.tensor([[[0.0, 1.0, 1.0]]]), torch.tensor([[[2.0, 0.0, 0.0]]]))[:, :3, :3]
        tensor([[[0, 0, 1],
                 [2, 0, 0],
                 [0, 0, 0]]], dtype=torch.int32)
    """
    return one_by_one(_count_pairs, first.detach(), second.detach())


def _count_levels(gray: Tensor) -> Tensor:
    return histogram(gray.nan_to_num(0).flatten(1).int(), 256)


def _count_pairs(first: Tensor, second: Tensor) -> Tensor:
    pairs = torch.add(second, first, alpha=256).nan_to_num(0)
    return histogram(pairs.flatten(1).int(), 256 * 256).view(-1, 256, 256)


@shared_work
def has_no_histogram(gray: Tensor) -> Tensor:
    """Where the toolbox of Liu has no histogram of an image: constant and not black, or not finite.

    Its histogram metrics first stretch an image to 0..255, which divides by zero there (it passes black images by).

    Args:
        gray: ``(B, H, W)`` as `gray8` gives it.

    Returns:
        ``(B,)``, boolean.

    Example:
        >>> import torch
        >>> has_no_histogram(torch.tensor([[[0.0, 0.0]], [[1.0, 1.0]], [[1.0, 2.0]]]))
        tensor([False,  True, False])
    """
    low, high = gray.detach().amin((1, 2)), gray.detach().amax((1, 2))  # ten times as fast as aminmax
    return low.isnan() | ((low == high) & (high > 0))
