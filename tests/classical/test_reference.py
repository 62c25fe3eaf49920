import numpy as np
import pytest
import torch
from scipy.ndimage import correlate, gaussian_filter

from mfif.classical import ConstantMap, LaplacianEnergy

STENCIL = np.array([[1, 1, 1], [1, -8, 1], [1, 1, 1]])


def random(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def scipy_energy(image, sigma):
    response = correlate(image, STENCIL, mode="nearest") ** 2
    return gaussian_filter(response, sigma, mode="constant", truncate=3)


def half_blurred(seed, sigma=2.0):
    """A textured scene whose left half is sharp in a, right half in b, and the true map."""
    scene = gaussian_filter(np.random.default_rng(seed).random((80, 80)), 0.7, mode="nearest")
    blurred = gaussian_filter(scene, sigma, mode="nearest")
    left = np.arange(80) < 40
    pair = np.where(left, scene, blurred), np.where(left, blurred, scene)
    return *(torch.from_numpy(image)[None, None] for image in pair), torch.from_numpy(left).expand(1, 1, 80, 80)


@pytest.mark.parametrize("method", [ConstantMap(0.5), LaplacianEnergy()], ids=["constant", "laplacian"])
def test_smoke(method):
    a, b = random(2, 3, 1, 17, 23).float()
    alpha = method(a, b)
    assert alpha.shape == a.shape
    assert alpha.dtype == a.dtype
    assert alpha.min() >= 0
    assert alpha.max() <= 1


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_constant_refuses_value(value):
    with pytest.raises(ValueError, match=r"Expected `value` to be in \[0, 1\]"):
        ConstantMap(value)


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("nan")])
def test_laplacian_refuses_sigma(sigma):
    with pytest.raises(ValueError, match="Expected `sigma` to be positive"):
        LaplacianEnergy(sigma)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_constant_values(value):
    a, b = random(2, 2, 1, 5, 6)
    assert torch.equal(ConstantMap(value)(a, b), torch.full((2, 1, 5, 6), value, dtype=torch.float64))


@pytest.mark.parametrize("size", [(30, 41), (5, 4), (1, 1)], ids=str)
@pytest.mark.parametrize("sigma", [3.0, 1.0, 2.2])
def test_energy_matches_scipy(sigma, size):
    image = random(2, 1, *size)
    expected = [scipy_energy(sample[0].numpy(), sigma) for sample in image]
    energy = LaplacianEnergy(sigma).focus(image)[:, 0]
    np.testing.assert_allclose(energy.numpy(), expected, rtol=1e-10, atol=1e-12)


def test_map_matches_scipy():
    a, b = random(2, 4, 1, 40, 37)
    energies = [[scipy_energy(sample[0].numpy(), 3.0) for sample in source] for source in (b, a)]
    expected = np.argmax(energies, axis=0)  # 1 where a has more
    assert 0.2 < expected.mean() < 0.8
    assert np.array_equal(LaplacianEnergy()(a, b)[:, 0].numpy(), expected)


def test_float32_decides_as_float64():
    a, b = random(2, 4, 1, 40, 37)
    same = LaplacianEnergy()(a.float(), b.float()) == LaplacianEnergy()(a, b)
    assert same.float().mean() > 0.999


@pytest.mark.parametrize("seed", range(3))
def test_picks_the_sharp_side(seed):
    a, b, truth = half_blurred(seed)
    alpha = LaplacianEnergy()(a, b)
    assert (alpha.bool() == truth).float().mean() > 0.95
    assert torch.equal(LaplacianEnergy()(b, a), 1 - alpha)  # nothing is tied


def test_ties_go_to_a():
    a = random(1, 1, 20, 20)
    assert (LaplacianEnergy()(a, a) == 1).all()
    # What has no edges at all is tied too, whatever its brightness.
    flat = [torch.full((1, 1, 30, 30), value) for value in (0.1, 0.3, 0.7)]
    for first in flat:
        for second in flat:
            assert (LaplacianEnergy()(first, second) == 1).all()


@pytest.mark.parametrize("sigma", [3.0, 1.0, 0.1])
def test_receptive_radius_is_exact(sigma):
    method = LaplacianEnergy(sigma)
    image = torch.zeros(1, 1, 41, 41, dtype=torch.float64)
    image[..., 20, 20] = 1
    y, x = np.nonzero(method.focus(image)[0, 0].numpy())
    radius = method.receptive_radius
    assert (y.min(), y.max()) == (x.min(), x.max()) == (20 - radius, 20 + radius)
    assert len(y) == (2 * radius + 1) ** 2
    if sigma == 3.0:
        assert radius == 10  # nine of the window, one of the Laplacian


def test_crop_with_halo_equals_the_whole():
    """At the border of the image as well, where the crop ends with it."""
    method, (a, b) = LaplacianEnergy(), random(2, 1, 1, 60, 50)
    whole, radius = method(a, b), method.receptive_radius
    part = method(a[..., 12:45, :40], b[..., 12:45, :40])
    assert torch.equal(part[..., radius:-radius, :-radius], whole[..., 12 + radius : 45 - radius, : 40 - radius])
