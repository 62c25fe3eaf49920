"""The paper's six templates."""

import math

import torch
from torch import Generator, Tensor


def paper_templates(size: int, device: torch.device | str = "cpu") -> Tensor:
    """Six binary templates, half sharp and half blurred or nearly so.

    The bitmap of the paper's six (its Fig. 4, after PCNN) is in no text we found. These are our stand-ins, in this
    order: left half, top half, above the main diagonal, above the anti-diagonal, centred disc of half the area,
    corner quadrant.

    Args:
        size: Side in pixels.
        device: Where to make them.

    Returns:
        ``(6, 1, size, size)``, zeros and ones.
    """
    centre = (size - 1) / 2
    offset = torch.arange(size, device=device) - centre
    y, x = torch.meshgrid(offset, offset, indexing="ij")
    disc_radius = size / math.sqrt(2 * math.pi)
    maps = [x < 0, y < 0, x > y, x + y < 0, x**2 + y**2 <= disc_radius**2, (x < 0) & (y < 0)]
    return torch.stack(maps).float().unsqueeze(1)


class PaperTemplates:
    """The six templates of the paper, each used once for every crop and kernel."""

    variants = 6

    def draw(self, variant: Tensor, generator: Generator) -> Tensor:
        """Index of each sample's template, ``(B,)``."""
        return variant

    def render(self, parameters: Tensor, size: int) -> Tensor:
        """Maps ``(B, 1, size, size)`` of the drawn indices."""
        return paper_templates(size, parameters.device)[parameters.long()]
