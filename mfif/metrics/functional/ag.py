"""AG: average gradient of the fused image."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from mfif.metrics.functional.gray import gray8
from mfif.metrics.functional.roots import root
from mfif.metrics.functional.validation import check_choice, check_images, check_size

Variant = Literal["yl", "vifb"]


def ag(fused: Tensor, data_range: float = 1.0, variant: Variant = "yl") -> Tensor:
    """Sharpness of each image: its mean gradient; higher is better, differentiable.

    The mean of ``sqrt((dx^2 + dy^2) / 2)``.

    Args:
        fused: ``(B, 1, H, W)`` or ``(B, 3, H, W)`` in [0, data_range]; colour is scored on its gray.
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        variant: "yl": differences to the next pixel, 0 at the border, over HW. "vifb": central differences, one-sided
            at the border, over (H - 1)(W - 1); about 14 % lower.

    Returns:
        ``(B,)`` in gray levels, 0 or more. NaN where a pixel is not finite.

    Raises:
        TypeError: `fused` is not a real tensor.
        ValueError: `fused` has a wrong shape, is empty or, for "vifb", has a side of one pixel, does not fit
            `data_range`, or `variant` is unknown.

    Source: Cui et al., Optics Communications 341, 2015; ``AG.m`` of yuliu316316/MFIF-Metrics ("yl"),
    ``metricsAvg_gradient.m`` of xingchenzhang/VIFB, equal to ``AG_evaluation.m`` of
    Linfeng-Tang/Evaluation-for-Image-Fusion ("vifb").

    Example:
        >>> import torch
        >>> ag(torch.tensor([0.0, 2.0, 0.0, 2.0]).view(1, 1, 2, 2), data_range=255) ** 2
        tensor([0.5000], dtype=torch.float64)
    """
    check_images(data_range, fused=fused)
    check_choice("variant", variant, ("yl", "vifb"))
    gray = gray8(fused, data_range)
    height, width = gray.shape[1:]
    if variant == "yl":
        dx, dy = (F.pad(gray.diff(dim=2), (0, 1)), F.pad(gray.diff(dim=1), (0, 0, 0, 1)))
        return root((dx.square() + dy.square()) / 2).mean((1, 2))
    check_size(2, fused=fused)
    dy, dx = torch.gradient(gray, dim=(1, 2))
    return root((dx.square() + dy.square()) / 2).sum((1, 2)) / ((height - 1) * (width - 1))
