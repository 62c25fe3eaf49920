"""Thin templates: strips along the zero of smooth noise."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from mfif.synthesis.draws import LogUniform
from mfif.synthesis.templates.blobs import draw_waves, random_fields


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

    Source: the distance to first order, Taubin, IEEE TPAMI 1991.
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
        frequency, phase = draw_waves(count, self.waves, self.length, generator)
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
