import torch

from mfif.synthesis import ConstantTemplates


def test_one_source_has_everything():
    templates = ConstantTemplates()
    variant = torch.tensor([1, 0, 0])
    maps = templates.render(templates.draw(variant, torch.Generator()), 5)
    assert templates.variants == 2
    assert maps.dtype == torch.float32
    assert torch.equal(maps, torch.stack([torch.ones(1, 5, 5), torch.zeros(1, 5, 5), torch.zeros(1, 5, 5)]))
