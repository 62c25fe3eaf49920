"""Q_MI: normalized mutual information."""

import torch
from torch import Tensor

from mfif.metrics.functional.gray import gray8
from mfif.metrics.functional.histogram import entropy, has_no_histogram, joint_histogram
from mfif.metrics.functional.validation import check_images


def q_mi(fused: Tensor, source_a: Tensor, source_b: Tensor, data_range: float = 1.0) -> Tensor:
    """Information the fused image shares with its sources, normalized by their entropies; higher is better.

    ``2 * sum over X in {A, B} of I(X; F) / (H(X) + H(F))``. It rewards copying one source; never judge by it alone.

    Args:
        fused: ``(B, 1, H, W)`` or ``(B, 3, H, W)`` in [0, data_range]; colour is scored on its gray.
        source_a: First source, same shape.
        source_b: Second source, same shape.
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.

    Returns:
        ``(B,)`` in 0..2. NaN where the reference has no value: an image of the three is constant and not black
        (the reference fails), or black with another black one (0/0); also where a pixel is not finite.

    Raises:
        TypeError: An image is not a real tensor.
        ValueError: Shapes are wrong or differ, or an image does not fit `data_range`.

    Source: Hossny et al., Electronics Letters 44(18), 2008; ``metricMI`` with ``sw=1`` of
    zhengliu6699/imageFusionMetrics. Its stretch to 0..255 is left out: it maps gray levels one to one, which no entropy
    notices.

    Example:
        >>> import torch
        >>> image = torch.arange(16).view(1, 1, 4, 4) / 15
        >>> q_mi(image, image, image)
        tensor([2.], dtype=torch.float64)
    """
    check_images(data_range, fused=fused, source_a=source_a, source_b=source_b)
    f, a, b = (gray8(image, data_range).detach() for image in (fused, source_a, source_b))
    score = 2 * (_shared_information(a, f) + _shared_information(b, f))
    undefined = has_no_histogram(f) | has_no_histogram(a) | has_no_histogram(b)
    return score.masked_fill(undefined, torch.nan)


def _shared_information(source: Tensor, fused: Tensor) -> Tensor:
    """I(X; F) / (H(X) + H(F)) of gray images ``(B, H, W)``."""
    table = joint_histogram(source, fused).to(source.dtype) / source[0].numel()
    marginals = entropy(table.sum(2)) + entropy(table.sum(1))
    return (marginals - entropy(table.flatten(1))) / marginals
