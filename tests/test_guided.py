import numpy as np
import pytest
import torch

from mfif.guided import box_mean, guided_filter


def random(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def windows(height, width, radius):
    """Rows and columns of the window around each pixel, as far as it lies in the image."""
    for y in range(height):
        for x in range(width):
            yield y, x, np.s_[max(y - radius, 0) : y + radius + 1, max(x - radius, 0) : x + radius + 1]


def fitted(guide, image, radius, eps):
    """The guided filter by its definition: ridge regression in each window, averaged over those that hold a pixel."""
    height, width = image.shape
    lines = np.empty((height, width, 2))
    for y, x, window in windows(height, width, radius):
        i, p = guide[window].ravel(), image[window].ravel()
        system = np.vstack([np.stack([i, np.ones_like(i)], 1), [np.sqrt(eps * i.size), 0]])
        lines[y, x] = np.linalg.lstsq(system, np.append(p, 0), rcond=None)[0]
    out = np.empty_like(image)
    for y, x, window in windows(height, width, radius):
        slope, offset = lines[window].reshape(-1, 2).mean(0)
        out[y, x] = slope * guide[y, x] + offset
    return out


@pytest.mark.parametrize("size", [(9, 12), (1, 7), (6, 1), (1, 1)], ids=str)
@pytest.mark.parametrize(("radius", "eps"), [(2, 1e-2), (1, 1e-6), (20, 0.3), (0, 0.1)])
def test_matches_regression_in_every_window(size, radius, eps):
    guide, image = random(2, 1, *size), random(2, 3, *size, seed=1)
    filtered = guided_filter(guide, image, radius, eps)
    for sample in range(2):
        for channel in range(3):
            expected = fitted(guide[sample, 0].numpy(), image[sample, channel].numpy(), radius, eps)
            np.testing.assert_allclose(filtered[sample, channel], expected, atol=1e-9)


@pytest.mark.parametrize("radius", [0, 1, 3, 50])
def test_box_mean_matches_loop(radius):
    image = random(2, 3, 8, 11)
    means = box_mean(image, radius)
    for y, x, window in windows(8, 11, radius):
        torch.testing.assert_close(means[..., y, x], image[(..., *window)].mean((-2, -1)))


def test_constants():
    flat = torch.full((1, 1, 20, 30), 0.7)
    torch.testing.assert_close(guided_filter(random(1, 1, 20, 30), flat, 3, 1e-6), flat)
    # A guide without edges leaves the mean of the means.
    image = random(1, 1, 20, 30)
    torch.testing.assert_close(guided_filter(flat.double(), image, 3, 1e-6), box_mean(box_mean(image, 3), 3))


def test_keeps_the_guides_edges():
    guide = torch.zeros(1, 1, 16, 16)
    guide[..., 8:] = 1
    torch.testing.assert_close(guided_filter(guide, guide, 4, 1e-6), guide, atol=1e-4, rtol=0)


def test_float32_keeps_precision():
    """Where hardly any contrast is left, sums in float32 would leave nothing of the variance."""
    guide, image = 0.9 + 1e-4 * random(1, 1, 200, 200), random(1, 1, 200, 200, seed=1)
    filtered = guided_filter(guide.float(), image.float(), 7, 1e-9)
    assert filtered.dtype == torch.float32
    expected = guided_filter(guide.float().double(), image.float().double(), 7, 1e-9)
    torch.testing.assert_close(filtered.double(), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("guide", "image"), [((1, 3, 4, 4), (1, 1, 4, 4)), ((1, 1, 4, 4), (2, 1, 4, 4)), ((4, 4), (4, 4))], ids=str
)
def test_refuses_shapes(guide, image):
    with pytest.raises(ValueError, match="Expected `guide` to be"):
        guided_filter(torch.zeros(guide), torch.zeros(image), 1, 0.1)


@pytest.mark.parametrize(("radius", "eps", "name"), [(-1, 0.1, "radius"), (1, 0.0, "eps"), (1, float("nan"), "eps")])
def test_refuses_parameters(radius, eps, name):
    with pytest.raises(ValueError, match=f"Expected `{name}` to be"):
        guided_filter(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4), radius, eps)
