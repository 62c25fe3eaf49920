"""Accuracy of a decision map against the true one."""

import torch
from torch import Tensor

from mfif.metrics.functional.precision import working_dtype
from mfif.metrics.functional.validation import check_shapes
from mfif.pair import binarize


def map_accuracy(alpha: Tensor, alpha_true: Tensor) -> Tensor:
    """Share of pixels that the decision map gives to the right source; higher is better.

    Args:
        alpha: Decision map, ``(B, 1, H, W)`` in [0, 1], thresholded at 0.5 as for the fused image.
        alpha_true: True map, same shape, thresholded alike.

    Returns:
        ``(B,)`` in 0..1. NaN for a map with a value that is not finite.

    Raises:
        TypeError: A map is not a real tensor.
        ValueError: Maps are not ``(B, 1, H, W)``, are empty, or differ in shape.

    Source: eq. (5) of Zeng et al., ICASSP 2020, for the threshold.

    Example:
        >>> import torch
        >>> alpha, alpha_true = torch.tensor([0.9, 0.6, 0.2, 0.1]), torch.tensor([1.0, 0.0, 0.0, 0.0])
        >>> map_accuracy(alpha.view(1, 1, 2, 2), alpha_true.view(1, 1, 2, 2))
        tensor([0.7500], dtype=torch.float64)
    """
    check_shapes((1,), alpha=alpha, alpha_true=alpha_true)
    agree = (binarize(alpha) == binarize(alpha_true)).to(working_dtype(alpha.device))
    known = alpha.isfinite() & alpha_true.isfinite()
    return agree.masked_fill(~known, torch.nan).mean((1, 2, 3))
