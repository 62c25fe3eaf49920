"""Irregular templates: smooth noise cut at a level, and strips along it."""

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from mfif.synthesis.draws import LogUniform


def random_fields(frequency: Tensor, phase: Tensor, size: int) -> Tensor:
    """Smooth random fields, each a sum of plane waves over the unit square.

    Args:
        frequency: Angular frequencies along y and x, in radians a side, ``(B, N, 2)``.
        phase: Phases in radians, ``(B, N)``.
        size: Side in pixels.

    Returns:
        ``(B, size, size)``, of unit variance over random phases.
    """
    position = (torch.arange(size, device=phase.device, dtype=phase.dtype) + 0.5) / size
    along_y = frequency[..., 0, None] * position
    along_x = frequency[..., 1, None] * position + phase[..., None]
    # cos(u + v) = cos u cos v - sin u sin v turns the sum over waves into two matrix products.
    rows = torch.cat([along_y.cos(), -along_y.sin()], dim=1)
    columns = torch.cat([along_x.cos(), along_x.sin()], dim=1)
    return math.sqrt(2 / phase.shape[1]) * rows.mT @ columns


def _draw_waves(count: int, waves: int, length: LogUniform, generator: Generator) -> tuple[Tensor, Tensor]:
    """Frequencies ``(count, 2 * waves)`` and phases ``(count, waves)`` of fields of random correlation lengths."""
    lengths = length.draw(count, generator)
    frequency = torch.randn(count, 2 * waves, generator=generator) / lengths
    return frequency, 2 * math.pi * torch.rand(count, waves, generator=generator)


class BlobTemplates:
    """Irregular regions: a smooth random field cut at a random level.

    The field approximates a Gaussian process with a Gaussian covariance by random plane waves (Rahimi and Recht,
    NIPS 2007), so regions range from straight halves to many small islands with the correlation length.

    Args:
        length: Smallest and largest correlation length, as a fraction of the side; drawn uniformly in the logarithm.
        waves: Plane waves in a field.

    Raises:
        ValueError: The bounds are not positive or not in order.
    """

    variants = 1

    def __init__(self, length: Sequence[float] = (0.08, 0.6), waves: int = 24) -> None:
        self.length = LogUniform("length", length)
        self.waves = waves

    def draw(self, variant: Tensor, generator: Generator) -> Tensor:
        """Frequencies, phases and the level of each sample's field, ``(B, 3 * waves + 1)``."""
        count = len(variant)
        frequency, phase = _draw_waves(count, self.waves, self.length, generator)
        level = 0.5 * torch.randn(count, 1, generator=generator)
        return torch.cat([frequency, phase, level], dim=1)

    def render(self, parameters: Tensor, size: int) -> Tensor:
        """Maps ``(B, 1, size, size)`` of the drawn fields."""
        frequency, phase, level = torch.split(parameters, [2 * self.waves, self.waves, 1], dim=1)
        field = random_fields(frequency.reshape(-1, self.waves, 2), phase, size)
        return (field > level[..., None]).float().unsqueeze(1)


class StripTemplates:
    """Thin things with crooked edges, as wires, stalks and hair are: strips along the zero of a smooth random field.

    The field is that of `BlobTemplates`. A pixel is in a strip if its distance to the zero, estimated by the field over
    the length of its gradient, is below half of the width. Half of the templates are all but the strips: gaps.

    Args:
        width: Smallest and largest width, as a fraction of the side; drawn uniformly in the logarithm.
        length: Smallest and largest correlation length of the field, likewise.
        waves: Plane waves in a field.

    Raises:
        ValueError: Bounds are not positive or not in order.
    """

    variants = 1

    def __init__(
        self, width: Sequence[float] = (0.015, 0.1), length: Sequence[float] = (0.08, 0.6), waves: int = 24
    ) -> None:
        self.width = LogUniform("width", width)
        self.length = LogUniform("length", length)
        self.waves = waves

    def draw(self, variant: Tensor, generator: Generator) -> Tensor:
        """Frequencies, phases, width, and 1 for a gap or 0 for a thing, of each sample, ``(B, 3 * waves + 2)``."""
        count = len(variant)
        frequency, phase = _draw_waves(count, self.waves, self.length, generator)
        width = self.width.draw(count, generator)
        gap = torch.randint(2, (count, 1), generator=generator)
        return torch.cat([frequency, phase, width, gap], dim=1)

    def render(self, parameters: Tensor, size: int) -> Tensor:
        """Maps ``(B, 1, size, size)`` of the drawn strips."""
        frequency, phase, width, gap = torch.split(parameters, [2 * self.waves, self.waves, 1, 1], dim=1)
        field = random_fields(frequency.reshape(-1, self.waves, 2), phase, size)
        slope = torch.hypot(*torch.gradient(field, dim=(1, 2)))  # a pixel
        inside = field.abs() < slope * (size / 2) * width[..., None]
        return (inside ^ gap.bool()[..., None]).float().unsqueeze(1)
