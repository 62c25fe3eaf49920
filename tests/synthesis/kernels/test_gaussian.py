import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d, rotate
from scipy.stats import kstest

from mfif.synthesis import AnisotropicKernels, CascadeKernels, GaussianKernels, PaperKernels, blur, gaussian_kernels


def truncated_gaussian(size, sigma, support):
    """Row of the given length: a Gaussian cut off at `size` taps, of sum one."""
    offset = np.arange(support) - support // 2
    row = np.where(np.abs(offset) <= size // 2, np.exp(-(offset**2) / (2 * sigma**2)), 0)
    return row / row.sum()


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("sizes", [[], [4], [3, 8], [0], [-3]], ids=str)
def test_paper_refuses_sizes(sizes):
    with pytest.raises(ValueError, match="Expected `sizes` to be odd and positive"):
        PaperKernels(sizes)


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("nan")])
def test_paper_refuses_sigma(sigma):
    with pytest.raises(ValueError, match="Expected `sigma` to be positive"):
        PaperKernels(sigma=sigma)


@pytest.mark.parametrize("sigma", [(0.0, 1.0), (2.0, 1.0), (-1.0, 1.0), (1.0,), (1.0, 2.0, 3.0)], ids=str)
def test_gaussian_refuses_bounds(sigma):
    with pytest.raises(ValueError, match="Expected `sigma` to be two bounds"):
        GaussianKernels(sigma)


def test_gaussian_kernels_values():
    size, sigma = [1, 3, 7, 11, 15, 5, 15], [1.0, 1.0, 1.0, 1.0, 1.0, 0.3, 7.5]
    rows = gaussian_kernels(torch.tensor(size), torch.tensor(sigma, dtype=torch.float64), 15)
    expected = [truncated_gaussian(n, s, 15) for n, s in zip(size, sigma, strict=True)]
    assert rows.dtype == torch.float64
    np.testing.assert_allclose(rows.numpy(), expected, rtol=1e-12, atol=1e-300)


def test_paper_kernels_values():
    kernels = PaperKernels()
    rows = kernels.render(kernels.draw(torch.tensor([2, 0, 3, 1, 1]), generator()))
    expected = [truncated_gaussian(size, 1, 15) for size in (11, 3, 15, 7, 7)]
    np.testing.assert_allclose(rows.numpy(), expected, rtol=1e-5, atol=1e-12)


def test_paper_kernels_effective_sigma():
    kernels = PaperKernels()
    rows = kernels.render(kernels.draw(torch.arange(kernels.variants), generator())).double().numpy()
    deviation = np.sqrt((rows * (np.arange(15) - 7) ** 2).sum(1))
    assert deviation.round(3).tolist() == [0.740, 0.998, 1.000, 1.000]


def test_gaussian_draws_are_uniform_in_the_logarithm():
    kernels = GaussianKernels((0.6, 4.0))
    sigma = kernels.draw(torch.zeros(4000, dtype=torch.long), generator())[:, 1].double().numpy()
    assert sigma.min() >= 0.6 - 1e-6
    assert sigma.max() <= 4.0 + 1e-6
    assert kstest(np.log(sigma / 0.6) / np.log(4.0 / 0.6), "uniform").pvalue > 0.01
    assert kstest((sigma - 0.6) / 3.4, "uniform").pvalue < 1e-6  # the test would notice another distribution


