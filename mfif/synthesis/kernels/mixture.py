"""Kernels of several kinds in one set."""

from collections.abc import Mapping

from torch import Tensor
from torch.nn import functional as F

from mfif.synthesis.mixture import Mixture, choose
from mfif.synthesis.sets import KernelSet


class MixtureKernels(Mixture[KernelSet]):
    """Each pair's kernel comes from one of several sets, all equally likely.

    Args:
        members: Kernel sets by name; of sets that enumerate their kernels one is drawn at random.

    Raises:
        ValueError: There is no set.
    """

    def __init__(self, members: Mapping[str, KernelSet]) -> None:
        super().__init__(members, "kernel")

    def render(self, parameters: Tensor) -> Tensor:
        """Kernels ``(B, K, K)`` of the drawn parameters, with zeros around the smaller ones."""
        choice, parts = self.parts(parameters)
        kernels = [member.render(part) for member, part in zip(self.members, parts, strict=True)]
        planes = [rows[:, :, None] * rows[:, None] if rows.ndim == 2 else rows for rows in kernels]
        side = max(plane.shape[-1] for plane in planes)
        return choose([F.pad(plane, [(side - plane.shape[-1]) // 2] * 4) for plane in planes], choice)
