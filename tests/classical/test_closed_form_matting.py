import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from mfif.classical.closed_form_matting import (
    closed_form_matting,
    double,
    halve,
    linear_model,
    matting_laplacian,
    solve,
)

FOREGROUND, BACKGROUND = np.array([0.9, 0.4, 0.2]), np.array([0.1, 0.3, 0.8])


def laplacian_by_loops(image, known, epsilon=1e-7):
    """Levin's eq. (12), pair by pair in each window."""
    height, width, channels = image.shape
    matrix = np.zeros((height * width, height * width))
    for y in range(height - 2):
        for x in range(width - 2):
            if known[y : y + 3, x : x + 3].all():
                continue
            pixels = [(y + dy, x + dx) for dy in range(3) for dx in range(3)]
            colours = np.array([image[pixel] for pixel in pixels])
            mean = colours.mean(0)
            covariance = np.cov(colours.T, bias=True).reshape(channels, channels)
            precision = np.linalg.inv(covariance + epsilon / 9 * np.eye(channels))
            for i, one in enumerate(pixels):
                for j, other in enumerate(pixels):
                    fit = (1 + (colours[i] - mean) @ precision @ (colours[j] - mean)) / 9
                    place = one[0] * width + one[1], other[0] * width + other[1]
                    matrix[place] += (i == j) - fit
    return matrix


def matte(height, width):
    """An opacity with a soft edge, an image of two colours mixed by it, and what is known: deep in both sides."""
    y, x = np.mgrid[:height, :width]
    alpha = np.clip(0.5 + (x - width / 2 + 3 * np.sin(y / 6)) / 12, 0, 1)
    image = alpha[..., None] * FOREGROUND + (1 - alpha[..., None]) * BACKGROUND
    foreground, background = x > width - 6, x < 5
    return alpha, image, foreground | background, foreground


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(5, 6), (3, 4), (2, 5), (1, 1)], ids=str)
def test_laplacian_matches_loops(size, channels):
    rng = np.random.default_rng(0)
    image = rng.random((*size, channels))
    known = np.zeros(size, bool)
    known[:4, :3] = True  # in the largest two windows that are known throughout
    matrix = matting_laplacian(image, known).toarray()
    np.testing.assert_allclose(matrix, laplacian_by_loops(image, known), atol=1e-6)
    np.testing.assert_allclose(matrix.sum(0), 0, atol=1e-9)
    assert np.linalg.eigvalsh(matrix).min() > -1e-6


def test_what_is_linear_in_the_colours_costs_nothing():
    image = np.random.default_rng(1).random((7, 8, 3))
    alpha = (image @ [0.2, -0.4, 0.3] + 0.5).ravel()
    matrix = matting_laplacian(image, np.zeros((7, 8), bool))
    assert alpha @ matrix @ alpha < 1e-6
    other = np.random.default_rng(2).random(56)
    assert other @ matrix @ other > 1


def test_linear_model_is_recovered():
    image = np.random.default_rng(1).random((7, 8, 3))
    slope, offset = linear_model(image, image @ [0.2, -0.4, 0.3] + 0.5)
    np.testing.assert_allclose(slope, np.broadcast_to([0.2, -0.4, 0.3], (7, 8, 3)), atol=1e-4)
    np.testing.assert_allclose(offset, 0.5, atol=1e-4)


@pytest.mark.parametrize("size", [(40, 60), (37, 61)], ids=str)
@pytest.mark.parametrize("levels", [1, 2])
def test_finds_the_opacity_of_mixed_colours(levels, size):
    alpha, image, known, foreground = matte(*size)
    result = closed_form_matting(image, known, foreground, levels)
    assert ((alpha > 0.02) & (alpha < 0.98)).mean() > 0.15
    assert np.abs(result - alpha).max() < (0.01 if levels == 1 else 0.05)


def test_follows_the_finer_image():
    """A step that the coarse image has lost comes back with the colours of the finer one."""
    alpha = (np.arange(60) >= 30) * np.ones((40, 1))
    image = alpha[..., None] * FOREGROUND + (1 - alpha[..., None]) * BACKGROUND
    image += 0.01 * gaussian_filter(np.random.default_rng(0).standard_normal(image.shape), (1, 1, 0))
    columns = np.broadcast_to(np.arange(60), (40, 60))
    result = closed_form_matting(image, (columns < 10) | (columns >= 50), columns >= 50, levels=2)
    assert np.abs(result - alpha).mean() < 0.05


@pytest.mark.parametrize("size", [(1, 1), (1, 12), (12, 1), (2, 12), (9, 9), (8, 30)], ids=str)
@pytest.mark.parametrize("levels", [1, 4])
def test_half_where_nothing_is_known(size, levels):
    image = np.random.default_rng(0).random((*size, 3))
    unknown = np.zeros(size, bool)
    np.testing.assert_allclose(closed_form_matting(image, unknown, unknown, levels), 0.5, atol=1e-3)


@pytest.mark.parametrize("size", [(20, 30), (9, 23), (21, 12)], ids=str)
def test_halves_and_doubles_stay_in_place(size):
    y, x = np.mgrid[: size[0], : size[1]]
    ramp = 2.0 * y - 3.0 * x
    coarse = halve(ramp)
    np.testing.assert_allclose(coarse, ramp[2:-2:2, 2:-2:2])
    restored = double(coarse, size)
    assert restored.shape == size
    np.testing.assert_allclose(restored[2:-3, 2:-3], ramp[2:-3, 2:-3])
    assert np.array_equal(restored[0], restored[2])  # nothing is known beyond the outermost samples


@pytest.mark.parametrize("shape", [(1, 6), (6, 1), (2, 3)])
def test_without_windows_only_what_is_known_is_decided(shape):
    known = np.array([1, 1, 0, 0, 1, 0], bool).reshape(shape)
    foreground = np.array([1, 0, 0, 0, 1, 0], bool).reshape(shape)
    expected = np.array([1, 0, 0.5, 0.5, 1, 0.5]).reshape(shape)
    np.testing.assert_allclose(solve(np.zeros((*shape, 3)), known, foreground), expected, atol=1e-9)
