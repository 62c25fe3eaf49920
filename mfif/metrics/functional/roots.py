"""A square root that metrics can be differentiated through where the image is flat."""

from torch import Tensor


def root(squared: Tensor) -> Tensor:
    """Square root whose gradient at 0 is 0, where that of `torch.sqrt` is infinite.

    Args:
        squared: Any shape, not negative.

    Returns:
        The root, same shape.

    Example:
        >>> import torch
        >>> root(torch.tensor([0.0, 4.0]))
        tensor([0., 2.])
    """
    if not squared.requires_grad:
        return squared.sqrt()
    zero = squared == 0
    return squared.masked_fill(zero, 1).sqrt().masked_fill(zero, 0)
