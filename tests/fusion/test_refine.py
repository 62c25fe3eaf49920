from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import distance_transform_edt, gaussian_filter, label

from mfif.errors import InputError
from mfif.fusion.refine import BlendSeam, GuidedFilter, InTurn, RemoveSmallRegions
from mfif.pair import blend, luma


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


def remove(*share):
    """The step as a function of the map alone; it does not look at the sources."""
    return lambda decision: RemoveSmallRegions(*share)(decision, None, None)


def as_map(image):
    return torch.tensor(np.array(image, np.float32))[None, None]


@pytest.mark.parametrize("share", [-0.1, 1.0, 2.0, float("nan")])
def test_refuses_share(share):
    with pytest.raises(ValueError, match=r"Expected `share` to be in \[0, 1\)"):
        RemoveSmallRegions(share)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_shape_and_type(dtype):
    decision = torch.from_numpy(np.stack([blobs(0), blobs(1)])[:, None]).to(dtype)
    cleaned = remove()(decision)
    assert cleaned.shape == decision.shape
    assert cleaned.dtype == dtype
    assert cleaned.unique().tolist() == [0, 1]


@pytest.mark.parametrize("size", [(50, 40), (47, 41)], ids=str)  # of which a share is whole pixels, or not
@pytest.mark.parametrize("percent", [1, 2, 5])
@pytest.mark.parametrize("smooth", [0.5, 1.0, 2.0])
def test_matches_brute_force(smooth, percent, size):
    images = np.stack([blobs(seed, *size, smooth) for seed in range(6)])
    expected = np.stack([brute_force(image, percent) for image in images])
    cleaned = remove(percent / 100)(torch.from_numpy(images)[:, None])[:, 0].numpy()
    assert np.array_equal(cleaned, expected)
    assert (cleaned != images).any()


def test_default_is_one_percent():
    image = blobs(3, 47, 41, 0.6)
    assert np.array_equal(remove()(as_map(image))[0, 0].numpy(), brute_force(image, 1))


@pytest.mark.parametrize("value", [1, 0])
@pytest.mark.parametrize(("pixels", "kept"), [(19, False), (20, True), (21, True)])
def test_a_region_of_the_share_is_kept(pixels, kept, value):
    image = np.zeros((20, 20))  # 5 % are 20 pixels
    image[5, :10] = 1
    image[6, : pixels - 10] = 1
    image = image if value else 1 - image
    cleaned = remove(0.05)(as_map(image))
    assert torch.equal(cleaned, as_map(image)) if kept else (cleaned == 1 - value).all()


def test_size_of_lytro():
    """On 520 x 520 the limit is 2,704 pixels: the authors remove what is smaller than ceil(0.01 H W)."""
    image = np.zeros((520, 520))
    image[10:62, 10:62] = 1  # 2,704
    image[100:152, 100:152] = 1
    image[100, 100] = 0  # 2,703
    cleaned = remove()(as_map(image))
    image[100:152, 100:152] = 0
    assert torch.equal(cleaned, as_map(image))


def test_regions_connect_over_corners():
    image = np.eye(20)
    assert torch.equal(remove(0.05)(as_map(image)), as_map(image))
    holes = 1 - image
    assert torch.equal(remove(0.05)(as_map(holes)), as_map(holes))


def test_ones_go_before_zeros():
    """An island in a hole: without the island the hole is large enough to stay."""
    image = np.ones((20, 20))
    image[5:10, 5:10] = 0
    image[6:9, 6:9] = 1
    expected = np.ones((20, 20))
    expected[5:10, 5:10] = 0
    assert torch.equal(remove(0.05)(as_map(image)), as_map(expected))


def test_large_regions_are_kept():
    image = np.zeros((30, 30))
    image[:, :15] = 1
    assert torch.equal(remove(0.4)(as_map(image)), as_map(image))
    for value in (0.0, 1.0):
        assert (remove(0.9)(torch.full((1, 1, 8, 8), value)) == value).all()


