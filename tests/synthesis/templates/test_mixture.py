import pytest
import torch

from mfif.synthesis import (
    BlobTemplates,
    ConstantTemplates,
    HalfplaneTemplates,
    MixtureTemplates,
    PaperTemplates,
    ShapeTemplates,
    SuperposedTemplates,
)

MEMBERS = {
    "blobs": BlobTemplates(),
    "halfplane": HalfplaneTemplates(),
    "superposed": SuperposedTemplates(ShapeTemplates(), count=3),
    "constant": ConstantTemplates(),
    "paper": PaperTemplates(),
}


def draw(mixture, count):
    return mixture.draw(torch.zeros(count, dtype=torch.long), torch.Generator().manual_seed(0))


def test_refuses_nothing():
    with pytest.raises(ValueError, match="Expected `members` to be at least one template set"):
        MixtureTemplates({})


def test_each_sample_is_its_member_s():
    mixture = MixtureTemplates(MEMBERS)
    parameters = draw(mixture, 60)
    widths = [73, 2, 18, 1, 1]
    assert parameters.shape == (60, 1 + sum(widths))
    rendered = mixture.render(parameters, 24)
    assert rendered.shape == (60, 1, 24, 24)
    for template, row in zip(rendered, parameters, strict=True):
        number = int(row[0])
        start = 1 + sum(widths[:number])
        part = row[None, start : start + widths[number]]
        member = list(MEMBERS.values())[number]
        own = part.reshape(1, 3, 6) if number == 2 else part[:, 0].long() if number > 2 else part
        assert torch.equal(template, member.render(own, 24)[0])


def test_members_are_equally_likely():
    parameters = draw(MixtureTemplates(MEMBERS), 3000)
    assert (parameters[:, 0].long().bincount() / 3000).tolist() == pytest.approx([1 / 5] * 5, abs=0.04)
    assert (parameters[:, -1].long().bincount() / 3000).tolist() == pytest.approx([1 / 6] * 6, abs=0.04)
