"""EI: edge intensity of the fused image."""

import torch.nn.functional as F
from torch import Tensor

from mfif.metrics.functional.gray import gray8
from mfif.metrics.functional.roots import root
from mfif.metrics.functional.validation import check_images


def ei(fused: Tensor, data_range: float = 1.0) -> Tensor:
    """Strength of each image's edges: its mean Sobel magnitude; higher is better, differentiable.

    Args:
        fused: ``(B, 1, H, W)`` or ``(B, 3, H, W)`` in [0, data_range]; colour is scored on its gray.
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.

    Returns:
        ``(B,)``, 0 or more; the Sobel windows are not normalized (a step of one level gives 4). NaN where a pixel is
        not finite.

    Raises:
        TypeError: `fused` is not a real tensor.
        ValueError: `fused` has a wrong shape, is empty, or does not fit `data_range`.

    Source: Rajalingam and Priya, International Journal of Engineering Science Invention, 2018;
    ``metricsEdge_intensity.m`` of yuliu316316/MFIF-Metrics, equal to VIFB's. The border is replicated.

    Example:
        >>> import torch
        >>> ei(torch.tensor([0.0, 2.0, 0.0, 2.0]).view(1, 1, 2, 2), data_range=255)
        tensor([8.], dtype=torch.float64)
    """
    check_images(data_range, fused=fused)
    padded = F.pad(gray8(fused, data_range), (1, 1, 1, 1), mode="replicate")
    # Sums of shifted views, as in Q_G: whole numbers stay exact.
    down = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    across = padded[:, :, :-2] + 2 * padded[:, :, 1:-1] + padded[:, :, 2:]
    gx = down[:, :, 2:] - down[:, :, :-2]
    gy = across[:, 2:] - across[:, :-2]
    return root(gx * gx + gy * gy).mean((1, 2))
