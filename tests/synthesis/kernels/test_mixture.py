import pytest
import torch

from mfif.synthesis import CascadeKernels, DiscKernels, GaussianKernels, MixtureKernels

MEMBERS = {"gaussian": GaussianKernels((0.6, 2.0)), "disc": DiscKernels((1.0, 8.0)), "cascade": CascadeKernels()}


def test_refuses_nothing():
    with pytest.raises(ValueError, match="Expected `members` to be at least one kernel set"):
        MixtureKernels({})


def test_each_sample_is_its_member_s():
    mixture = MixtureKernels(MEMBERS)
    parameters = mixture.draw(torch.zeros(60, dtype=torch.long), torch.Generator().manual_seed(0))
    rendered = mixture.render(parameters)
    assert parameters.shape == (60, 1 + 2 + 1 + 1)
    assert rendered.shape == (60, 31, 31)
    columns = {"gaussian": slice(1, 3), "disc": slice(3, 4), "cascade": slice(4, 5)}
    for kernel, row in zip(rendered, parameters, strict=True):
        name = list(MEMBERS)[int(row[0])]
        part = MEMBERS[name].render(row[None, columns[name]])[0]
        plane = part if part.ndim == 2 else torch.outer(part, part)
        margin = (31 - len(plane)) // 2
        inner = kernel[margin : 31 - margin, margin : 31 - margin]
        torch.testing.assert_close(inner, plane)
        assert kernel.sum().item() == pytest.approx(inner.sum().item(), abs=1e-6)  # nothing around it


def test_members_are_equally_likely():
    mixture = MixtureKernels(MEMBERS)
    parameters = mixture.draw(torch.zeros(3000, dtype=torch.long), torch.Generator().manual_seed(0))
    assert (parameters[:, 0].long().bincount() / 3000).tolist() == pytest.approx([1 / 3] * 3, abs=0.04)
    assert (parameters[:, 4].long().bincount() / 3000).tolist() == pytest.approx([1 / 5] * 5, abs=0.04)


def test_one_member_is_that_member():
    mixture = MixtureKernels({"disc": MEMBERS["disc"]})
    parameters = mixture.draw(torch.zeros(9, dtype=torch.long), torch.Generator().manual_seed(0))
    assert torch.equal(mixture.render(parameters), MEMBERS["disc"].render(parameters[:, 1:]))
