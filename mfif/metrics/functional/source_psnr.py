"""PSNR of each fused image against its sources."""

from typing import Literal

import torch
from torch import Tensor

from mfif.metrics.functional.gray import gray8
from mfif.metrics.functional.validation import check_choice, check_images

Variant = Literal["vifb", "published"]


def source_psnr(
    fused: Tensor, source_a: Tensor, source_b: Tensor, data_range: float = 1.0, variant: Variant = "vifb"
) -> Tensor:
    """Peak signal-to-noise ratio of each image against both sources, in dB; higher is better.

    It rewards averaging the sources, blur and all; never judge fusion of photographs by it.

    Args:
        fused: ``(B, 1, H, W)`` or ``(B, 3, H, W)`` in [0, data_range]; colour is scored on its gray.
        source_a: First source, same shape.
        source_b: Second source, same shape.
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        variant: "vifb": as the reference code and the tables of MFIFB have it: the root of the sum of squares,
            over the number of pixels, stands for the mean square; some 35 dB too high. "published": the formula.

    Returns:
        ``(B,)`` in dB; infinity where all three are equal. NaN where a pixel is not finite.

    Raises:
        TypeError: An image is not a real tensor.
        ValueError: Shapes are wrong or differ, an image does not fit `data_range`, or `variant` is unknown.

    Source: Jagalingam and Hegde, Aquatic Procedia 4, 2015: ``10 log10(255^2 / m)``, m being the mean of the mean
    squared differences to either source; ``metricsPsnr.m`` of xingchenzhang/VIFB, which has colour averaged over
    channels where this takes its gray.

    Example:
        >>> import torch
        >>> black, white = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
        >>> source_psnr(black, black, white, variant="published").round(decimals=2)
        tensor([3.0100], dtype=torch.float64)
    """
    check_images(data_range, fused=fused, source_a=source_a, source_b=source_b)
    check_choice("variant", variant, ("vifb", "published"))
    f, a, b = (gray8(image, data_range) for image in (fused, source_a, source_b))
    squares = torch.stack([(f - a).square().mean((1, 2)), (f - b).square().mean((1, 2))])
    if variant == "vifb":
        squares = (squares / f[0].numel()).sqrt()
    return 10 * torch.log10(255**2 / squares.mean(0))
