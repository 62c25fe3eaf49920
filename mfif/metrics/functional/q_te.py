"""Q_TE: mutual information by Tsallis entropy."""

from typing import Literal

import torch
from torch import Tensor

from mfif.metrics.functional.gray import gray8
from mfif.metrics.functional.histogram import entropy, has_no_histogram, joint_histogram, level_histogram
from mfif.metrics.functional.validation import check_choice, check_images

Variant = Literal["cvejic", "nava", "cvejic_published", "nava_published"]

_ORDER = {"cvejic": 1.85, "nava": 0.43137}


def q_te(
    fused: Tensor, source_a: Tensor, source_b: Tensor, data_range: float = 1.0, variant: Variant = "cvejic"
) -> Tensor:
    """Tsallis mutual information of the fused image with its sources; higher is better.

    ``I(X, F) = (1 - sum of p(x, f)^q / (p(x) p(f))^(q - 1)) / (1 - q)``. "cvejic" is ``I(A, F) + I(B, F)`` with
    q = 1.85, "nava" is the same with q = 0.43137 over ``H(A)^q + H(B)^q + I(A, B)``, H being Shannon's entropy in bits.

    Args:
        fused: ``(B, 1, H, W)`` or ``(B, 3, H, W)`` in [0, data_range]; colour is scored on its gray.
        source_a: First source, same shape.
        source_b: Second source, same shape.
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        variant: "cvejic" or "nava", each as the reference code computes it; with "_published", as the formula says.

    Returns:
        ``(B,)``, not bounded; "nava" is usually under 1. NaN where the reference has no value: an image of the three is
        constant and not black (the reference fails), or, for "nava", both sources are black (0/0); also where a pixel
        is not finite.

    Raises:
        TypeError: An image is not a real tensor.
        ValueError: Shapes are wrong or differ, an image does not fit `data_range`, or `variant` is unknown.

    Source: Cvejic et al., Electronics Letters 42(11), 2006; Nava et al., SPIE Newsroom; ``metricMI`` with ``sw=2`` and
    ``sw=3`` of zhengliu6699/imageFusionMetrics. That code exchanges the marginals: it divides p(x, f) of levels x and f
    by the share of level x in the *fused* image and of level f in the *source*, and leaves out a pair where one of them
    is zero. Levels compare across images then, so its stretch to 0..255 matters. Published numbers carry this, so it is
    the default; the formula as published differs by 7 % ("cvejic") and 2 % ("nava") on average.

    Example:
        >>> import torch
        >>> image = torch.arange(16).view(1, 1, 4, 4) / 15
        >>> q_te(image, image, image).round(decimals=3)
        tensor([22.4850], dtype=torch.float64)
    """
    check_images(data_range, fused=fused, source_a=source_a, source_b=source_b)
    check_choice("variant", variant, ("cvejic", "nava", "cvejic_published", "nava_published"))
    name, _, published = variant.partition("_")
    f, a, b = (gray8(image, data_range).detach() for image in (fused, source_a, source_b))
    order, exchanged = _ORDER[name], not published
    score = _shared_information(a, f, order, exchanged) + _shared_information(b, f, order, exchanged)
    if name == "nava":
        of_a, of_b = (entropy(_share(level_histogram(gray), gray)) ** order for gray in (a, b))
        score = score / (of_a + of_b + _shared_information(a, b, order, exchanged))
    undefined = has_no_histogram(f) | has_no_histogram(a) | has_no_histogram(b)
    return score.masked_fill(undefined, torch.nan)


def _shared_information(first: Tensor, second: Tensor, order: float, exchanged: bool) -> Tensor:
    """Tsallis mutual information of gray images ``(B, H, W)``."""
    joint = _share(joint_histogram(first, second), first)
    share_first, share_second = joint.sum(2), joint.sum(1)
    if exchanged:
        label_first, label_second = _stretched_levels(first), _stretched_levels(second)
        share_first, share_second = (
            _relabel(share_second, label_second).gather(1, label_first),
            _relabel(share_first, label_first).gather(1, label_second),
        )
    of_first, of_second = (torch.where(share > 0, share ** (1 - order), 0.0) for share in (share_first, share_second))
    total = (joint**order * of_first.unsqueeze(2) * of_second.unsqueeze(1)).sum((1, 2))
    return (1 - total) / (1 - order)


def _share(counts: Tensor, gray: Tensor) -> Tensor:
    return counts.to(gray.dtype) / gray[0].numel()


def _stretched_levels(gray: Tensor) -> Tensor:
    """What each level 0..255 becomes when the image is stretched to 0..255, ``(B, 256)``, int64."""
    low, high = (extreme(gray.nan_to_num(0), (1, 2)).unsqueeze(1) for extreme in (torch.amin, torch.amax))
    levels = torch.arange(256, dtype=gray.dtype, device=gray.device)
    levels = levels.clamp(low, high)  # levels outside do not occur, but need a label
    return torch.floor((levels - low) / (high - low).clamp(min=1) * 255 + 0.5).long()


def _relabel(share: Tensor, label: Tensor) -> Tensor:
    """Share of each stretched level: the stretch maps levels that occur one to one."""
    return torch.zeros_like(share).scatter_add_(1, label, share)
