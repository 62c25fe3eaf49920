"""Templates of several kinds in one set."""

from collections.abc import Mapping

from torch import Tensor

from mfif.synthesis.mixture import Mixture, choose
from mfif.synthesis.sets import TemplateSet


class MixtureTemplates(Mixture[TemplateSet]):
    """Each pair's template comes from one of several sets, all equally likely.

    Args:
        members: Template sets by name; of sets that enumerate their templates one is drawn at random.

    Raises:
        ValueError: There is no set.
    """

    def __init__(self, members: Mapping[str, TemplateSet]) -> None:
        super().__init__(members, "template")

    def render(self, parameters: Tensor, size: int) -> Tensor:
        """Maps ``(B, 1, size, size)`` of the drawn parameters."""
        choice, parts = self.parts(parameters)
        maps = [member.render(part, size) for member, part in zip(self.members, parts, strict=True)]
        return choose(maps, choice)
