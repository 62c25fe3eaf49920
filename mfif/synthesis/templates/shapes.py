"""Templates with plain geometry: half-planes, ellipses and polygons."""

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from mfif.synthesis.draws import LogUniform, draw_angle


def _grid(size: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Centres of the pixels, x and y, from -1/2 to 1/2 over the side."""
    position = (torch.arange(size, device=like.device) + 0.5) / size - 0.5
    y, x = torch.meshgrid(position, position, indexing="ij")
    return x, y


class HalfplaneTemplates:
    """Everything on one side of a straight edge of random direction.

    Args:
        offset: Largest distance of the edge from the centre, as a fraction of the side.

    Raises:
        ValueError: `offset` is outside of [0, 0.5), where an edge would miss the image in some directions.
    """

    variants = 1

    def __init__(self, offset: float = 0.35) -> None:
        if not 0 <= offset < 0.5:
            raise ValueError(f"Expected `offset` to be in [0, 0.5), got {offset}.")
        self.offset = offset

    def draw(self, variant: Tensor, generator: Generator) -> Tensor:
        """Direction of the kept side from x towards y in radians, and distance of the edge, ``(B, 2)``."""
        count = len(variant)
        distance = self.offset * (2 * torch.rand(count, 1, generator=generator) - 1)
        return torch.cat([draw_angle(count, generator), distance], dim=1)

    def render(self, parameters: Tensor, size: int) -> Tensor:
        """Maps ``(B, 1, size, size)`` of the drawn edges."""
        x, y = _grid(size, parameters)
        angle, distance = parameters[:, :, None, None].unbind(1)
        return (x * angle.cos() + y * angle.sin() > distance).float().unsqueeze(1)


class ShapeTemplates:
    """One ellipse or polygon at a random place.

    A polygon is a regular one, stretched and turned as the ellipse it lies in: any triangle, any parallelogram.

    Args:
        radius: Smallest and largest half-axis of the ellipse, as a fraction of the side; both are drawn alike.
        corners: Most corners of a polygon; each number from 3 on is as likely as the ellipse. With 2 there are ellipses
            only.

    Raises:
        ValueError: The bounds are not positive or not in order, or `corners` is less than 2.
    """

    variants = 1

    def __init__(self, radius: Sequence[float] = (0.2, 0.6), corners: int = 6) -> None:
        self.radius = LogUniform("radius", radius)
        if corners < 2:
            raise ValueError(f"Expected `corners` to be at least 2, got {corners}.")
        self.corners = corners

    def draw(self, variant: Tensor, generator: Generator) -> Tensor:
        """Centre (x, y), half-axes, direction of the first, and number of corners (2: ellipse), ``(B, 6)``."""
        count = len(variant)
        centre = 0.7 * (torch.rand(count, 2, generator=generator) - 0.5)  # a large part of every shape is inside
        half_axes = [self.radius.draw(count, generator) for _ in range(2)]
        angle = draw_angle(count, generator)
        corners = torch.randint(2, self.corners + 1, (count, 1), generator=generator)
        return torch.cat([centre, *half_axes, angle, corners.float()], dim=1)

    def render(self, parameters: Tensor, size: int) -> Tensor:
        """Maps ``(B, 1, size, size)`` of the drawn shapes."""
        x, y = _grid(size, parameters)
        centre_x, centre_y, along, across, angle, corners = parameters[:, :, None, None].unbind(1)
        dx, dy = x - centre_x, y - centre_y
        u = (dx * angle.cos() + dy * angle.sin()) / along
        v = (dy * angle.cos() - dx * angle.sin()) / across
        # Now the ellipse is the unit circle, and a polygon's corners lie on it at equal steps from the u axis.
        step = 2 * math.pi / corners
        from_middle = torch.atan2(v, u).remainder(step) - step / 2  # angle to the middle of the nearest side
        side = (step / 2).cos() / from_middle.cos()
        side = torch.where(corners > 2, side, torch.ones_like(side))
        return (torch.hypot(u, v) <= side).float().unsqueeze(1)
