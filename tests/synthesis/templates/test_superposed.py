import numpy as np
import pytest
import torch

from mfif.synthesis import HalfplaneTemplates, PaperTemplates, ShapeTemplates, SuperposedTemplates


def test_refuses():
    with pytest.raises(ValueError, match="Expected `count` to be positive, got 0"):
        SuperposedTemplates(ShapeTemplates(), count=0)
    with pytest.raises(ValueError, match="Expected `operation` to be 'xor' or 'union', got 'and'"):
        SuperposedTemplates(ShapeTemplates(), operation="and")


@pytest.mark.parametrize(
    "member", [ShapeTemplates(), HalfplaneTemplates(), PaperTemplates()], ids=lambda m: type(m).__name__
)
@pytest.mark.parametrize(("operation", "combine"), [("xor", np.logical_xor), ("union", np.logical_or)])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_matches_its_parts(member, operation, combine, count):
    templates = SuperposedTemplates(member, count, operation)
    parameters = templates.draw(torch.zeros(10, dtype=torch.long), torch.Generator().manual_seed(0))
    assert parameters.shape[:2] == (10, count)
    maps = templates.render(parameters, 20)
    parts = [member.render(parameters[:, index], 20).bool().numpy() for index in range(count)]
    expected = parts[0]
    for part in parts[1:]:
        expected = combine(expected, part)
    assert np.array_equal(maps.numpy(), expected)
    assert maps.dtype == torch.float32


def test_a_set_that_enumerates_gives_all_of_its_templates():
    templates = SuperposedTemplates(PaperTemplates(), count=2)
    drawn = templates.draw(torch.zeros(600, dtype=torch.long), torch.Generator().manual_seed(0))
    assert templates.variants == 1
    assert drawn.flatten().bincount().min() > 120
