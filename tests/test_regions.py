"""Regions found strip by strip are those of the whole map."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.morphology import remove_small_objects

from mfif import regions
from mfif.regions import flip_small_regions


def blobs(seed: int, height: int = 60, width: int = 45, smooth: float = 1.0) -> np.ndarray:
    return gaussian_filter(np.random.default_rng(seed).standard_normal((height, width)), smooth) > 0


@pytest.mark.parametrize("strip", [1, 45 * 3, 45 * 7 + 5, 45 * 60, 10**6])
@pytest.mark.parametrize("smooth", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("smallest", [0, 1, 9, 60, 10**6])
def test_agrees_with_scikit_image(monkeypatch: pytest.MonkeyPatch, strip: int, smooth: float, smallest: int) -> None:
    monkeypatch.setattr(regions, "_STRIP", strip)
    mask = blobs(strip, smooth=smooth)
    largest = max(smallest - 1, 0)
    expected = remove_small_objects(mask, max_size=largest, connectivity=2)
    found = mask.copy()
    flip_small_regions(found, True, smallest)
    assert np.array_equal(found, expected)
    found = mask.copy()
    flip_small_regions(found, False, smallest)
    assert np.array_equal(~found, remove_small_objects(~mask, max_size=largest, connectivity=2))


def test_a_spiral_is_one_region_however_it_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its arms lie in many strips, and are joined by the outermost only."""
    spiral = np.zeros((41, 41), bool)
    y, x, down, right, length = 0, 0, 0, 1, 40
    while length > 0:
        for _ in range(2 if length < 40 else 3):
            for _ in range(length):
                spiral[y, x] = True
                y, x = y + down, x + right
            down, right = right, -down
        length -= 2
    spiral[y, x] = True
    size = int(spiral.sum())
    for strip in (1, 41 * 5, 41 * 41):
        monkeypatch.setattr(regions, "_STRIP", strip)
        for smallest, stays in ((size, True), (size + 1, False)):
            mask = spiral.copy()
            flip_small_regions(mask, True, smallest)
            assert np.array_equal(mask, spiral) if stays else not mask.any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1)])
def test_thin_maps(monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int]) -> None:
    monkeypatch.setattr(regions, "_STRIP", 4)
    mask = np.ones(shape, bool)
    mask[..., shape[1] // 2] &= shape[1] == 1
    expected = remove_small_objects(mask, max_size=14, connectivity=2)
    flip_small_regions(mask, True, 15)
    assert np.array_equal(mask, expected)