def test_share_of_zero_removes_nothing():
    image = blobs(0, smooth=0.3)
    assert torch.equal(remove(0.0)(as_map(image)), as_map(image))


def test_samples_do_not_mix():
    images = torch.from_numpy(np.stack([blobs(seed) for seed in range(3)])[:, None])
    cleaned = remove(0.02)(images)
    for n in range(3):
        assert torch.equal(cleaned[n : n + 1], remove(0.02)(images[n : n + 1]))


def test_does_not_modify_its_input():
    decision = as_map(blobs(0))
    before = decision.clone()
    cleaned = remove(0.05)(decision)
    assert torch.equal(decision, before)
    assert not torch.equal(cleaned, before)


def sources(batch=1, height=20, width=17):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, batch, 1, height, width, generator=generator).double().unbind()


def guided_by_windows(guide, image, radius, eps):
    """The guided filter as it is defined: a fit in every window, the mean of those that cover a pixel."""
    height, width = image.shape
    slopes, offsets = np.empty(image.shape), np.empty(image.shape)

    def window(y, x):
        return slice(max(y - radius, 0), y + radius + 1), slice(max(x - radius, 0), x + radius + 1)

    for y, x in np.ndindex(height, width):
        i, p = guide[window(y, x)], image[window(y, x)]
        slopes[y, x] = ((i * p).mean() - i.mean() * p.mean()) / (i.var() + eps)
        offsets[y, x] = p.mean() - slopes[y, x] * i.mean()
    result = np.empty(image.shape)
    for y, x in np.ndindex(height, width):
        result[y, x] = slopes[window(y, x)].mean() * guide[y, x] + offsets[window(y, x)].mean()
    return result


@pytest.mark.parametrize(("radius", "eps"), [(8, 0.1), (2, 1e-3), (40, 0.3)])
def test_guided_filter_matches_brute_force(radius, eps):
    a, b = sources(2)
    decision = torch.from_numpy(np.stack([blobs(seed, 20, 17) for seed in (0, 1)])[:, None]).double()
    refined = GuidedFilter(radius, eps)(decision, a, b)
    for n in range(2):
        guide = np.where(decision[n, 0] == 1, a[n, 0], b[n, 0])  # the fused image
        expected = guided_by_windows(guide, decision[n, 0].numpy(), radius, eps)
        np.testing.assert_allclose(refined[n, 0].numpy(), expected.clip(0, 1), atol=1e-9)
    assert refined.min() >= 0
    assert refined.max() <= 1
    assert len(refined.unique()) > 100  # no longer binary


def test_guided_filter_defaults_are_those_of_liu():
    step = GuidedFilter()
    assert (step.radius, step.eps) == (8, 0.1)


def test_guided_filter_keeps_a_map_of_one_source():
    a, b = sources()
    for value in (0.0, 1.0):
        refined = GuidedFilter()(torch.full_like(a, value), a, b)
        torch.testing.assert_close(refined, torch.full_like(a, value))


def test_guided_filter_takes_sources_as_they_are():
    """Levels, colour and an alpha channel: what counts is the gray in [0, 1]."""
    a, b = (np.random.default_rng(seed).integers(0, 256, (1, 4, 20, 17), np.uint8) for seed in (0, 1))
    grays = [luma(torch.from_numpy(image[:, :3]).float() / 255) for image in (a, b)]
    decision = as_map(blobs(0, 20, 17))
    refined = GuidedFilter(3, 0.01)(decision, torch.from_numpy(a), torch.from_numpy(b))
    torch.testing.assert_close(refined, GuidedFilter(3, 0.01)(decision, *grays))


@pytest.mark.parametrize("step", [GuidedFilter(3, 0.01), BlendSeam(2.5)], ids=["guided", "seam"])
@pytest.mark.parametrize("side", [8, 13])
def test_tiles_change_nothing(step, side, monkeypatch):
    a, b = sources(1, 41, 37)
    decision = as_map(blobs(3, 41, 37, 2.0)).double()
    whole = step(decision, a, b)
    monkeypatch.setattr("mfif.fusion.refine._TILE", side)
    torch.testing.assert_close(step(decision, a, b), whole, rtol=0, atol=1e-9)


