"""Histograms of gray levels and their entropy, batched."""

import torch
from torch import Tensor


def histogram(index: Tensor, bins: int) -> Tensor:
    """Count how often each value occurs in each row.

    Args:
        index: ``(B, N)`` int64 in 0..bins-1.
        bins: Number of values.

    Returns:
        ``(B, bins)`` counts, int32.

    Example:
        >>> import torch
        >>> histogram(torch.tensor([[0, 2, 2]]), 3)
        tensor([[1, 0, 2]], dtype=torch.int32)
    """
    # One flat scatter of integers: no wait for the device (torch.bincount waits), the same result in every order.
    batch = index.shape[0]
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
    return -torch.xlogy(probability, probability).sum(-1) / torch.log(probability.new_tensor(2.0))
