import pytest
import torch

from mfif.synthesis.mixture import Mixture, choose
from mfif.synthesis.sets import KernelSet


class Numbers:
    """A set whose samples are their own parameters: which of its variants, and a draw, as ``(B, 2, 1)``."""

    def __init__(self, variants: int) -> None:
        self.variants = variants

    def draw(self, variant: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return torch.stack([variant.float(), torch.rand(len(variant), generator=generator)], 1)[..., None]

    def render(self, parameters: torch.Tensor) -> torch.Tensor:
        return parameters[..., 0]


def mixture() -> Mixture[KernelSet]:
    return Mixture({"two": Numbers(2), "five": Numbers(5)}, "kernel")


def test_parts_are_what_the_members_drew() -> None:
    drawn = mixture().draw(torch.zeros(2000), torch.Generator().manual_seed(0))
    assert drawn.shape == (2000, 1 + 2 + 2)
    choice, parts = mixture().parts(drawn)
    assert [part.shape for part in parts] == [(2000, 2, 1), (2000, 2, 1)]
    assert torch.bincount(choice).tolist() == pytest.approx([1000, 1000], abs=100)
    for part, variants in zip(parts, (2, 5), strict=True):
        assert torch.bincount(part[:, 0, 0].long()).tolist() == pytest.approx([2000 / variants] * variants, rel=0.2)
    again = mixture().draw(torch.zeros(2000), torch.Generator().manual_seed(0))
    assert torch.equal(drawn, again)


def test_each_sample_is_that_of_its_member() -> None:
    rendered = [torch.tensor([[10.0], [11.0], [12.0]]), torch.tensor([[20.0], [21.0], [22.0]])]
    assert choose(rendered, torch.tensor([1, 0, 1])).tolist() == [[20], [11], [22]]


def test_a_mixture_of_nothing() -> None:
    with pytest.raises(ValueError, match="Expected `members` to be at least one template set, got none"):
        Mixture({}, "template")
