"""Several sets in one, of kernels or of templates."""

from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

import torch
from torch import Generator, Tensor

from mfif.synthesis.sets import KernelSet, TemplateSet

Member = TypeVar("Member", KernelSet, TemplateSet)


class Mixture(Generic[Member]):
    """Each sample comes from one of several sets, all equally likely.

    Args:
        members: Sets by name; of one that enumerates what it has, one is drawn at random.
        kind: What is in the sets, for the message.

    Raises:
        ValueError: There is no set.
    """

    variants = 1

    def __init__(self, members: Mapping[str, Member], kind: str) -> None:
        if not members:
            raise ValueError(f"Expected `members` to be at least one {kind} set, got none.")
        self.members: tuple[Member, ...] = tuple(members.values())
        self._shapes = [_draw(member, 1, torch.Generator()).shape[1:] for member in self.members]

    def draw(self, variant: Tensor, generator: Generator) -> Tensor:
        """Which member each sample is of, then the parameters of every member, ``(B, 1 + P1 + P2 ...)``."""
        count = len(variant)
        choice = torch.randint(len(self.members), (count, 1), generator=generator)
        drawn: list[Tensor] = [_draw(member, count, generator).reshape(count, -1) for member in self.members]
        return torch.cat([choice.float(), *(part.float() for part in drawn)], dim=1)

    def parts(self, parameters: Tensor) -> tuple[Tensor, list[Tensor]]:
        """What was drawn: the member of each sample, ``(B,)``, and the parameters of each member as it drew them."""
        choice, *parts = torch.split(parameters, [1, *(shape.numel() for shape in self._shapes)], dim=1)
        shaped = [part.reshape(-1, *shape) for part, shape in zip(parts, self._shapes, strict=True)]
        return choice[:, 0].long(), shaped


def choose(rendered: Sequence[Tensor], choice: Tensor) -> Tensor:
    """Of what each member made of all samples, ``(B, ...)``, the one that each sample is of."""
    return torch.stack(list(rendered))[choice, torch.arange(len(choice), device=choice.device)]


def _draw(member: KernelSet | TemplateSet, count: int, generator: Generator) -> Tensor:
    return member.draw(torch.randint(member.variants, (count,), generator=generator), generator)
