"""Several templates on top of each other."""

from typing import Literal

import torch
from torch import Generator, Tensor

from mfif.synthesis.sets import TemplateSet


class SuperposedTemplates:
    """Several templates of one set in one: what lies in any of them, or in an odd number of them.

    Args:
        templates: The set; of one that enumerates its templates one is drawn at random each time.
        count: Templates in each.
        operation: ``"xor"``, where each template turns over what it covers, or ``"union"``.

    Raises:
        ValueError: `count` is not positive, or `operation` is neither of the two.
    """

    variants = 1

    def __init__(self, templates: TemplateSet, count: int = 3, operation: Literal["xor", "union"] = "xor") -> None:
        if count < 1:
            raise ValueError(f"Expected `count` to be positive, got {count}.")
        if operation not in ("xor", "union"):
            raise ValueError(f"Expected `operation` to be 'xor' or 'union', got {operation!r}.")
        self.templates = templates
        self.count = count
        self.operation = operation

    def draw(self, variant: Tensor, generator: Generator) -> Tensor:
        """Parameters of each sample's templates, ``(B, count, ...)``."""
        variants = torch.randint(self.templates.variants, (self.count, len(variant)), generator=generator)
        return torch.stack([self.templates.draw(row, generator) for row in variants], dim=1)

    def render(self, parameters: Tensor, size: int) -> Tensor:
        """Maps ``(B, 1, size, size)`` of the drawn templates."""
        covered = torch.stack([self.templates.render(part, size) for part in parameters.unbind(1)]).sum(0)
        return covered.remainder(2) if self.operation == "xor" else covered.clamp(max=1)
