"""Disc kernels: what a lens with an open round aperture makes of a point out of focus."""

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from mfif.synthesis.draws import LogUniform


def disc_kernels(radius: Tensor, support: int) -> Tensor:
    """Discs of uniform brightness; each pixel has the exact share of the disc that falls on it.

    Args:
        radius: Radii in pixels, ``(B,)``.
        support: Side of every kernel in pixels, odd; a disc that is larger is cut off.

    Returns:
        ``(B, support, support)``, dtype of `radius`, each of sum one.

    Example:
        >>> disc_kernels(torch.tensor([0.5, 1.0]), 3)[:, 1]
        tensor([[0.0000, 1.0000, 0.0000],
                [0.1453, 0.3183, 0.1453]])
    """
    edge = torch.arange(support + 1, device=radius.device) - support / 2
    edge = edge / radius[:, None]
    # Area up to each corner of the pixels, and from it, by differences, the area on each pixel.
    area = _area_below(edge[:, None, :], edge[:, :, None])
    kernel = area.diff(dim=1).diff(dim=2).clamp(min=0)  # a difference of equal areas may round to less than nothing
    return kernel / kernel.sum((1, 2), keepdim=True)


def _area_below(x: Tensor, y: Tensor) -> Tensor:
    """Area of the unit disc where the coordinates are at most x and y."""
    x, y = x.clamp(-1, 1), y.clamp(-1, 1)
    half_x, half_y = ((t * (1 - t**2).sqrt() + t.asin()) / 2 for t in (x, y))
    inside = x * y + half_x + half_y + math.pi / 4
    # Where the two lines meet outside of the disc they do not cross in it, and each cuts off a piece of its own.
    below_x, below_y = 2 * half_x + math.pi / 2, 2 * half_y + math.pi / 2
    outside = torch.where(
        x > 0,
        torch.where(y > 0, below_x + below_y - math.pi, below_y),
        torch.where(y > 0, below_x, torch.zeros_like(x)),
    )
    return torch.where(x**2 + y**2 < 1, inside, outside)


class DiscKernels:
    """Disc blur (bokeh) of a radius drawn for every pair, uniformly in the logarithm.

    Defocus measured on the Lytro pairs needs a radius of 5 px (median; 2.5 to 7.2 from the 10th to the 90th
    percentile); a disc fits it no better and no worse than a Gaussian.

    Args:
        radius: Smallest and largest radius in pixels.

    Raises:
        ValueError: The bounds are not positive or not in order.
    """

    variants = 1

    def __init__(self, radius: Sequence[float] = (1.0, 8.0)) -> None:
        self.radius = LogUniform("radius", radius)
        self.support = 2 * math.ceil(self.radius.high - 0.5) + 1

    def draw(self, variant: Tensor, generator: Generator) -> Tensor:
        """Radius of each sample's disc, ``(B, 1)``."""
        return self.radius.draw(len(variant), generator)

    def render(self, parameters: Tensor) -> Tensor:
        """Discs ``(B, support, support)`` of the drawn radii ``(B, 1)``."""
        return disc_kernels(parameters[:, 0], self.support)
