import pytest
import torch

from mfif.synthesis import (
    AnisotropicKernels,
    CascadeKernels,
    DiscKernels,
    GaussianKernels,
    MixtureKernels,
    MotionKernels,
    PaperKernels,
)

SETS = {
    "paper": PaperKernels(),
    "gaussian": GaussianKernels(),
    "disc": DiscKernels(),
    "mixture": MixtureKernels({"paper": PaperKernels(), "disc": DiscKernels()}),
    "cascade": CascadeKernels(),
    "anisotropic": AnisotropicKernels(),
    "motion": MotionKernels(),
}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", SETS)
def test_kernels_are_blurs(name):
    """Of sum one, none negative, and centred: turned by half they are the same."""
    kernels = SETS[name]
    parameters = kernels.draw(torch.arange(60) % kernels.variants, generator())
    rendered = kernels.render(parameters)
    assert parameters.ndim == 2
    assert rendered.dtype == torch.float32
    assert rendered.ndim == (2 if name in ("paper", "gaussian", "cascade") else 3)
    assert len(rendered) == 60
    axes = tuple(range(1, rendered.ndim))
    assert all(side % 2 == 1 and side == rendered.shape[1] for side in rendered.shape[1:])
    torch.testing.assert_close(rendered.sum(axes), torch.ones(60))
    assert (rendered >= 0).all()
    torch.testing.assert_close(rendered, rendered.flip(axes), rtol=0, atol=1e-6)
    assert len(rendered.unique(dim=0)) > 1


@pytest.mark.parametrize("name", SETS)
def test_no_kernel_reaches_its_edge_with_force(name):
    kernels = SETS[name]
    rendered = kernels.render(kernels.draw(torch.arange(60) % kernels.variants, generator()))
    rows = rendered if rendered.ndim == 2 else rendered.sum(1)
    assert rows[:, [0, -1]].max() < 0.06


@pytest.mark.parametrize("name", SETS)
def test_draw_depends_on_the_generator_alone(name):
    kernels = SETS[name]
    variant = torch.arange(50) % kernels.variants
    torch.manual_seed(1)
    first = kernels.draw(variant, generator(7))
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert first.device.type == "cpu"
    assert torch.equal(first, kernels.draw(variant, generator(7)))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("name", [name for name in SETS if SETS[name].variants == 1])
def test_draws_differ(name):
    source, variant = generator(7), torch.zeros(50, dtype=torch.long)
    first, second = (SETS[name].draw(variant, source) for _ in range(2))
    assert len(torch.cat([first, second]).unique(dim=0)) > 95


@pytest.mark.parametrize("name", SETS)
def test_samples_do_not_mix(name):
    kernels = SETS[name]
    parameters = kernels.draw(torch.arange(8) % kernels.variants, generator())
    torch.testing.assert_close(kernels.render(parameters)[2:5], kernels.render(parameters[2:5]))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", SETS)
def test_on_the_accelerator(name):
    kernels = SETS[name]
    parameters = kernels.draw(torch.arange(20) % kernels.variants, generator())
    rendered = kernels.render(parameters.cuda())
    assert rendered.is_cuda
    torch.testing.assert_close(rendered.cpu(), kernels.render(parameters), rtol=0, atol=1e-5)
