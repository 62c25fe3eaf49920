"""Motion kernels: a camera that moves in a straight line while the shutter is open."""

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from mfif.synthesis.draws import LogUniform, draw_angle

_POINTS_PER_PIXEL = 4  # enough that neighbouring points share their pixels


class MotionKernels:
    """Blur along a line of random length and direction: a stress for methods trained on defocus.

    Args:
        length: Smallest and largest length of the line in pixels, drawn uniformly in the logarithm.

    Raises:
        ValueError: The bounds are not positive or not in order.
    """

    variants = 1

    def __init__(self, length: Sequence[float] = (3.0, 15.0)) -> None:
        self.length = LogUniform("length", length)
        self.radius = math.ceil(self.length.high / 2)
        self.points = _POINTS_PER_PIXEL * math.ceil(self.length.high)

    def draw(self, variant: Tensor, generator: Generator) -> Tensor:
        """Length, and direction from x towards y in radians, of each sample's line, ``(B, 2)``."""
        count = len(variant)
        return torch.cat([self.length.draw(count, generator), draw_angle(count, generator)], dim=1)

    def render(self, parameters: Tensor) -> Tensor:
        """Lines ``(B, K, K)`` of the drawn parameters ``(B, 2)``, each point shared out between its four pixels."""
        length, angle = parameters[:, None, None].unbind(-1)
        step = (torch.arange(self.points, device=parameters.device) + 0.5) / self.points - 0.5
        along = length * step[:, None]  # (B, points, 1)
        offset = torch.arange(-self.radius, self.radius + 1, device=parameters.device)
        rows = (1 - (offset - along * angle.sin()).abs()).clamp(min=0)
        columns = (1 - (offset - along * angle.cos()).abs()).clamp(min=0)
        return rows.mT @ columns / self.points
