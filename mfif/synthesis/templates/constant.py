"""Templates of one value: a whole image sharp, or blurred."""

import torch
from torch import Generator, Tensor


class ConstantTemplates:
    """The first source sharp everywhere, or the second: pairs to classify as a whole, each used once for every crop.

    Source: the training patches of Liu et al., Information Fusion 2017.
    """

    variants = 2

    def draw(self, variant: Tensor, generator: Generator) -> Tensor:
        """Value of each sample's template, ``(B,)``: the variant."""
        return variant

    def render(self, parameters: Tensor, size: int) -> Tensor:
        """Maps ``(B, 1, size, size)`` of the drawn values."""
        return parameters.to(torch.float32)[:, None, None, None].repeat(1, 1, size, size)
