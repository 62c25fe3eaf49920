"""SF: spatial frequency of the fused image."""

from typing import Literal

from torch import Tensor

from mfif.metrics.functional.gray import gray8
from mfif.metrics.functional.roots import root
from mfif.metrics.functional.validation import check_choice, check_images, check_size

Variant = Literal["yl", "tang"]


def sf(fused: Tensor, data_range: float = 1.0, variant: Variant = "yl") -> Tensor:
    """Activity of each image: root mean square of its row and column differences; higher is better, differentiable.

    Args:
        fused: ``(B, 1, H, W)`` or ``(B, 3, H, W)`` in [0, data_range]; colour is scored on its gray.
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        variant: What the sums of squared differences are divided by: "yl", the number of pixels; "tang", the number of
            differences, which is 0.1 % higher at 520 x 520.

    Returns:
        ``(B,)`` in gray levels, 0 or more. NaN where a pixel is not finite.

    Raises:
        TypeError: `fused` is not a real tensor.
        ValueError: `fused` has a wrong shape, is empty or, for "tang", has a side of one pixel, does not fit
            `data_range`, or `variant` is unknown.

    Source: Eskicioglu and Fisher, IEEE Transactions on Communications 43(12), 1995; ``SF.m`` of
    yuliu316316/MFIF-Metrics ("yl"), equal to VIFB's; ``SF_evaluation.m`` of Linfeng-Tang/Evaluation-for-Image-Fusion
    ("tang").

    Example:
        >>> import torch
        >>> sf(torch.tensor([0.0, 2.0, 0.0, 2.0]).view(1, 1, 2, 2), data_range=255).square().round(decimals=6)
        tensor([2.], dtype=torch.float64)
    """
    check_images(data_range, fused=fused)
    check_choice("variant", variant, ("yl", "tang"))
    gray = gray8(fused, data_range)
    down, across = gray.diff(dim=1).square(), gray.diff(dim=2).square()
    if variant == "yl":
        return root((down.sum((1, 2)) + across.sum((1, 2))) / gray[0].numel())
    check_size(2, fused=fused)
    return root(down.mean((1, 2)) + across.mean((1, 2)))
