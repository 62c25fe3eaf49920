"""Irregular templates: smooth noise cut at a level."""

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


def draw_waves(count: int, waves: int, length: LogUniform, generator: Generator) -> tuple[Tensor, Tensor]:
    """Draw what `random_fields` are made of, for a Gaussian covariance of random correlation length.

    Args:
        count: Fields.
        waves: Plane waves in a field.
        length: Of the correlation lengths, as a fraction of the side.
        generator: Source of all randomness, on the CPU.

    Returns:
        Frequencies ``(count, 2 * waves)``, y and x of each wave in turn, and phases ``(count, waves)``.
    """
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
        frequency, phase = draw_waves(count, self.waves, self.length, generator)
        level = 0.5 * torch.randn(count, 1, generator=generator)
        return torch.cat([frequency, phase, level], dim=1)

    def render(self, parameters: Tensor, size: int) -> Tensor:
        """Maps ``(B, 1, size, size)`` of the drawn fields."""
        frequency, phase, level = torch.split(parameters, [2 * self.waves, self.waves, 1], dim=1)
        field = random_fields(frequency.reshape(-1, self.waves, 2), phase, size)
        return (field > level[..., None]).float().unsqueeze(1)
