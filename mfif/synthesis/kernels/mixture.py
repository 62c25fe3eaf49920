"""Kernels of several kinds in one set."""

from collections.abc import Mapping

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from mfif.synthesis.sets import KernelSet


class MixtureKernels:
    """Each pair's kernel comes from one of several sets, all equally likely.

    Args:
        members: Kernel sets by name; of sets that enumerate their kernels one is drawn at random.

    Raises:
        ValueError: There is no set.
    """

    variants = 1

    def __init__(self, members: Mapping[str, KernelSet]) -> None:
        if not members:
            raise ValueError("Expected `members` to be at least one kernel set, got none.")
        self.members = tuple(members.values())
        self._columns = [self._draw_member(member, 1, torch.Generator()).shape[1] for member in self.members]

    @staticmethod
    def _draw_member(member: KernelSet, count: int, generator: Generator) -> Tensor:
        return member.draw(torch.randint(member.variants, (count,), generator=generator), generator)

    def draw(self, variant: Tensor, generator: Generator) -> Tensor:
        """Which member each sample's kernel is of, then the parameters of every member, ``(B, 1 + P1 + P2 ...)``."""
        count = len(variant)
        choice = torch.randint(len(self.members), (count, 1), generator=generator)
        return torch.cat(
            [choice.float(), *(self._draw_member(member, count, generator) for member in self.members)], dim=1
        )

    def render(self, parameters: Tensor) -> Tensor:
        """Kernels ``(B, K, K)`` of the drawn parameters, with zeros around the smaller ones."""
        choice, *parts = torch.split(parameters, [1, *self._columns], dim=1)
        kernels = [member.render(part) for member, part in zip(self.members, parts, strict=True)]
        planes = [rows[:, :, None] * rows[:, None] if rows.ndim == 2 else rows for rows in kernels]
        side = max(plane.shape[-1] for plane in planes)
        padded = torch.stack([F.pad(plane, [(side - plane.shape[-1]) // 2] * 4) for plane in planes])
        return padded[choice[:, 0].long(), torch.arange(len(choice), device=choice.device)]
