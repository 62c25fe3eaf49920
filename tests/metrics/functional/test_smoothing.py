import numpy as np
import pytest
import torch
from scipy.signal import correlate2d

from mfif.metrics.functional.smoothing import gaussian, smooth


@pytest.mark.parametrize(("size", "sigma"), [(3, 0.6), (11, 1.5), (17, 3.4)])
def test_is_the_two_dimensional_window(size, sigma):
    images = torch.rand(2, 2, 19, 23, generator=torch.Generator().manual_seed(0)).double()
    grid = np.arange(size) - size // 2
    window = np.exp(-(grid[:, None] ** 2 + grid**2) / (2 * sigma**2))
    expected = [[correlate2d(plane, window / window.sum(), "valid") for plane in pair] for pair in images.numpy()]
    torch.testing.assert_close(smooth(images, gaussian(size, sigma)).numpy(), np.array(expected), rtol=1e-12, atol=0)


def test_window_is_as_large_as_the_image():
    assert smooth(torch.ones(2, 5, 5), gaussian(5, 1.0)).shape == (2, 1, 1)


@pytest.mark.parametrize("step", [2, 3])
def test_step_leaves_rows_and_columns_out(step):
    images = torch.rand(2, 19, 24, generator=torch.Generator().manual_seed(0)).double()
    kept = smooth(images, gaussian(5, 1.0))[:, ::step, ::step]
    torch.testing.assert_close(smooth(images, gaussian(5, 1.0), step), kept, rtol=1e-12, atol=0)


def test_large_images_are_as_small_ones():
    images = torch.rand(2, 130, 140, generator=torch.Generator().manual_seed(0)).double()
    whole, part = smooth(images, gaussian(5, 1.0)), smooth(images[:, :60], gaussian(5, 1.0))
    torch.testing.assert_close(whole[:, :56], part, rtol=1e-12, atol=0)


def test_gradient():
    images = torch.rand(2, 1, 6, 7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: smooth(x, gaussian(3, 0.6)), images)
