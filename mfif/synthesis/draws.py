"""Random numbers between two bounds, as kernels and templates draw them."""

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor


class LogUniform:
    """Positive numbers, uniform in the logarithm, so that each doubling is as likely as the next.

    Args:
        name: What the bounds are called where they are given; for the message.
        bounds: Smallest and largest number.

    Raises:
        ValueError: The bounds are not positive or not in order.
    """

    def __init__(self, name: str, bounds: Sequence[float]) -> None:
        if len(bounds) != 2 or not 0 < bounds[0] <= bounds[1]:
            raise ValueError(f"Expected `{name}` to be two bounds, 0 < low <= high, got {list(bounds)}.")
        self.low, self.high = (float(bound) for bound in bounds)

    def draw(self, count: int, generator: Generator) -> Tensor:
        """As many numbers, ``(count, 1)``, on the CPU."""
        return self.low * (self.high / self.low) ** torch.rand(count, 1, generator=generator)


def draw_angle(count: int, generator: Generator) -> Tensor:
    """Directions in radians, uniform over the full turn, ``(count, 1)``, on the CPU."""
    return 2 * math.pi * torch.rand(count, 1, generator=generator)
