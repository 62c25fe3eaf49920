import itertools
import math

import numpy as np
import pytest
import torch
from skimage.morphology import footprint_from_sequence

from mfif.classical import BoundaryFinding
from mfif.classical.boundary_finding import (
    distance_weights,
    erode,
    fill_open_regions,
    focus_measure,
    label_regions,
    long_lines,
    matlab_disk,
    reconstruct,
    remove_small_regions,
    select,
    watershed_ridges,
)
from mfif.pair import blend, luma

NEAR = [step for step in itertools.product((-1, 0, 1), repeat=2) if step != (0, 0)]
BESIDE = [step for step in NEAR if 0 in step]


def footprint(radius):
    return footprint_from_sequence(matlab_disk(radius)).astype(bool)


def periodic_lines(radius):
    """MATLAB's default disk as its documentation builds it: a point dilated by lines in four directions."""
    reach = 2 * radius / (1 / math.tan(math.pi / 8) + 1 / math.sin(math.pi / 8))
    points = {(0, 0)}
    for step in ((1, 0), (1, 1), (0, 1), (-1, 1)):
        count = math.floor(reach / math.hypot(*step))
        points = {(y + k * step[0], x + k * step[1]) for y, x in points for k in range(-count, count + 1)}
    half = radius - max(y for y, _ in points) - 1  # of the lines that make up for what is missing
    if half >= 0:
        span = range(-half, half + 1)
        points = {(y + dy, x + dx) for y, x in points for dy in span for dx in span}
    return points


def components(mask, steps):
    """Connected regions as sets of pixels, by walking."""
    open_pixels, regions = set(zip(*np.nonzero(mask), strict=True)), []
    while open_pixels:
        region, border = set(), [open_pixels.pop()]
        while border:
            y, x = border.pop()
            region.add((y, x))
            reached = {(y + dy, x + dx) for dy, dx in steps} & open_pixels
            open_pixels -= reached
            border.extend(reached)
        regions.append(sorted(region))
    return regions


def random_labels(seed, shape=(14, 17)):
    """Regions of both labels and of none, large and small."""
    rng = np.random.default_rng(seed)
    return np.kron(rng.integers(0, 3, (5, 6)), np.ones((3, 3), int))[: shape[0], : shape[1]].astype(np.uint8)


@pytest.mark.parametrize("name", ["window", "scales", "band", "blend_radius"])
def test_refuses_zero(name):
    with pytest.raises(ValueError, match=f"Expected `{name}` to be at least 1, got 0"):
        BoundaryFinding(**{name: 0})


def test_refuses_even_window():
    with pytest.raises(ValueError, match="Expected `window` to be odd, got 6"):
        BoundaryFinding(window=6)


def test_small_disks():
    assert footprint(1).tolist() == [[0, 1, 0], [1, 1, 1], [0, 1, 0]]
    assert footprint(2).sum() == 13
    assert np.array_equal(footprint(3), np.ones((5, 5)))
    assert footprint(5).sum(1).tolist() == [5, 7, 9, 9, 9, 9, 9, 7, 5]


@pytest.mark.parametrize("radius", [3, 5, 7, 9, 11, 12, 20])
def test_disk_is_made_of_periodic_lines(radius):
    disk = footprint(radius)
    assert disk.shape == (2 * radius - 1, 2 * radius - 1)
    points = {(y - radius + 1, x - radius + 1) for y, x in zip(*np.nonzero(disk), strict=True)}
    assert points == periodic_lines(radius)


@pytest.mark.parametrize("size", [(12, 15), (1, 20), (9, 2), (1, 1)], ids=str)
def test_focus_measure_matches_loops(size):
    image = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    expected = np.zeros(size)
    for y, x in np.ndindex(size):
        for radius in (3, 5, 7):
            around = [(y + dy, x + dx) for dy, dx in periodic_lines(radius)]
            levels = [int(image[v, u]) for v, u in around if 0 <= v < size[0] and 0 <= u < size[1]]
            expected[y, x] += (max(levels) - min(levels)) / radius
    np.testing.assert_allclose(focus_measure(image, 3), expected)


