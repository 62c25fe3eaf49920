"""EN: entropy of the fused image."""

import torch
from torch import Tensor

from mfif.metrics.functional.gray import gray8
from mfif.metrics.functional.histogram import entropy, level_histogram
from mfif.metrics.functional.validation import check_images


def en(fused: Tensor, data_range: float = 1.0) -> Tensor:
    """Entropy of the gray-level histogram of each image, in bits; higher is better.

    Args:
        fused: ``(B, 1, H, W)`` or ``(B, 3, H, W)`` in [0, data_range]; colour is scored on its gray.
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.

    Returns:
        ``(B,)`` in 0..8. NaN for an image with a pixel that is not finite.

    Raises:
        TypeError: `fused` is not a real tensor.
        ValueError: `fused` has a wrong shape, is empty, or does not fit `data_range`.

    Source: Shannon entropy over 256 bins, as ``EN.m`` of yuliu316316/MFIF-Metrics. No epsilon inside the logarithm
    (Tang's port adds 1e-7).

    Example:
        >>> import torch
        >>> en(torch.tensor([0.0, 1.0, 1.0, 0.0]).view(1, 1, 2, 2))
        tensor([1.], dtype=torch.float64)
    """
    check_images(data_range, fused=fused)
    gray = gray8(fused, data_range).detach()
    score = entropy(level_histogram(gray).to(gray.dtype) / gray[0].numel())
    return score.masked_fill(gray.sum((1, 2)).isnan(), torch.nan)
