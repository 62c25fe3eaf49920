import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import correlate, gaussian_filter, label
from scipy.signal import convolve2d

from mfif.classical import DenseSift, dsift
from mfif.classical.dsift import bins, elected, histograms_of, orientation_histograms, spatial_frequency
from mfif.pair import luma


def levels(*shape, seed=0, sigma=0.8):
    """Texture, whole numbers up to 255."""
    noise = gaussian_filter(np.random.default_rng(seed).random(shape), sigma)
    return np.round(255 * (noise - noise.min()) / (noise.max() - noise.min()))


def batch(*images):
    return torch.from_numpy(np.stack(images))[:, None] / 255


@pytest.mark.parametrize(("number", "differing"), [(4, 0), (7, 1)])
def test_equals_the_authors_image(shared, number, differing):
    """The one pixel compares contrasts that are equal but for the last bit."""
    data = shared / "data"
    a, b = (np.array(Image.open(data / "lytro" / f"lytro-{number:02d}-{source}.png")) for source in "AB")
    published = np.array(Image.open(data / "published" / f"lytro-{number:02d}-DSIFT.png")).astype(int)
    alpha = DenseSift()(*(luma(torch.from_numpy(image).movedim(-1, 0)[None].float() / 255) for image in (a, b)))
    alpha = alpha[0, 0, ..., None].numpy()
    difference = np.abs(np.floor(alpha * a + (1 - alpha) * b + 0.5) - published).max(-1)
    assert difference.max() <= 1
    assert np.count_nonzero(difference) <= differing


def descriptors(image, scale):
    """Every pixel's 128 values before normalization, step by step as the authors' code, ``(H, W, 128)``."""
    patch = scale // 2
    framed = np.pad(image, patch // 2 - 1)
    framed = framed / framed.max()
    profile = np.exp(-(np.arange(-2, 3) ** 2) / 2)
    kernel_y, kernel_x = np.gradient(np.outer(profile, profile))
    dx, dy = (correlate(framed, 2 * k / np.abs(k).sum(), mode="constant") for k in (kernel_x, kernel_y))
    place = np.abs(np.arange(1, patch + 1) - (patch / 2 - 0.5)) / (patch / 4)
    weight = np.where(place <= 1, 1 - place, 0)
    height, width = framed.shape
    found = []
    for k in range(8):
        plane = np.clip(np.cos(np.arctan2(dy, dx) - k * np.pi / 4), 0, None) ** 9 * np.hypot(dx, dy)
        spread = convolve2d(plane, np.outer(weight, weight))[patch // 2 :, patch // 2 :][:height, :width]
        offsets = np.arange(4) * patch // 4 + 1 - patch // 2
        location = patch // 2 - 1  # of the first pixel, counted from zero
        for y in location + offsets:
            found += [spread[y : y + image.shape[0], x : x + image.shape[1]] for x in location + offsets]
    return np.stack(found, -1)


@pytest.mark.parametrize("scale", [48, 16])
@pytest.mark.parametrize("size", [(14, 19), (1, 1), (1, 6)], ids=str)
def test_descriptors_match_loop(scale, size):
    image = np.random.default_rng(1).integers(1, 256, size).astype(float)
    step = scale // 8
    found = bins(orientation_histograms(torch.from_numpy(image), step), step)
    found = found.permute(2, 3, 1, 0).flatten(2).numpy()  # as above: all bins of the first direction come first
    np.testing.assert_allclose(found, descriptors(image, scale), atol=1e-12)


def test_votes_match_loop():
    rng = np.random.default_rng(0)
    mine, other = gaussian_filter(rng.random((2, 30, 26)), (0, 3, 3))
    votes, blocks = np.zeros((2, 30, 26))
    for y in range(30 - 7):
        for x in range(26 - 7):
            block = np.s_[y : y + 8, x : x + 8]
            blocks[block] += 1
            votes[block] += mine[block].sum() > other[block].sum()
    expected = votes / blocks > 0.99
    assert 0.1 < expected.mean() < 0.9
    assert np.array_equal(elected(torch.from_numpy(mine), torch.from_numpy(other), 8), expected)


def test_spatial_frequency_matches_loop():
    image = levels(12, 15)
    found = spatial_frequency(torch.from_numpy(image)).numpy()
    for y in range(12):
        for x in range(15):
            if 3 <= y < 9 and 3 <= x < 12:
                window = image[y - 3 : y + 4, x - 3 : x + 4]
                squares = (np.diff(window, axis=0) ** 2).sum() + (np.diff(window, axis=1) ** 2).sum()
                assert found[y, x] == pytest.approx(np.sqrt(squares / 49))
            else:
                assert np.isnan(found[y, x])


def normalized(descriptor):
    norm = np.linalg.norm(descriptor)
    if norm <= 1:
        return descriptor
    clipped = np.minimum(descriptor / norm, 0.2)
    return clipped / np.linalg.norm(clipped)


def matched(mine, other, y, x):
    """Place in `other` of the nearest descriptor, the first one in the order of columns."""
    best, place = np.inf, None
    for column in range(x - 3, x + 4):
        for row in range(y - 3, y + 4):
            distance = ((other[row, column] - mine[y, x]) ** 2).sum()
            if distance < best:
                best, place = distance, (row, column)
    return place


def test_matching_matches_loop():
    """In an image smaller than a region may be, every pixel is left to matching."""
    a = levels(22, 27, sigma=1)
    b = np.round(np.roll(gaussian_filter(a, 0.5), (1, 2), (0, 1)))
    a, b = np.where(np.arange(27) < 14, a, b), np.where(np.arange(27) < 14, b, a)
    sift = [np.apply_along_axis(normalized, -1, descriptors(image, 48)) for image in (a, b)]
    contrast = [spatial_frequency(torch.from_numpy(image)).numpy() for image in (a, b)]
    expected = np.full((22, 27), 0.5)
    for y in range(3, 22 - 3):
        for x in range(3, 27 - 3):
            in_b, in_a = matched(*sift, y, x), matched(*reversed(sift), y, x)
            own_a, own_b = contrast[0][y, x], contrast[1][y, x]
            if own_a > contrast[1][in_b] and own_b < contrast[0][in_a]:
                expected[y, x] = 1
            if own_a < contrast[1][in_b] and own_b > contrast[0][in_a]:
                expected[y, x] = 0
    assert all((expected == value).sum() > 20 for value in (0, 0.5, 1))
    assert np.array_equal(DenseSift()(batch(a), batch(b))[0, 0], expected)


def large(mask, area):
    """The regions of at least `area` pixels, 8-connected."""
    regions, _ = label(mask, np.ones((3, 3)))
    return mask & (np.bincount(regions.ravel())[regions] >= area)


def test_regions_and_holes():
    """Where no pixel is undecided inside, the map is that of the votes without small regions and holes."""
    a, b = levels(90, 80, seed=1, sigma=1), levels(90, 80, seed=2, sigma=1)
    strengths = [torch.from_numpy(descriptors(image, 48).sum(-1)) for image in (a, b)]
    kept = []
    for mine, other in (strengths, reversed(strengths)):
        votes = elected(mine, other, 8).numpy()
        kept.append(~large(~large(votes, 150), 150))
        assert not np.array_equal(kept[-1], votes)  # there is something to clean
    decided = kept[0] != kept[1]
    assert decided.mean() > 0.2
    alpha = DenseSift(area=150)(batch(a), batch(b))[0, 0].numpy()
    assert np.array_equal(alpha[decided], kept[0][decided])


def test_picks_the_sharp_side(half_blurred):
    a, b, truth = half_blurred
    alpha = DenseSift(area=400)(a, b)
    assert (alpha == truth).double().mean() > 0.9
    assert (alpha == 1 - truth.double()).double().mean() < 0.01
    assert torch.equal(DenseSift(area=400)(b, a), 1 - alpha)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (5, 5), (7, 9)], ids=str)