def test_erosion_is_the_smallest_label_around():
    labels = np.kron(np.random.default_rng(3).integers(1, 3, (2, 2)), np.ones((15, 15), int)).astype(np.uint8)
    labels[4, 20] = 0
    expected = [
        min(labels[v, u] for v, u in ((y + dy, x + dx) for dy, dx in periodic_lines(5)) if 0 <= v < 30 and 0 <= u < 30)
        for y, x in np.ndindex(30, 30)
    ]
    assert erode(labels, 5).ravel().tolist() == expected


def test_undecided_matches_loops():
    rng = np.random.default_rng(0)
    focus = rng.random((2, 11, 13)) * np.array([1, 0.2])[:, None, None] * 12 * np.linspace(0, 1, 13)
    expected = np.zeros((11, 13), bool)
    for y, x in np.ndindex(11, 13):
        window = focus[:, max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3]
        difference = abs(window[0].sum() - window[1].sum())
        expected[y, x] = difference < 25 or difference < 0.8 * (window.max(0) - window.min(0)).sum()
    assert 0.2 < expected.mean() < 0.8
    assert np.array_equal(BoundaryFinding(window=5)._undecided(*focus), expected)
    similar = focus[0] + 40, focus[0] + rng.normal(40, 20, (11, 13))
    windows = BoundaryFinding(window=5)._undecided(*similar)
    assert windows.mean() > 0.8  # large differences of either sign, that do not agree


def test_lines_are_thin_and_long():
    undecided = np.zeros((60, 60), bool)
    for row, length in enumerate((40, 36, 39, 20, 10, 5, 12, 7, 9)):
        undecided[5 + 6 * row, 10 : 10 + length] = True
    # Two of nine are the longest fifth: 39.5 pixels on average.
    expected = np.zeros_like(undecided)
    expected[5, 10:50] = True
    assert np.array_equal(long_lines(undecided), expected)
    thick = np.zeros((40, 60), bool)
    thick[18:23] = True  # from one border to the other
    line = long_lines(thick)
    assert np.array_equal(line[:, 5:-5], np.tile(np.arange(40)[:, None] == 20, 50))
    assert line[:, 0].any()
    assert line[:, -1].any()
    assert not long_lines(np.zeros((20, 30), bool)).any()


@pytest.mark.parametrize("seed", range(3))
def test_regions_go_to_the_larger_focus(seed):
    rng = np.random.default_rng(seed)
    boundary = rng.random((14, 17)) < 0.45
    focus = rng.random((2, 14, 17))
    expected = np.zeros((14, 17), int)
    for region in components(~boundary, BESIDE):
        sums = [sum(measure[pixel] for pixel in region) for measure in focus]
        for pixel in region:
            expected[pixel] = 1 if sums[0] > sums[1] else 2
    assert np.array_equal(label_regions(boundary, *focus), expected)
    assert not label_regions(boundary, focus[0], focus[0]).any()


@pytest.mark.parametrize("seed", range(3))
def test_small_regions_are_removed(seed):
    labels = np.random.default_rng(seed).integers(0, 3, (14, 17)).astype(np.uint8)
    expected = labels.copy()
    for source in (1, 2):
        for region in components(labels == source, BESIDE):
            if len(region) < 6:  # 238 / 40, rounded
                expected[tuple(zip(*region, strict=True))] = 0
    assert (expected != labels).any()
    assert expected.any()
    assert np.array_equal(remove_small_regions(labels), expected)


@pytest.mark.parametrize("seed", range(4))
def test_open_regions_are_filled_by_majority(seed):
    labels = random_labels(seed)
    boundary = (labels == 0) & (np.random.default_rng(seed).random(labels.shape) < 0.3)
    expected = labels.copy()
    for region in components((labels == 0) & ~boundary, NEAR):
        rows, columns = ([pixel[axis] for pixel in region] for axis in (0, 1))
        around = [
            labels[y, x]
            for y, x in np.ndindex(labels.shape)
            if min(rows) - 2 <= y <= max(rows) + 2 and min(columns) - 2 <= x <= max(columns) + 2
        ]
        difference = around.count(1) - around.count(2)
        expected[rows, columns] = 0 if difference == 0 else 1 if difference > 0 else 2
    assert np.array_equal(fill_open_regions(labels, boundary), expected)


