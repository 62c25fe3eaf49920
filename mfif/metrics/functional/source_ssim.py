"""SSIM of each fused image to its sources."""

from torch import Tensor

from mfif.metrics.functional.ssim import WINDOW, ssim
from mfif.metrics.functional.validation import check_images, check_size


def source_ssim(fused: Tensor, source_a: Tensor, source_b: Tensor, data_range: float = 1.0) -> Tensor:
    """Structural similarity of each image to the one source plus that to the other; higher is better, differentiable.

    It rewards averaging the sources, blur and all; never judge fusion of photographs by it.

    Args:
        fused: ``(B, 1, H, W)`` or ``(B, 3, H, W)`` in [0, data_range]; colour is scored on its gray.
        source_a: First source, same shape.
        source_b: Second source, same shape.
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.

    Returns:
        ``(B,)`` in -2..2; 2 where all three are equal. NaN where a pixel is not finite.

    Raises:
        TypeError: An image is not a real tensor.
        ValueError: Shapes are wrong or differ, or an image does not fit `data_range` or is smaller than the window of
            11 x 11 pixels.

    Source: Wang et al., IEEE Transactions on Image Processing 13(4), 2004, twice; ``metricsSsim.m`` of
    xingchenzhang/VIFB, which has colour averaged over channels where this takes its gray. Some ports print the half.

    Example:
        >>> import torch
        >>> image = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
        >>> source_ssim(image, image, image)
        tensor([2.], dtype=torch.float64)
    """
    check_images(data_range, fused=fused, source_a=source_a, source_b=source_b)
    check_size(WINDOW, fused=fused)
    return ssim(fused, source_a, data_range) + ssim(fused, source_b, data_range)
