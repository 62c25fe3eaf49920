"""What the perceptual metrics share: gray images stretched to full range and filtered by contrast sensitivity."""

import torch
from torch import Tensor

from mfif.metrics.functional.shared_work import shared_work


@shared_work
def stretch8(gray: Tensor) -> Tensor:
    """Stretch gray images to 0..255, in whole numbers.

    Rounding passes gradients through unchanged, as in `mfif.metrics.functional.gray.gray8`.

    Args:
        gray: ``(B, H, W)``.

    Returns:
        ``(B, H, W)``; a black image as it is, any other constant one all NaN.

    Source: ``normalize1.m`` of zhengliu6699/imageFusionMetrics.

    Example:
        >>> import torch
        >>> stretch8(torch.tensor([[[50.0, 75.0, 150.0]]]))
        tensor([[[  0.,  64., 255.]]])
    """
    low, high = gray.amin((-2, -1), keepdim=True), gray.amax((-2, -1), keepdim=True)
    black = (low == 0) & (high == 0)
    stretched = (gray - low) / torch.where(black, 1.0, high - low) * 255
    return stretched + (torch.floor(stretched + 0.5) - stretched).detach()


def radial_frequency(gray: Tensor) -> Tensor:
    """Radial frequency, in periods per image, of each coefficient of ``torch.fft.rfft2(gray)``.

    Args:
        gray: ``(B, H, W)``; only its size, type and device count.

    Returns:
        ``(H, W // 2 + 1)``.

    Example:
        >>> import torch
        >>> radial_frequency(torch.zeros(1, 3, 4))[1]
        tensor([1.0000, 1.4142, 2.2361])
    """
    height, width = gray.shape[-2:]
    v = torch.fft.fftfreq(height, 1 / height, dtype=gray.dtype, device=gray.device)
    u = torch.fft.rfftfreq(width, 1 / width, dtype=gray.dtype, device=gray.device)
    return torch.hypot(v.unsqueeze(1), u)


def filter_frequencies(images: Tensor, response: Tensor) -> Tensor:
    """Multiply the frequencies of images ``(..., H, W)``, taken as periodic, by ``(H, W // 2 + 1)``."""
    filtered: Tensor = torch.fft.irfft2(torch.fft.rfft2(images) * response, s=images.shape[-2:])
    return filtered
