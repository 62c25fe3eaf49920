import math

import numpy as np
import pytest
import torch

from mfif.metrics.functional.phase_congruency import phase_congruency


def brute_force(image):
    """Phase congruency of a gray image (H, W) with complex transforms of whole planes, noise summed over pixels."""
    axes = []
    for n in image.shape:
        indices = np.arange(-(n // 2), n - n // 2)
        axes.append(indices / (n if n % 2 == 0 else n - 1))
    x, y = np.meshgrid(axes[1], axes[0])
    radius, theta = np.hypot(x, y), np.arctan2(-y, x)
    radius[radius == 0] = 1
    radius, theta = np.fft.ifftshift(radius), np.fft.ifftshift(theta)
    bands = []
    for scale in range(4):
        band = np.exp(-(np.log(radius * 3 * 2.1**scale) ** 2) / (2 * math.log(0.55) ** 2))
        band /= 1 + (radius / 0.45) ** 30
        band[0, 0] = 0
        bands.append(band)
    spectrum = np.fft.fft2(image)
    total_energy = total_amplitude = xx = yy = xy = 0
    for angle in np.arange(6) * math.pi / 6:
        apart = np.abs(np.angle(np.exp(1j * (theta - angle))))
        filters = [band * np.exp(-(apart**2) / (2 * (math.pi / 6 / 1.2) ** 2)) for band in bands]
        answers = np.array([np.fft.ifft2(spectrum * each) for each in filters])
        amplitude = np.abs(answers)
        total = answers.sum(0)
        mean = total / (np.abs(total) + 1e-4)
        dot = answers.real * mean.real + answers.imag * mean.imag
        energy = (dot - np.abs(answers.real * mean.imag - answers.imag * mean.real)).sum(0)
        impulses = [np.fft.ifft2(each).real * math.sqrt(image.size) for each in filters]
        noise = np.median(amplitude[0] ** 2) / math.log(2) / (filters[0] ** 2).sum()
        squares = sum((each**2).sum() for each in impulses)
        mixed = sum((impulses[i] * impulses[j]).sum() for j in range(4) for i in range(j))
        tau = math.sqrt((2 * noise * squares + 4 * noise * mixed) / 2)
        threshold = (tau * math.sqrt(math.pi / 2) + 2 * math.sqrt((2 - math.pi / 2) * tau**2)) / 1.7
        width = amplitude.sum(0) / (amplitude.max(0) + 1e-4) / 4
        energy = np.maximum(energy - threshold, 0) / (1 + np.exp(10 * (0.5 - width)))
        total_energy, total_amplitude = total_energy + energy, total_amplitude + amplitude.sum(0)
        share = energy / amplitude.sum(0)
        xx = xx + (share * math.cos(angle)) ** 2 / 3
        yy = yy + (share * math.sin(angle)) ** 2 / 3
        xy = xy + share**2 * math.cos(angle) * math.sin(angle) / 6
    apart = np.hypot(xy, xx - yy) + 1e-4
    return total_energy / (total_amplitude + 1e-4), (xx + yy + apart) / 2, (xx + yy - apart) / 2


@pytest.mark.parametrize("shape", [(24, 30), (25, 30), (24, 31), (23, 33)])
def test_brute_force(shape):
    images = torch.randint(0, 256, (2, *shape), generator=torch.Generator().manual_seed(0)).double()
    for ours, expected in zip(
        zip(*phase_congruency(images), strict=True), map(brute_force, images.numpy()), strict=True
    ):
        for mine, wanted in zip(ours, expected, strict=True):
            np.testing.assert_allclose(mine.numpy(), wanted, rtol=1e-8, atol=1e-12)


def test_contrast_hardly_matters():
    image = torch.randint(0, 128, (1, 32, 32), generator=torch.Generator().manual_seed(0)).double()
    torch.testing.assert_close(phase_congruency(2 * image), phase_congruency(image), rtol=0, atol=1e-4)


def test_an_edge_is_an_edge_and_a_corner_a_corner():
    image = torch.zeros(1, 64, 64, dtype=torch.float64)
    image[..., 16:48, 16:48] = 255
    features = phase_congruency(image)
    assert features.strongest[0, 32, 15:17].amin() > 0.4
    assert features.weakest[0, 32, 15:17].amax() < 0.1
    assert features.weakest[0, 15:17, 15:17].amin() > 0.5
    assert features.congruency[0, 32, 32] < 0.05


@pytest.mark.parametrize("level", [0.0, 1.0, 128.0, 255.0])
def test_a_constant_image_has_no_moments(level):
    features = phase_congruency(torch.full((1, 26, 35), level, dtype=torch.float64))
    assert (features.congruency == 0).all()
    assert features.strongest.isnan().all()
    assert features.weakest.isnan().all()


def test_filters_serve_inside_and_outside_of_inference_mode():
    image = torch.rand(1, 18, 22, dtype=torch.float64)
    with torch.inference_mode():
        first = phase_congruency(image)
    torch.testing.assert_close(phase_congruency(image.requires_grad_()), first, rtol=0, atol=0)


def test_filters_of_large_images_are_not_kept(monkeypatch):
    image = torch.rand(1, 14, 15, dtype=torch.float64)
    expected = phase_congruency(image)
    monkeypatch.setitem(phase_congruency.__globals__, "_KEPT_UP_TO", 100)
    kept = phase_congruency.__globals__["_filters"].cache_info()
    torch.testing.assert_close(phase_congruency(image), expected, rtol=0, atol=0)
    assert phase_congruency.__globals__["_filters"].cache_info() == kept
