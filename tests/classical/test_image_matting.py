import numpy as np
import pytest
import torch

from mfif.classical import ImageMatting
from mfif.classical.image_matting import binary_median, count_levels
from mfif.pair import blend


def random(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", ["radius", "window", "iterations"])
def test_refuses_zero(name):
    with pytest.raises(ValueError, match=f"Expected `{name}` to be at least 1, got 0"):
        ImageMatting(**{name: 0})


@pytest.mark.parametrize(("before", "side"), [(3, 8), (1, 3), (0, 2), (0, 1)])
@pytest.mark.parametrize("size", [(14, 11), (1, 9), (3, 2)], ids=str)
def test_median_matches_loops(before, side, size):
    mask = np.random.default_rng(0).random(size) < 0.6
    padded = np.pad(mask, side)
    expected = np.zeros(size)
    for y, x in np.ndindex(size):
        top, left = y + side - before, x + side - before
        expected[y, x] = np.median(padded[top : top + side, left : left + side].astype(float))
    assert np.array_equal(binary_median(mask, side), expected)


@pytest.mark.parametrize(
    ("area", "levels"), [(1, 1), (256**2, 1), (256**2 + 1, 2), (520 * 520, 3), (768**2, 3), (768**2 + 1, 4)]
)
def test_levels(area, levels):
    assert count_levels(area) == levels


@pytest.mark.parametrize("channels", [1, 3])
def test_finds_the_sharp_side(half_blurred, channels):
    a, b, left = half_blurred
    a, b = a.expand(-1, channels, -1, -1), b.expand(-1, channels, -1, -1)
    alpha = ImageMatting()(a, b)
    assert alpha.shape == left.shape
    assert alpha.dtype == a.dtype
    assert ((alpha > 0.5) == left).float().mean() > 0.9
    assert ((ImageMatting()(b, a) < 0.5) == left).float().mean() > 0.9


def test_colour_guides_the_map():
    """Flat areas that no filter can decide go with the focused edge of their own colour."""
    texture = (random(60, 60) > 0.5).float() * 0.2 + 0.3
    columns = torch.arange(60)
    red, blue = torch.tensor([0.5, 0.0, 0.0]), torch.tensor([0.0, 0.0, 0.5])
    colour = torch.where((columns < 35)[None, :, None], red, blue).movedim(-1, 0)[None]
    a = colour + torch.where(columns < 20, texture, 0.4)
    b = colour + torch.where(columns >= 40, texture, 0.4)
    alpha = ImageMatting()(a, b)[0, 0, 10:50]
    assert alpha[:, :33].min() > 0.9
    assert alpha[:, 37:].max() < 0.1


def test_fused_image_is_the_blend_to_rounding(half_blurred):
    a, b, _ = half_blurred
    method = ImageMatting()
    fused, alpha = method.fuse(a, b)
    assert torch.equal(alpha, method(a, b))
    inside = (alpha > 0) & (alpha < 1)
    assert inside.float().mean() > 0.02
    difference = (fused - blend(a, b, alpha))[inside].abs()
    assert 0 < difference.max() <= 0.5 / 255 + 1e-6


def test_batch_is_one_by_one():
    a, b = random(2, 3, 3, 30, 27)
    a[:, :, :, 15:], b[:, :, :, :12] = 0.5, 0.5
    alpha = ImageMatting()(a, b)
    assert len({float(sample.mean()) for sample in alpha}) == 3
    for index in range(3):
        assert torch.equal(ImageMatting()(a[index, None], b[index, None]), alpha[index, None])


@pytest.mark.parametrize("size", [(1, 1), (1, 60), (60, 1), (2, 40), (5, 4)], ids=str)
@pytest.mark.parametrize("channels", [1, 3])
def test_small_images(size, channels):
    a, b = random(2, 1, channels, *size)
    for result in (*ImageMatting().fuse(a, b), ImageMatting()(a, b)):
        assert result.min() >= 0  # and no NaN
        assert result.max() <= 1


def test_narrow_images_of_several_levels():
    a, b = random(2, 1, 1, 2, 40000)
    assert count_levels(80000) == 2
    assert ImageMatting()(a, b).isfinite().all()


def test_without_focus_each_source_has_half():
    flat = torch.full((1, 3, 20, 20), 0.3)
    torch.testing.assert_close(ImageMatting()(flat, flat + 0.1), torch.full((1, 1, 20, 20), 0.5))


def test_published_scores(golf, paper_scores):
    a, b = golf
    fused, alpha = ImageMatting().fuse(a, b)
    assert paper_scores(fused, a, b) == pytest.approx([1.073, 0.710, 7.018, 0.966], abs=0.001)
    # Nothing published, but what weights that add up to one are worth.
    assert paper_scores(blend(a, b, alpha), a, b) == pytest.approx([1.1202, 0.7277, 7.0100, 0.9609], abs=0.001)
