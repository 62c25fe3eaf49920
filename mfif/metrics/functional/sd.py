"""SD: standard deviation of the fused image."""

from typing import Literal

from torch import Tensor

from mfif.metrics.functional.gray import gray8
from mfif.metrics.functional.roots import root
from mfif.metrics.functional.validation import check_choice, check_images

Variant = Literal["yl", "vifb"]


def sd(fused: Tensor, data_range: float = 1.0, variant: Variant = "yl") -> Tensor:
    """Contrast of each image: the standard deviation of its gray levels; higher is better, differentiable.

    Args:
        fused: ``(B, 1, H, W)`` or ``(B, 3, H, W)`` in [0, data_range]; colour is scored on its gray.
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        variant: "yl": mean over the columns of each column's deviation (over H - 1), which misses contrast between
            columns. "vifb": deviation of all pixels (over HW), about 10 % higher.

    Returns:
        ``(B,)`` in gray levels, 0..255 (0..127.5 for "vifb"). NaN where a pixel is not finite.

    Raises:
        TypeError: `fused` is not a real tensor.
        ValueError: `fused` has a wrong shape, is empty, does not fit `data_range`, or `variant` is unknown.

    Source: Rao, Measurement Science and Technology 8(4), 1997 (as VIFB cites it); ``SD.m`` of yuliu316316/MFIF-Metrics
    ("yl"); ``metricsVariance.m`` of xingchenzhang/VIFB, equal to ``SD_evaluation.m`` of
    Linfeng-Tang/Evaluation-for-Image-Fusion ("vifb"). An image of one row has one deviation, of that row, as in MATLAB.

    Example:
        >>> import torch
        >>> sd(torch.tensor([0.0, 1.0, 1.0, 0.0]).view(1, 1, 2, 2), variant="vifb")
        tensor([127.5000], dtype=torch.float64)
    """
    check_images(data_range, fused=fused)
    check_choice("variant", variant, ("yl", "vifb"))
    gray = gray8(fused, data_range)
    if variant == "vifb":
        return root((gray - gray.mean((1, 2), keepdim=True)).square().mean((1, 2)))
    dim = 1 if gray.shape[1] > 1 else 2
    squared = (gray - gray.mean(dim, keepdim=True)).square().sum(dim)
    return root(squared / max(gray.shape[dim] - 1, 1)).mean(1)
