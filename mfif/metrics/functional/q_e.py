"""Q_E: Piella's fusion quality index of the images and of their edges."""

import torch.nn.functional as F
from torch import Tensor

from mfif.metrics.functional.gray import gray8
from mfif.metrics.functional.one_by_one import one_by_one
from mfif.metrics.functional.q_s import local_quality, quality_of
from mfif.metrics.functional.q_w import weighted
from mfif.metrics.functional.roots import root
from mfif.metrics.functional.validation import check_images, check_size
from mfif.metrics.functional.window import BOX, box_moments


def q_e(fused: Tensor, source_a: Tensor, source_b: Tensor, data_range: float = 1.0) -> Tensor:
    """Q_W of the images times Q_W of their edges; higher is better, differentiable.

    Args:
        fused: ``(B, 1, H, W)`` or ``(B, 3, H, W)`` in [0, data_range]; colour is scored on its gray.
        source_a: First source, same shape.
        source_b: Second source, same shape.
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.

    Returns:
        ``(B,)`` in -1..1; 1 if all three images are equal. NaN where a pixel is not finite.

    Raises:
        TypeError: An image is not a real tensor.
        ValueError: Shapes are wrong or differ, or an image does not fit `data_range` or is smaller than the window of
            8 x 8 pixels.

    Source: Piella and Heijmans, ICIP 2003; ``metricPeilla.m`` with ``sw=3`` of yuliu316316/MFIF-Metrics, which this
    follows to rounding. Edges are Prewitt magnitudes, zeros beyond the border. The publication raises the factors to
    powers ``1 - alpha`` and ``alpha``; the reference, and this, do not.

    Example:
        >>> import torch
        >>> image = torch.arange(64).view(1, 1, 8, 8) / 63
        >>> q_e(image, image, image).round(decimals=5)
        tensor([1.], dtype=torch.float64)
    """
    check_images(data_range, fused=fused, source_a=source_a, source_b=source_b)
    check_size(BOX, fused=fused)
    grays = [gray8(image, data_range) for image in (fused, source_a, source_b)]
    return one_by_one(_score, *grays)


def _score(f: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Q_E of gray images ``(B, H, W)``."""
    edges = box_moments(_prewitt(f), _prewitt(a), _prewitt(b))
    return weighted(local_quality(f, a, b)) * weighted(quality_of(edges))


def _prewitt(gray: Tensor) -> Tensor:
    """Prewitt magnitude of ``(B, H, W)``, not normalized, zeros beyond the border."""
    padded = F.pad(gray, (1, 1, 1, 1))
    down = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    across = padded[:, :, :-2] + padded[:, :, 1:-1] + padded[:, :, 2:]
    gx = down[:, :, 2:] - down[:, :, :-2]
    gy = across[:, 2:] - across[:, :-2]
    squared = gx * gx + gy * gy
    return root(squared)
