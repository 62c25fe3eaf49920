"""Q_NCIE: nonlinear correlation information entropy."""

import math

import torch
from torch import Tensor

from mfif.metrics.functional.gray import gray8
from mfif.metrics.functional.histogram import entropy, has_no_histogram, joint_histogram
from mfif.metrics.functional.validation import check_images

_BITS = 8  # the entropy of 256 levels at most


def q_ncie(fused: Tensor, source_a: Tensor, source_b: Tensor, data_range: float = 1.0) -> Tensor:
    """Nonlinear correlation of the fused image and both sources among each other; higher is better.

    ``1 + sum of l/3 log2(l/3) / 8`` over the eigenvalues l of the 3x3 matrix of ``I(X, Y) / 8`` with ones on its
    diagonal.

    Args:
        fused: ``(B, 1, H, W)`` or ``(B, 3, H, W)`` in [0, data_range]; colour is scored on its gray.
        source_a: First source, same shape.
        source_b: Second source, same shape.
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.

    Returns:
        ``(B,)`` in 0.80188..1. Equal images score 1 only if their histogram is flat: the correlation of an image with
        itself is H(X)/8 here. NaN where the reference fails: an image of the three is constant and not black; also
        where a pixel is not finite.

    Raises:
        TypeError: An image is not a real tensor.
        ValueError: Shapes are wrong or differ, or an image does not fit `data_range`.

    Source: Wang et al., chapter 19 of Stathaki (ed.), Image Fusion: Algorithms and Applications, 2008; ``metricWang.m``
    of zhengliu6699/imageFusionMetrics. Its stretch to 0..255 is left out: no entropy notices it. The eigenvalues are
    taken in closed form.

    Example:
        >>> import torch
        >>> image = torch.arange(256).view(1, 1, 16, 16) / 255
        >>> q_ncie(image, image, image).round(decimals=6)
        tensor([1.], dtype=torch.float64)
    """
    check_images(data_range, fused=fused, source_a=source_a, source_b=source_b)
    f, a, b = (gray8(image, data_range).detach() for image in (fused, source_a, source_b))
    eigenvalues = _eigenvalues(_correlation(a, f), _correlation(b, f), _correlation(a, b))
    score = 1 - entropy(eigenvalues / 3) / _BITS
    undefined = has_no_histogram(f) | has_no_histogram(a) | has_no_histogram(b)
    return score.masked_fill(undefined, torch.nan)


def _correlation(first: Tensor, second: Tensor) -> Tensor:
    """Mutual information of gray images ``(B, H, W)`` in units of 8 bits."""
    joint = joint_histogram(first, second).to(first.dtype) / first[0].numel()
    return (entropy(joint.sum(2)) + entropy(joint.sum(1)) - entropy(joint.flatten(1))) / _BITS


def _eigenvalues(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Eigenvalues ``(B, 3)`` of the symmetric matrices with ones on the diagonal and x, y, z beside it."""
    # Cardano: torch.linalg.eigvalsh waits for the device, and not every device has it.
    radius = ((x * x + y * y + z * z) / 3).sqrt()
    ratio = torch.where(radius > 0, x * y * z / radius**3, 0.0)
    angle = torch.acos(ratio.clamp(-1, 1)) / 3
    turns = torch.tensor([0.0, 2 * math.pi / 3, 4 * math.pi / 3], dtype=x.dtype, device=x.device)
    return (1 + 2 * radius.unsqueeze(1) * torch.cos(angle.unsqueeze(1) + turns)).clamp(min=0)
