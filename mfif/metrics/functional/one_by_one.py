"""Batches in steps of one image, where that is faster."""

from collections.abc import Callable

import torch
from torch import Tensor


def one_by_one(score: Callable[..., Tensor], *grays: Tensor) -> Tensor:
    """Score the images of a batch one after the other on the CPU, where one stays in its cache, and at once elsewhere.

    Args:
        score: Takes as many images ``(B, H, W)`` as there are `grays`, gives ``(B,)``.
        *grays: ``(B, H, W)`` each.

    Returns:
        ``(B,)``.

    Example:
        >>> import torch
        >>> one_by_one(lambda gray: gray.mean((1, 2)), torch.tensor([[[1.0, 3.0]], [[4.0, 6.0]]]))
        tensor([2., 5.])
    """
    if grays[0].device.type != "cpu" or len(grays[0]) == 1:
        return score(*grays)
    return torch.cat([score(*(gray[i : i + 1] for gray in grays)) for i in range(len(grays[0]))])
