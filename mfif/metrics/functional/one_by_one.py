"""Batches in steps of one image, where that is faster."""

from collections.abc import Callable

import torch
from torch import Tensor


def one_by_one(score: Callable[..., Tensor], *images: Tensor) -> Tensor:
    """Score the images of a batch one after the other on the CPU, where one stays in its cache, and at once elsewhere.

    Args:
        score: Takes as many batches of images as there are `images`, gives ``(B, ...)``.
        *images: ``(B, ...)`` each.

    Returns:
        ``(B, ...)``.

    Example:
        >>> import torch
        >>> one_by_one(lambda gray: gray.mean((1, 2)), torch.tensor([[[1.0, 3.0]], [[4.0, 6.0]]]))
        tensor([2., 5.])
    """
    if images[0].device.type != "cpu" or len(images[0]) == 1:
        return score(*images)
    return torch.cat([score(*(image[i : i + 1] for image in images)) for i in range(len(images[0]))])
