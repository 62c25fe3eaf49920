"""Templates of several kinds in one set."""

from collections.abc import Mapping

import torch
from torch import Generator, Tensor

from mfif.synthesis.sets import TemplateSet


class MixtureTemplates:
    """Each pair's template comes from one of several sets, all equally likely.

    Args:
        members: Template sets by name; of sets that enumerate their templates one is drawn at random.

    Raises:
        ValueError: There is no set.
    """

    variants = 1

    def __init__(self, members: Mapping[str, TemplateSet]) -> None:
        if not members:
            raise ValueError("Expected `members` to be at least one template set, got none.")
        self.members = tuple(members.values())
        self._shapes = [self._draw_member(member, 1, torch.Generator()).shape[1:] for member in self.members]

    @staticmethod
    def _draw_member(member: TemplateSet, count: int, generator: Generator) -> Tensor:
        return member.draw(torch.randint(member.variants, (count,), generator=generator), generator)

    def draw(self, variant: Tensor, generator: Generator) -> Tensor:
        """Which member each sample's template is of, then the parameters of every member, ``(B, 1 + P1 + P2 ...)``."""
        count = len(variant)
        choice = torch.randint(len(self.members), (count, 1), generator=generator)
        drawn = [self._draw_member(member, count, generator).reshape(count, -1) for member in self.members]
        return torch.cat([choice.float(), *(part.float() for part in drawn)], dim=1)

    def render(self, parameters: Tensor, size: int) -> Tensor:
        """Maps ``(B, 1, size, size)`` of the drawn parameters."""
        choice, *parts = torch.split(parameters, [1, *(shape.numel() for shape in self._shapes)], dim=1)
        maps = torch.stack(
            [
                member.render(part.reshape(-1, *shape), size)
                for member, part, shape in zip(self.members, parts, self._shapes, strict=True)
            ]
        )
        return maps[choice[:, 0].long(), torch.arange(len(choice), device=choice.device)]