def test_tiny_images(size):
    """No window of 7 x 7 has another to be compared to: nothing is decided."""
    alpha = DenseSift()(batch(levels(*size, sigma=0) if size != (1, 1) else np.ones(size)), batch(np.zeros(size)))
    assert alpha.shape == (1, 1, *size)
    assert (alpha[..., :3, :] == 0.5).all()


@pytest.mark.parametrize("value", [0, 90, 255])
def test_equal_and_constant_sources_stay_undecided(value):
    flat = batch(np.full((30, 40), float(value)))
    assert (DenseSift()(flat, flat) == 0.5).all()
    texture = batch(levels(70, 70))
    assert (DenseSift()(texture, texture) == 0.5).all()


def test_texture_wins_over_black():
    texture, black = batch(levels(70, 70)), batch(np.zeros((70, 70)))
    assert (DenseSift()(texture, black) == 1).all()
    assert (DenseSift()(black, texture) == 0).all()


def test_batch_and_dtype():
    a, b = (batch(*(levels(40, 44, seed=seed + 10 * source) for seed in range(3))) for source in range(2))
    method = DenseSift(area=100)
    alpha = method(a, b)
    for index in range(3):
        assert torch.equal(method(a[index, None], b[index, None])[0], alpha[index])
    single = method(a.float(), b.float())
    assert single.dtype == torch.float32
    assert torch.equal(single.double(), alpha)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [({"scale": 8}, "scale"), ({"scale": 20}, "scale"), ({"block": 0}, "block"), ({"area": 0}, "area")],
)
def test_refuses_parameters(arguments, name):
    with pytest.raises(ValueError, match=rf"Expected .*`{name}`"):
        DenseSift(**arguments)


@pytest.mark.parametrize("side", [17, 40, 64])
def test_parts_give_the_map_of_the_whole(monkeypatch, side):
    """Every stage has something to do: votes, regions, holes and matches, across the borders of the parts."""
    a, b = levels(110, 130, seed=1, sigma=1), levels(110, 130, seed=1, sigma=2.5)
    a, b = np.where(np.arange(130) < 70, a, b), np.where(np.arange(130) < 70, b, a)
    method = DenseSift(area=150)
    expected = method(batch(a), batch(b))
    assert all((expected == value).sum() > 100 for value in (0, 0.5, 1))
    monkeypatch.setattr(dsift, "_SIDE", side)
    assert torch.equal(method(batch(a), batch(b)), expected)


def test_histograms_of_a_window_are_those_of_the_whole():
    image = levels(90, 70)
    whole = orientation_histograms(torch.from_numpy(image), 6)
    for top, bottom, left, right in ((0, 90, 0, 70), (0, 5, 3, 9), (31, 32, 60, 70), (20, 60, 0, 50), (80, 90, 33, 34)):
        found = histograms_of(torch.from_numpy(image).byte(), 6, (slice(top, bottom), slice(left, right)))
        expected = whole[:, top : bottom + 18, left : right + 18]
        torch.testing.assert_close(found, expected, atol=1e-14, rtol=0)
