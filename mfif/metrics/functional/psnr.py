"""PSNR of each image against the photograph in focus everywhere."""

from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio

from mfif.metrics.functional.precision import working_dtype
from mfif.metrics.functional.validation import check_images


def psnr(fused: Tensor, sharp: Tensor, data_range: float = 1.0) -> Tensor:
    """Peak signal-to-noise ratio of each image in dB, over all its channels; higher is better, differentiable.

    Pixels are compared as they are: not rounded, not turned gray, not clipped.

    Args:
        fused: ``(B, 1, H, W)`` or ``(B, 3, H, W)`` in [0, data_range].
        sharp: The truth, same shape.
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.

    Returns:
        ``(B,)`` in dB; infinity for equal images.

    Raises:
        TypeError: An image is not a real tensor.
        ValueError: Shapes are wrong or differ, or an image does not fit `data_range`.

    Source: ``20 log10(data_range / rmse)``, by torchmetrics, one value per image instead of one per batch.

    Example:
        >>> import torch
        >>> psnr(torch.full((1, 1, 2, 2), 0.6), torch.full((1, 1, 2, 2), 0.5)).round(decimals=3)
        tensor([20.], dtype=torch.float64)
    """
    check_images(data_range, fused=fused, sharp=sharp)
    dtype = working_dtype(fused.device)
    return peak_signal_noise_ratio(
        fused.to(dtype), sharp.to(dtype), data_range=data_range, reduction="none", dim=(1, 2, 3)
    )
