"""Q_CV: visible difference to the sources where these have edges, the Chen-Varshney metric."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mfif.metrics.functional.gray import gray8
from mfif.metrics.functional.one_by_one import one_by_one
from mfif.metrics.functional.roots import root
from mfif.metrics.functional.sensitivity import filter_frequencies, radial_frequency, stretch8
from mfif.metrics.functional.validation import check_images

_BLOCK = 16


def q_cv(fused: Tensor, source_a: Tensor, source_b: Tensor, data_range: float = 1.0) -> Tensor:
    """Visible squared difference to the sources, weighted by their edges; lower is better, differentiable.

    Args:
        fused: ``(B, 1, H, W)`` or ``(B, 3, H, W)`` in [0, data_range]; colour is scored on its gray.
        source_a: First source, same shape.
        source_b: Second source, same shape.
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.

    Returns:
        ``(B,)``, 0 (all three images equal) and more, tens to thousands on photographs. NaN, as the reference, where an
        image of the three is constant and not black, or both sources are black; also where a pixel is not finite.

    Raises:
        TypeError: An image is not a real tensor.
        ValueError: Shapes are wrong or differ, or an image does not fit `data_range`.

    Source: Chen and Varshney, Information Fusion 8(2), 2007; ``metricChen.m`` of zhengliu6699/imageFusionMetrics, which
    this follows to rounding: images stretched to 0..255, sensitivity of Mannos and Sakrison, blocks of 16 x 16 pixels
    filled up with zeros at the bottom and on the right.

    Example:
        >>> import torch
        >>> image = torch.arange(256).view(1, 1, 16, 16) / 255
        >>> q_cv(image, image, image), q_cv(1 - image, image, image) > 0
        (tensor([0.], dtype=torch.float64), tensor([True]))
    """
    check_images(data_range, fused=fused, source_a=source_a, source_b=source_b)
    grays = [gray8(image, data_range) for image in (fused, source_a, source_b)]
    return one_by_one(_score, *grays)


def _score(*grays: Tensor) -> Tensor:
    """Q_CV of gray images f, a, b, ``(B, H, W)`` each."""
    f, a, b = map(stretch8, grays)
    sensitivity = _mannos_sakrison(radial_frequency(f))
    differences, weights = zip(*(_differences(source, f, sensitivity) for source in (a, b)), strict=True)
    return torch.stack(differences).sum(0) / torch.stack(weights).sum(0)


def _differences(source: Tensor, fused: Tensor, sensitivity: Tensor) -> tuple[Tensor, Tensor]:
    """Sums over blocks of the weighted visible squared difference, and of the weights, ``(B,)`` each."""
    squared = _squared_sobel(source)
    weight = _block_sums(squared * squared * root(squared))  # edge strength to the fifth
    visible = filter_frequencies(source - fused, sensitivity)
    error = _block_sums(visible * visible) / _BLOCK**2
    return (weight * error).sum((1, 2)), weight.sum((1, 2))


def _mannos_sakrison(frequency: Tensor) -> Tensor:
    """Contrast sensitivity of the eye at a quarter of the frequency, as the reference scales it."""
    scaled = 0.144 * frequency / 4
    return 2.6 * (0.0192 + scaled) * torch.exp(-torch.pow(scaled, 1.1))


def _squared_sobel(images: Tensor) -> Tensor:
    """Squared Sobel magnitude of ``(B, H, W)``, not normalized, zeros beyond the border."""
    padded = F.pad(images, (1, 1, 1, 1))
    down = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    across = padded[:, :, :-2] + 2 * padded[:, :, 1:-1] + padded[:, :, 2:]
    gx = down[:, :, 2:] - down[:, :, :-2]
    gy = across[:, 2:] - across[:, :-2]
    return gx * gx + gy * gy


def _block_sums(images: Tensor) -> Tensor:
    """Sums over blocks of ``(B, H, W)``, zeros beyond the bottom and the right border."""
    batch, height, width = images.shape
    padded = F.pad(images, (0, -width % _BLOCK, 0, -height % _BLOCK))
    return padded.reshape(batch, -(-height // _BLOCK), _BLOCK, -1, _BLOCK).sum((2, 4))
