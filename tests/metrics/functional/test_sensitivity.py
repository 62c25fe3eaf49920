import numpy as np
import pytest
import torch

from mfif.metrics.functional.sensitivity import filter_frequencies, radial_frequency, stretch8


@pytest.mark.parametrize(("low", "high"), [(0, 255), (3, 250), (100, 101), (0, 1), (17, 220)])
def test_stretch(low, high):
    gray = torch.arange(low, high + 1).double().view(1, 1, -1)
    expected = [np.floor((level - low) / (high - low) * 255 + 0.5) for level in range(low, high + 1)]
    assert stretch8(gray).flatten().tolist() == expected


def test_stretch_of_constant_images():
    gray = torch.tensor([0.0, 1.0, 255.0]).view(3, 1, 1).expand(3, 4, 5)
    assert stretch8(gray)[0].eq(0).all()
    assert stretch8(gray)[1:].isnan().all()


def test_stretch_passes_the_gradient_of_the_unrounded():
    gray = torch.tensor([[[10.0, 20.0, 30.0, 60.0]]], requires_grad=True)
    stretch8(gray)[0, 0, 1].backward()
    assert gray.grad[0, 0, 1:3].tolist() == pytest.approx([255 / 50, 0])


@pytest.mark.parametrize(("height", "width"), [(6, 8), (5, 7), (6, 7), (1, 4)])
def test_filtering_is_that_of_the_shifted_spectrum(height, width):
    # As the reference does it: the grid of MATLAB's freqspace, times half the size, over a spectrum with 0 in the
    # middle.
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(2, height, width, generator=generator, dtype=torch.float64)
    v, u = (np.arange(size) - size // 2 for size in (height, width))
    response = np.exp(-np.hypot(v[:, None], u) / 3)
    spectrum = np.fft.fftshift(np.fft.fft2(image.numpy()), axes=(-2, -1)) * response
    expected = np.fft.ifft2(np.fft.ifftshift(spectrum, axes=(-2, -1)))
    assert np.abs(expected.imag).max() < 1e-12
    filtered = filter_frequencies(image, torch.exp(-radial_frequency(image) / 3))
    np.testing.assert_allclose(filtered.numpy(), expected.real, rtol=0, atol=1e-12)
