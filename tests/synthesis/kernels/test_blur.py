import numpy as np
import pytest
import torch
from scipy.ndimage import correlate

from mfif.synthesis import PaperKernels, blur, gaussian_kernels


def random(*shape, seed=0, dtype=torch.float64):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("shape", [(4, 9), (9, 4), (1, 1)], ids=str)
def test_blur_refuses_small_images(shape):
    kernel = torch.ones(1, 9) / 9
    with pytest.raises(ValueError, match=r"larger than half the blur kernel \(4 px\), got .* Take larger crops"):
        blur(torch.rand(1, 1, *shape), kernel)


def test_blur_takes_the_smallest_image():
    assert blur(torch.rand(1, 1, 5, 5), torch.ones(1, 9) / 9).shape == (1, 1, 5, 5)


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
    blurred = blur(image, kernels.render(kernels.draw(torch.arange(4), torch.Generator())))
    torch.testing.assert_close(blurred, image, rtol=0, atol=1e-6)


def test_gradients():
    image, kernel = random(2, 2, 4, 5).requires_grad_(), random(2, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(blur, (image, kernel), fast_mode=True)
    kernel_2d = random(2, 3, 3, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(blur, (image, kernel_2d), fast_mode=True)
