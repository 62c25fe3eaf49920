"""Put a partially focused pair together from a sharp photograph, a blur kernel and a template."""

import torch
from torch import Tensor

from mfif.pair import FocusPair, blend
from mfif.synthesis.kernels import blur


def compose(sharp: Tensor, kernel: Tensor, template: Tensor, exchange: Tensor) -> FocusPair:
    """Blur the photograph and hand its sharp and its blurred part to two sources.

    Args:
        sharp: Photographs, ``(B, C, H, W)`` in [0, 1].
        kernel: One blur kernel per sample, ``(B, K)`` or ``(B, K, K)``.
        template: One map per sample, ``(B, 1, H, W)`` in [0, 1]; 1 where the first source stays sharp.
        exchange: ``(B,)``, true where the two sources change places, and the map becomes its complement.

    Returns:
        The pair; its blend by the true map is `sharp` wherever the map is 0 or 1.

    Source: sec. 3.1 of Zeng et al., ICASSP 2020.
    """
    alpha = torch.where(exchange[:, None, None, None], 1 - template, template)
    blurred = blur(sharp, kernel)
    return FocusPair(blend(sharp, blurred, alpha), blend(blurred, sharp, alpha), alpha, sharp)
