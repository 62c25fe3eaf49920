"""CE: cross entropy of the sources and the fused image."""

import torch
from torch import Tensor

from mfif.metrics.functional.gray import gray8
from mfif.metrics.functional.histogram import level_histogram
from mfif.metrics.functional.validation import check_images


def ce(fused: Tensor, source_a: Tensor, source_b: Tensor, data_range: float = 1.0) -> Tensor:
    """How far the gray levels of the sources are from those of the fused image, in bits; lower is better.

    Mean over X in {A, B} of ``sum of p_X log2(p_X / p_F)``, a Kullback-Leibler divergence.

    Args:
        fused: ``(B, 1, H, W)`` or ``(B, 3, H, W)`` in [0, data_range]; colour is scored on its gray.
        source_a: First source, same shape.
        source_b: Second source, same shape.
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.

    Returns:
        ``(B,)``, 0 for equal histograms. May be negative, as in the reference: levels that the fused image lacks are
        left out, and a constant fused image may so score best. NaN where a pixel is not finite.

    Raises:
        TypeError: An image is not a real tensor.
        ValueError: Shapes are wrong or differ, or an image does not fit `data_range`.

    Source: Bulanon et al., Biosystems Engineering 103(1), 2009; ``metricsCross_entropy.m`` of xingchenzhang/VIFB, which
    has colour averaged over channels where this takes its gray.

    Example:
        >>> import torch
        >>> white, half = torch.ones(1, 1, 2, 2), torch.tensor([0.0, 1.0, 1.0, 0.0]).view(1, 1, 2, 2)
        >>> ce(half, white, white)
        tensor([1.], dtype=torch.float64)
    """
    check_images(data_range, fused=fused, source_a=source_a, source_b=source_b)
    f, a, b = (gray8(image, data_range).detach() for image in (fused, source_a, source_b))
    score = (_divergence(a, f) + _divergence(b, f)) / 2
    return score.masked_fill((f + a + b).amax((1, 2)).isnan(), torch.nan)


def _divergence(source: Tensor, fused: Tensor) -> Tensor:
    """Sum of p_X log2(p_X / p_F) over the levels that both gray images ``(B, H, W)`` have."""
    of_source, of_fused = (level_histogram(gray).to(gray.dtype) / gray[0].numel() for gray in (source, fused))
    ratio = torch.where((of_source > 0) & (of_fused > 0), of_source / of_fused, 1.0)
    return (of_source * torch.log2(ratio)).sum(1)