@pytest.mark.parametrize("truncate", [2.0, 3.0])
def test_gaussian_filter_covers_the_truncation(truncate):
    kernels = GaussianKernels((0.5, 4.0), truncate)
    parameters = kernels.draw(torch.zeros(200, dtype=torch.long), generator())
    size, sigma = parameters.unbind(1)
    radius = size // 2
    assert (size % 2 == 1).all()
    assert (radius >= truncate * sigma).all()
    assert (radius < truncate * sigma + 1).all()
    rows = kernels.render(parameters)
    assert rows.shape == (200, 2 * np.ceil(truncate * 4.0) + 1)
    for row, taps, deviation in zip(rows.numpy(), size.int().tolist(), sigma.tolist(), strict=True):
        np.testing.assert_allclose(row, truncated_gaussian(taps, deviation, len(row)), rtol=1e-4, atol=1e-10)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"levels": 0}, "Expected `levels` to be positive, got 0"),
        ({"size": 6}, "Expected `size` to be odd and positive, got 6"),
        ({"sigma": 0.0}, "Expected `sigma` to be positive, got 0"),
    ],
)
def test_cascade_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        CascadeKernels(**options)


def test_cascade_equals_repeated_filtering():
    """Also at the border: an image mirrored there stays its own mirror image after every pass."""
    kernels = CascadeKernels()
    assert kernels.variants == 5
    image = torch.rand(1, 1, 24, 31, generator=generator(), dtype=torch.float64).expand(5, 1, 24, 31)
    blurred = blur(image, kernels.render(kernels.draw(torch.arange(5), generator())).double())
    row = truncated_gaussian(7, 2.0, 7)
    expected = image[0, 0].numpy()
    for level in range(5):
        for axis in (0, 1):
            expected = correlate1d(expected, row, axis=axis, mode="mirror")
        np.testing.assert_allclose(blurred[level, 0].numpy(), expected, atol=1e-7)


def test_cascade_deviations_grow_with_the_root():
    kernels = CascadeKernels()
    rows = kernels.render(kernels.draw(torch.arange(5), generator())).double()
    deviation = (rows * (torch.arange(31) - 15) ** 2).sum(1).sqrt()
    assert deviation.numpy() == pytest.approx(deviation[0].item() * np.sqrt([1, 2, 3, 4, 5]), rel=1e-5)
    assert deviation.numpy().round(2)[[0, 4]].tolist() == [1.64, 3.67]


def covariance(kernel):
    """Second moments of a kernel about its centre, which must be its mean: (x, x), (x, y), (y, y)."""
    offset = np.arange(len(kernel)) - len(kernel) // 2
    y, x = np.meshgrid(offset, offset, indexing="ij")
    assert abs((kernel * x).sum()) < 1e-5
    assert abs((kernel * y).sum()) < 1e-5
    return [(kernel * product).sum() for product in (x * x, x * y, y * y)]


def test_anisotropic_moments():
    kernels = AnisotropicKernels((0.8, 4.0), truncate=5.0)
    parameters = kernels.draw(torch.zeros(50, dtype=torch.long), generator())
    for kernel, (along, across, angle) in zip(kernels.render(parameters).double(), parameters.tolist(), strict=True):
        u = np.array([np.cos(angle), np.sin(angle)])
        v = np.array([-np.sin(angle), np.cos(angle)])
        (xx, xy), (_, yy) = along**2 * np.outer(u, u) + across**2 * np.outer(v, v)
        assert covariance(kernel.numpy()) == pytest.approx([xx, xy, yy], abs=2e-3)


def test_anisotropic_with_equal_deviations_is_gaussian():
    kernels = AnisotropicKernels((1.5, 1.5))
    row = truncated_gaussian(11, 1.5, 11)
    for kernel in kernels.render(kernels.draw(torch.zeros(3, dtype=torch.long), generator())):
        np.testing.assert_allclose(kernel.numpy(), np.outer(row, row), rtol=1e-4, atol=1e-9)


def test_anisotropic_direction_turns_the_filter():
    kernels = AnisotropicKernels((1.0, 4.0))
    flat, turned = kernels.render(torch.tensor([[3.0, 1.0, 0.0], [3.0, 1.0, np.pi / 6]])).numpy()
    assert flat.sum(0).std() < flat.sum(1).std()  # long along x
    # Image coordinates: y points down, so that scipy's positive angles turn the other way.
    np.testing.assert_allclose(turned, rotate(flat, -30, reshape=False, order=3), atol=1e-3)
