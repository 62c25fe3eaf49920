"""SSIM of each image against the photograph in focus everywhere."""

from torch import Tensor

from mfif.metrics.functional.gray import gray8
from mfif.metrics.functional.one_by_one import one_by_one
from mfif.metrics.functional.validation import check_images, check_size
from mfif.metrics.functional.window import gaussian_moments, similarity

WINDOW = 11
_STABILIZERS = ((0.01 * 255) ** 2, (0.03 * 255) ** 2)


def ssim(fused: Tensor, sharp: Tensor, data_range: float = 1.0) -> Tensor:
    """Mean structural similarity of each image to the truth; higher is better, differentiable.

    Args:
        fused: ``(B, 1, H, W)`` or ``(B, 3, H, W)`` in [0, data_range]; colour is scored on its gray.
        sharp: The truth, same shape.
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.

    Returns:
        ``(B,)`` in -1..1; 1 for equal images. NaN where a pixel is not finite.

    Raises:
        TypeError: An image is not a real tensor.
        ValueError: Shapes are wrong or differ, or an image does not fit `data_range` or is smaller than the window of
            11 x 11 pixels.

    Source: Wang et al., IEEE Transactions on Image Processing 13(4), 2004; the authors' ``ssim_index.m``, which this
    follows to rounding: gray of 8 bit, windows inside the image only. torchmetrics averages over windows across the
    border too, 0.002 apart.

    Example:
        >>> import torch
        >>> image = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
        >>> ssim(image, image), ssim(1 - image, image) < 0
        (tensor([1.], dtype=torch.float64), tensor([True]))
    """
    check_images(data_range, fused=fused, sharp=sharp)
    check_size(WINDOW, fused=fused)
    return one_by_one(_score, gray8(fused, data_range), gray8(sharp, data_range))


def _score(f: Tensor, sharp: Tensor) -> Tensor:
    """SSIM of gray images ``(B, H, W)``."""
    return similarity(gaussian_moments(WINDOW, f, sharp), 0, 1, _STABILIZERS).mean((1, 2))