@pytest.mark.parametrize("width", [0.5, 1, 2, 3.5])
def test_blend_across_a_straight_seam(width):
    """Pixel centres lie half a pixel, one and a half, ... from the seam; the map rises in proportion."""
    decision = torch.zeros(1, 1, 6, 20)
    decision[..., 9:] = 1
    from_seam = torch.arange(20) - 9 + 0.5
    expected = (0.5 + from_seam / (2 * width)).clamp(0, 1)
    soft = BlendSeam(width)(decision, None, None)
    torch.testing.assert_close(soft, expected.expand_as(soft))
    assert torch.equal(soft[..., from_seam.abs() >= width], decision[..., from_seam.abs() >= width])


def test_blend_matches_brute_force():
    decision = blobs(5, 17, 14, 1.5)
    expected = np.empty(decision.shape)
    for y, x in np.ndindex(decision.shape):
        others = np.argwhere(decision != decision[y, x])
        depth = np.sqrt(((others - [y, x]) ** 2).sum(1)).min() - 0.5
        expected[y, x] = np.clip(0.5 + (1 if decision[y, x] else -1) * depth / 6, 0, 1)
    np.testing.assert_allclose(BlendSeam(3)(as_map(decision), None, None)[0, 0].numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_map_without_a_seam_is_kept(value):
    decision = torch.full((2, 1, 8, 9), value)
    assert torch.equal(BlendSeam(3)(decision, None, None), decision)


def test_what_cannot_be_blended():
    with pytest.raises(InputError, match="soft already"):
        BlendSeam(3)(torch.full((1, 1, 4, 4), 0.5), None, None)
    for width in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="`width`"):
            BlendSeam(width)


def test_in_turn_is_one_after_the_other():
    a, b = sources()
    decision = as_map(blobs(0, 20, 17, 0.5)).double()
    first, second = RemoveSmallRegions(0.05), GuidedFilter(3, 0.01)
    cleaned = first(decision, a, b)
    assert not torch.equal(cleaned, decision)
    steps = {"small_regions": first, "guided_filter": second}
    assert torch.equal(InTurn(steps)(decision, a, b), second(cleaned, a, b))
    assert torch.equal(InTurn({})(decision, a, b), decision)


@pytest.mark.parametrize(
    ("scene", "within"),
    [("lytro-01", {1: 0.005, 3: 5e-4}), ("lytro-03", {1: 0.002, 3: 1e-4})],  # share of values off by more levels
)
def test_against_the_published_images_of_liu(shared, scene, within):
    """Their decision map, read off their fused image, refined by us gives their image again.

    Where the sources are alike the map cannot be read; there it is that of the nearest pixel where it can.
    """
    paths = [f"lytro/{scene}-A.png", f"lytro/{scene}-B.png", f"published/{scene}-CNN.png"]
    images = [np.array(Image.open(shared / "data" / path).convert("RGB")) for path in paths]
    a, b, published = (torch.from_numpy(image).movedim(-1, 0)[None].double() / 255 for image in images)
    contrast = (a - b).square().sum(1)[0]
    weight = ((published - b) * (a - b)).sum(1)[0] / contrast.clamp(min=1e-9)
    nearest = distance_transform_edt(contrast < (12 / 255) ** 2, return_distances=False, return_indices=True)
    decision = (weight >= 0.5)[tuple(torch.from_numpy(nearest))][None, None].double()
    refined = InTurn({"small_regions": RemoveSmallRegions(), "guided_filter": GuidedFilter()})(
        decision, luma(a), luma(b)
    )
    off = 255 * (blend(a, b, refined) - published).abs()
    for levels, share in within.items():
        assert (off.round() > levels).double().mean() < share
    unrefined = 255 * (blend(a, b, decision) - published).abs()
    assert (unrefined.round() > 1).double().mean() > 5 * within[1]
