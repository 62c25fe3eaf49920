import numpy as np
import pytest
import torch
from scipy.ndimage import correlate
from scipy.stats import kstest

from mfif.synthesis import GaussianKernels, PaperKernels, blur, gaussian_kernels

SETS = {"paper": PaperKernels(), "gaussian": GaussianKernels()}


def truncated_gaussian(size, sigma, support):
    """Row of the given length: a Gaussian cut off at `size` taps, of sum one."""
    offset = np.arange(support) - support // 2
    row = np.where(np.abs(offset) <= size // 2, np.exp(-(offset**2) / (2 * sigma**2)), 0)
    return row / row.sum()


def random(*shape, seed=0, dtype=torch.float64):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", SETS)
def test_smoke(name):
    kernels = SETS[name]
    variant = torch.arange(6) % kernels.variants
    rows = kernels.render(kernels.draw(variant, generator()))
    assert rows.ndim == 2
    assert len(rows) == 6
    assert rows.shape[1] % 2 == 1
    torch.testing.assert_close(rows.sum(1), torch.ones(6))
    assert torch.equal(rows, rows.flip(1))
    assert (rows >= 0).all()


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


@pytest.mark.parametrize("shape", [(4, 9), (9, 4), (1, 1)], ids=str)
def test_blur_refuses_small_images(shape):
    kernel = torch.ones(1, 9) / 9
    with pytest.raises(ValueError, match=r"larger than half the blur kernel \(4 px\), got .* Take larger crops"):
        blur(torch.rand(1, 1, *shape), kernel)


def test_blur_takes_the_smallest_image():
    assert blur(torch.rand(1, 1, 5, 5), torch.ones(1, 9) / 9).shape == (1, 1, 5, 5)


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


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", [(16, 16), (9, 21)], ids=str)
def test_blur_separable_matches_scipy(channels, shape):
    image = random(4, channels, *shape)
    rows = gaussian_kernels(torch.tensor([3, 7, 11, 15]), torch.tensor([1.0, 0.6, 3.0, 2.0]).double(), 15)
    expected = np.empty(image.shape)
    for n, c in np.ndindex(4, channels):
        row = rows[n].numpy()
        expected[n, c] = correlate(image[n, c].numpy(), np.outer(row, row), mode="mirror")
    np.testing.assert_allclose(blur(image, rows).numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("channels", [1, 3])
def test_blur_2d_matches_scipy(channels):
    image = random(3, channels, 12, 9)
    kernel = random(3, 5, 5, seed=1)  # not symmetric: a convolution or a transposition would show
    expected = np.empty(image.shape)
    for n, c in np.ndindex(3, channels):
        expected[n, c] = correlate(image[n, c].numpy(), kernel[n].numpy(), mode="mirror")
    np.testing.assert_allclose(blur(image, kernel).numpy(), expected, rtol=1e-12)


def test_blur_keeps_constants():
    kernels = PaperKernels()
    image = torch.full((4, 3, 32, 32), 0.7)
    blurred = blur(image, kernels.render(kernels.draw(torch.arange(4), generator())))
    torch.testing.assert_close(blurred, image, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", SETS)
def test_draw_depends_on_the_generator_alone(name):
    kernels = SETS[name]
    variant = torch.arange(50) % kernels.variants
    torch.manual_seed(1)
    first = kernels.draw(variant, generator(7))
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert torch.equal(first, kernels.draw(variant, generator(7)))
    assert torch.equal(state, torch.get_rng_state())


def test_gaussian_draws_differ():
    kernels = GaussianKernels()
    variant = torch.zeros(50, dtype=torch.long)
    source = generator(7)
    first, second = kernels.draw(variant, source), kernels.draw(variant, source)
    assert len(first[:, 1].unique()) > 45
    assert not torch.equal(first, second)


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


def test_gradients():
    image, kernel = random(2, 2, 4, 5).requires_grad_(), random(2, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(blur, (image, kernel), fast_mode=True)
    kernel_2d = random(2, 3, 3, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(blur, (image, kernel_2d), fast_mode=True)
