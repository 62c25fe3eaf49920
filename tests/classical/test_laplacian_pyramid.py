import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d

from mfif.classical import LaplacianPyramid
from mfif.classical.laplacian_pyramid import expand, largest, reduce

WEIGHTS = np.array([1, 4, 6, 4, 1]) / 16
SIZES = [(32, 48), (33, 47), (5, 2), (1, 9), (1, 1)]


def random(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def expanded_by_loops(row, size):
    """Burt and Adelson's eq. (2) in one dimension; beyond the ends the row goes on with its last value."""
    result = np.zeros(size)
    for i in range(size):
        for m in range(-2, 3):
            if (i - m) % 2 == 0:
                result[i] += 2 * WEIGHTS[m + 2] * row[np.clip((i - m) // 2, 0, len(row) - 1)]
    return result


def test_refuses_no_levels():
    with pytest.raises(ValueError, match="Expected `levels` to be at least 1, got 0"):
        LaplacianPyramid(0)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [2, 3])
def test_equal_sources_come_back(size, channels, count):
    image = random(2, channels, *size)
    torch.testing.assert_close(LaplacianPyramid()([image] * count), image, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_reduce_matches_scipy(size):
    image = random(2, 3, *size)
    expected = correlate1d(correlate1d(image.numpy(), WEIGHTS, 2, mode="nearest"), WEIGHTS, 3, mode="nearest")
    np.testing.assert_allclose(reduce(image).numpy(), expected[..., ::2, ::2], atol=1e-14)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_expand_matches_loops(size):
    coarse = random(2, 3, -(-size[0] // 2), -(-size[1] // 2))
    expected = np.apply_along_axis(expanded_by_loops, 2, coarse.numpy(), size[0])
    expected = np.apply_along_axis(expanded_by_loops, 3, expected, size[1])
    np.testing.assert_allclose(expand(coarse, size).numpy(), expected, atol=1e-14)


def test_largest_is_of_magnitude_and_of_equals_the_first():
    details = torch.tensor([[1.0, -2.0, 0.5], [-3.0, 2.0, -0.5], [2.0, 1.0, 0.0]])
    assert largest(details).tolist() == [-3.0, -2.0, 0.5]


def test_one_level_is_the_largest_detail_on_the_mean():
    a, b = random(2, 1, 1, 8, 8) / 4 + 0.4  # so that nothing is clipped
    base_a, base_b = (expand(reduce(image), (8, 8)) for image in (a, b))
    detail = torch.where((a - base_a).abs() >= (b - base_b).abs(), a - base_a, b - base_b)
    torch.testing.assert_close(LaplacianPyramid(1)([a, b]), (base_a + base_b) / 2 + detail)


def test_is_sharper_than_the_mean(half_blurred):
    a, b, left = half_blurred
    scene = torch.where(left, a, b)
    fused = LaplacianPyramid()([a, b])
    assert (fused - scene).square().mean() < ((a + b) / 2 - scene).square().mean() / 4


def test_order_of_sources_does_not_matter():
    sources = list(random(3, 2, 3, 21, 30))
    torch.testing.assert_close(LaplacianPyramid()(sources), LaplacianPyramid()(sources[::-1]))


def test_result_is_clipped_and_each_sample_its_own():
    sources = (random(2, 3, 1, 20, 20) > 0.5).double()
    fused = LaplacianPyramid()(list(sources))
    assert fused.min() == 0
    assert fused.max() == 1
    for index in range(3):
        assert torch.equal(LaplacianPyramid()(list(sources[:, index, None])), fused[index, None])