def test_boundary_pixels_join_the_only_label_beside_them():
    labels = np.zeros((10, 12), np.uint8)
    labels[:, :6], labels[:, 7:] = 1, 2
    labels[2, :3] = 0  # a spur into the first region
    boundary = labels == 0
    expected = labels.copy()
    expected[2, :3] = 1
    assert np.array_equal(reconstruct(labels, boundary), expected)


def test_reconstruction_fills_islands_and_keeps_what_both_touch():
    labels = np.ones((20, 20), np.uint8)
    labels[:, 10:] = 2
    labels[:, 9] = 0
    labels[4, 3], labels[12:14, 15] = 2, 1  # islands
    expected = np.where(np.arange(20) < 9, 1, 2) * np.ones((20, 1), int)
    expected[:, 9] = 0
    assert np.array_equal(reconstruct(labels, labels == 0), expected)


def test_watershed_follows_the_steepest_slope():
    focus = np.tile([0.0] * 10 + [5.0] + [10.0] * 10, (12, 1))
    markers = np.zeros((12, 21), bool)
    markers[:, 2], markers[:, 19] = True, True
    assert np.array_equal(watershed_ridges(focus, markers), np.arange(21) == 10 * np.ones((12, 1)))
    assert not watershed_ridges(focus, np.zeros_like(markers)).any()


def test_open_pixels_are_averaged():
    a, b = np.array([[10, 20, 30]], np.uint8), np.array([[255, 200, 33]], np.uint8)
    assert select(a, b, np.array([[1, 2, 0]], np.uint8)).tolist() == [[10, 200, 32]]


def test_weights_follow_the_distance():
    labels = np.tile(np.array([1, 1, 0, 0, 0, 0, 2, 2], np.uint8), (3, 1))
    expected = np.tile([1, 1, 0.8, 0.6, 0.4, 0.2, 0, 0], (3, 1))
    np.testing.assert_allclose(distance_weights(labels), expected)


@pytest.mark.parametrize(("labels", "expected"), [([1, 0], 1), ([0, 2], 0), ([0, 0], 0.5)])
def test_weights_of_a_single_region(labels, expected):
    assert distance_weights(np.array([labels], np.uint8)).tolist() == [[expected, expected]]


def test_finds_the_boundary(half_blurred):
    a, b, left = half_blurred
    alpha = BoundaryFinding()(a, b)
    assert alpha.shape == left.shape
    assert ((alpha > 0.5) == left).float().mean() > 0.95
    mixed = (alpha > 0) & (alpha < 1)
    assert 0 < mixed.float().mean() < 0.15
    torch.testing.assert_close(BoundaryFinding()(b, a), 1 - alpha)


def test_batch_is_one_by_one():
    a, b = torch.rand(2, 3, 1, 50, 41, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    b[0, :, :, :20], a[1, :, :, 20:] = 0.5, 0.5
    method = BoundaryFinding(band=4)
    alpha = method(a, b)
    assert alpha.dtype == a.dtype
    assert len({float(sample.mean()) for sample in alpha}) == 3
    for index in range(3):
        assert torch.equal(method(a[index, None], b[index, None]), alpha[index, None])


@pytest.mark.parametrize("size", [(1, 1), (1, 60), (60, 1), (5, 4), (30, 2)], ids=str)
def test_small_images(size):
    a, b = torch.rand(2, 1, 1, *size, generator=torch.Generator().manual_seed(0))
    alpha = BoundaryFinding()(a, b)
    assert alpha.min() >= 0  # and no NaN
    assert alpha.max() <= 1


def test_without_focus_each_source_has_half():
    flat = torch.full((1, 1, 40, 50), 0.3)
    assert (BoundaryFinding()(flat, flat + 0.1) == 0.5).all()


def test_only_one_source_in_focus():
    texture, flat = (
        torch.rand(1, 1, 40, 50, generator=torch.Generator().manual_seed(0)),
        torch.full((1, 1, 40, 50), 0.5),
    )
    assert (BoundaryFinding()(texture, flat) == 1).all()
    assert (BoundaryFinding()(flat, texture) == 0).all()


def test_published_scores(golf, paper_scores):
    a, b = golf
    fused = blend(a, b, BoundaryFinding()(luma(a), luma(b)))
    assert paper_scores(fused, a, b) == pytest.approx([1.123, 0.715, 7.004, 0.946], abs=0.001)
