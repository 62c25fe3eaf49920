from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, label

from mfif.refine import RemoveSmallRegions


def brute_force(image, percent):
    """Give away each 8-connected region under `percent` % of the area: those of ones, then those of zeros."""
    image = image.copy()
    for value in (1, 0):
        regions, count = label(image == value, np.ones((3, 3)))
        for region in range(1, count + 1):
            inside = regions == region
            if Fraction(int(inside.sum()), image.size) < Fraction(percent, 100):
                image[inside] = 1 - value
    return image


def blobs(seed, height=50, width=40, smooth=1.0):
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal((height, width)), smooth)
    return (noise > 0).astype(np.float32)


def as_map(image):
    return torch.tensor(np.array(image, np.float32))[None, None]


@pytest.mark.parametrize("share", [-0.1, 1.0, 2.0, float("nan")])
def test_refuses_share(share):
    with pytest.raises(ValueError, match=r"Expected `share` to be in \[0, 1\)"):
        RemoveSmallRegions(share)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_shape_and_type(dtype):
    decision = torch.from_numpy(np.stack([blobs(0), blobs(1)])[:, None]).to(dtype)
    cleaned = RemoveSmallRegions()(decision)
    assert cleaned.shape == decision.shape
    assert cleaned.dtype == dtype
    assert cleaned.unique().tolist() == [0, 1]


@pytest.mark.parametrize("size", [(50, 40), (47, 41)], ids=str)  # of which a share is whole pixels, or not
@pytest.mark.parametrize("percent", [1, 2, 5])
@pytest.mark.parametrize("smooth", [0.5, 1.0, 2.0])
def test_matches_brute_force(smooth, percent, size):
    images = np.stack([blobs(seed, *size, smooth) for seed in range(6)])
    expected = np.stack([brute_force(image, percent) for image in images])
    cleaned = RemoveSmallRegions(percent / 100)(torch.from_numpy(images)[:, None])[:, 0].numpy()
    assert np.array_equal(cleaned, expected)
    assert (cleaned != images).any()


def test_default_is_one_percent():
    image = blobs(3, 47, 41, 0.6)
    assert np.array_equal(RemoveSmallRegions()(as_map(image))[0, 0].numpy(), brute_force(image, 1))


@pytest.mark.parametrize("value", [1, 0])
@pytest.mark.parametrize(("pixels", "kept"), [(19, False), (20, True), (21, True)])
def test_a_region_of_the_share_is_kept(pixels, kept, value):
    image = np.zeros((20, 20))  # 5 % are 20 pixels
    image[5, :10] = 1
    image[6, : pixels - 10] = 1
    image = image if value else 1 - image
    cleaned = RemoveSmallRegions(0.05)(as_map(image))
    assert torch.equal(cleaned, as_map(image)) if kept else (cleaned == 1 - value).all()


def test_size_of_lytro():
    """On 520 x 520 the limit is 2,704 pixels: the authors remove what is smaller than ceil(0.01 H W)."""
    image = np.zeros((520, 520))
    image[10:62, 10:62] = 1  # 2,704
    image[100:152, 100:152] = 1
    image[100, 100] = 0  # 2,703
    cleaned = RemoveSmallRegions()(as_map(image))
    image[100:152, 100:152] = 0
    assert torch.equal(cleaned, as_map(image))


def test_regions_connect_over_corners():
    image = np.eye(20)
    assert torch.equal(RemoveSmallRegions(0.05)(as_map(image)), as_map(image))
    holes = 1 - image
    assert torch.equal(RemoveSmallRegions(0.05)(as_map(holes)), as_map(holes))


def test_ones_go_before_zeros():
    """An island in a hole: without the island the hole is large enough to stay."""
    image = np.ones((20, 20))
    image[5:10, 5:10] = 0
    image[6:9, 6:9] = 1
    expected = np.ones((20, 20))
    expected[5:10, 5:10] = 0
    assert torch.equal(RemoveSmallRegions(0.05)(as_map(image)), as_map(expected))


def test_large_regions_are_kept():
    image = np.zeros((30, 30))
    image[:, :15] = 1
    assert torch.equal(RemoveSmallRegions(0.4)(as_map(image)), as_map(image))
    for value in (0.0, 1.0):
        assert (RemoveSmallRegions(0.9)(torch.full((1, 1, 8, 8), value)) == value).all()


def test_share_of_zero_removes_nothing():
    image = blobs(0, smooth=0.3)
    assert torch.equal(RemoveSmallRegions(0.0)(as_map(image)), as_map(image))


def test_samples_do_not_mix():
    images = torch.from_numpy(np.stack([blobs(seed) for seed in range(3)])[:, None])
    cleaned = RemoveSmallRegions(0.02)(images)
    for n in range(3):
        assert torch.equal(cleaned[n : n + 1], RemoveSmallRegions(0.02)(images[n : n + 1]))


def test_does_not_modify_its_input():
    decision = as_map(blobs(0))
    before = decision.clone()
    cleaned = RemoveSmallRegions(0.05)(decision)
    assert torch.equal(decision, before)
    assert not torch.equal(cleaned, before)
