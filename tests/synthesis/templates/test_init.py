import pytest
import torch

from mfif.synthesis import (
    BlobTemplates,
    HalfplaneTemplates,
    PaperTemplates,
    ShapeTemplates,
    StripTemplates,
    SuperposedTemplates,
)

SETS = {
    "paper": PaperTemplates(),
    "blobs": BlobTemplates(),
    "halfplane": HalfplaneTemplates(),
    "shapes": ShapeTemplates(),
    "strips": StripTemplates(),
    "superposed": SuperposedTemplates(ShapeTemplates()),
}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", SETS)
def test_smoke(name):
    templates = SETS[name]
    variant = torch.arange(9) % templates.variants
    maps = templates.render(templates.draw(variant, generator()), 20)
    assert maps.shape == (9, 1, 20, 20)
    assert maps.dtype == torch.float32
    assert maps.unique().tolist() == [0, 1]


@pytest.mark.parametrize("name", SETS)
def test_both_sides_have_a_part(name):
    templates = SETS[name]
    maps = templates.render(templates.draw(torch.arange(300) % templates.variants, generator()), 32)
    share = maps.mean((1, 2, 3))
    assert 0.2 < share.mean() < 0.6
    assert ((share > 0.01) & (share < 0.99)).float().mean() > 0.9


@pytest.mark.parametrize("name", SETS)
def test_draw_depends_on_the_generator_alone(name):
    templates = SETS[name]
    variant = torch.arange(12) % templates.variants
    torch.manual_seed(1)
    first = templates.draw(variant, generator(3))
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert first.device.type == "cpu"
    assert torch.equal(first, templates.draw(variant, generator(3)))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("name", [name for name in SETS if SETS[name].variants == 1])
def test_draws_differ(name):
    templates, source = SETS[name], generator()
    first, second = (templates.draw(torch.zeros(4, dtype=torch.long), source) for _ in range(2))
    assert len(torch.cat([first, second]).unique(dim=0)) == 8


@pytest.mark.parametrize("name", SETS)
def test_samples_do_not_mix(name):
    templates = SETS[name]
    parameters = templates.draw(torch.arange(8) % templates.variants, generator())
    assert torch.equal(templates.render(parameters, 24)[2:5], templates.render(parameters[2:5], 24))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", SETS)
def test_on_the_accelerator(name):
    templates = SETS[name]
    parameters = templates.draw(torch.arange(20) % templates.variants, generator())
    maps = templates.render(parameters.cuda(), 32)
    assert maps.is_cuda
    assert (maps.cpu() != templates.render(parameters, 32)).float().mean() < 1e-3
