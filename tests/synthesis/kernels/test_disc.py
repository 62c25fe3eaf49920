import numpy as np
import pytest
import torch

from mfif.synthesis import DiscKernels, disc_kernels


def supersampled(radius, support, samples=256):
    """Share of a disc on each pixel, by counting points."""
    offset = (np.arange(support * samples) + 0.5) / samples - support / 2
    inside = offset[:, None] ** 2 + offset**2 <= radius**2
    counts = inside.reshape(support, samples, support, samples).sum((1, 3))
    return counts / counts.sum()


@pytest.mark.parametrize("radius", [(0.0, 2.0), (3.0, 2.0), (1.0,)], ids=str)
def test_refuses_bounds(radius):
    with pytest.raises(ValueError, match="Expected `radius` to be two bounds"):
        DiscKernels(radius)


@pytest.mark.parametrize("radius", [0.3, 0.5, 0.7, 1.0, 1.5, 2.2, 3.0, 4.99, 6.4, 7.5])
def test_area_is_exact(radius):
    kernel = disc_kernels(torch.tensor([radius], dtype=torch.float64), 15)[0].numpy()
    np.testing.assert_allclose(kernel, supersampled(radius, 15), atol=3e-4 / max(radius, 0.5) ** 2)
    single = disc_kernels(torch.tensor([radius]), 15)[0].numpy()
    np.testing.assert_allclose(single, kernel, atol=1e-6)


def test_by_hand():
    """A disc of radius 1 covers the centre pixel, and beside it what lies between the circle and x = 1/2."""
    kernel = disc_kernels(torch.tensor([1.0], dtype=torch.float64), 3)[0]
    cap = np.pi / 3 - np.sqrt(3) / 4  # of the circle beyond x = 1/2
    corner = np.pi / 12 + 1 / 4 - np.sqrt(3) / 4  # beyond both x = 1/2 and y = 1/2
    side = cap - 2 * corner
    expected = np.array([[corner, side, corner], [side, 1, side], [corner, side, corner]])
    assert (kernel * np.pi).numpy() == pytest.approx(expected)


def test_second_moment():
    """Radius^2 / 4 along each axis, and 1/12 for the pixel; the sum over pixels takes each at its centre."""
    radius = torch.linspace(3, 8, 20, dtype=torch.float64)
    kernel = disc_kernels(radius, 17)
    offset = torch.arange(17) - 8
    moment = (kernel.sum(1) * offset**2).sum(1)
    torch.testing.assert_close(moment, radius**2 / 4 + 1 / 12, rtol=0, atol=0.06)


def test_support_holds_the_largest_disc():
    for high in (0.4, 1.0, 2.5, 2.6, 8.0):
        kernels = DiscKernels((0.3, high))
        largest = kernels.render(torch.tensor([[high]]))[0]
        wider = disc_kernels(torch.tensor([high]), kernels.support + 2)[0]
        torch.testing.assert_close(largest, wider[1:-1, 1:-1])
        assert kernels.support == 1 or largest[0].any()


def test_radius_is_drawn_within_bounds():
    radius = DiscKernels((1.0, 8.0)).draw(torch.zeros(2000, dtype=torch.long), torch.Generator().manual_seed(0))
    assert radius.shape == (2000, 1)
    assert radius.min() >= 1
    assert radius.max() <= 8
    assert radius.log().mean().item() == pytest.approx(np.log(8) / 2, abs=0.05)
