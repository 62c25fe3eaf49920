"""What the synthesizer knows of kernels and templates."""

from typing import Protocol

from torch import Generator, Tensor


class KernelSet(Protocol):
    """Blur kernels to choose from, see `mfif.synthesis.kernels`."""

    variants: int

    def draw(self, variant: Tensor, generator: Generator) -> Tensor:
        """Parameters of one kernel per sample, ``(B, P)``."""

    def render(self, parameters: Tensor) -> Tensor:
        """Kernels ``(B, K)`` or ``(B, K, K)``."""


class TemplateSet(Protocol):
    """Focus templates to choose from, see `mfif.synthesis.templates`."""

    variants: int

    def draw(self, variant: Tensor, generator: Generator) -> Tensor:
        """Parameters of one template per sample, first dimension ``B``."""

    def render(self, parameters: Tensor, size: int) -> Tensor:
        """Maps ``(B, 1, size, size)``."""
