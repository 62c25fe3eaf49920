import itertools

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import correlate, gaussian_filter, uniform_filter

from mfif.classical import GuidedFilterFusion
from mfif.guided import guided_filter


def random(*shape, seed=0):
    """Values of 8 bit in [0, 1]."""
    return torch.randint(256, shape, generator=torch.Generator().manual_seed(seed)).double() / 255


def photograph(path):
    return torch.from_numpy(np.array(Image.open(path))).movedim(-1, 0)[None].float() / 255


@pytest.mark.parametrize("number", range(1, 11))
def test_equals_the_authors_image(shared, number):
    """Up to ties that rounding breaks: the three pairs that have any differ in 5, 5 and 15 of 270,400 pixels."""
    data = shared / "data"
    name = f"lytro-{number:02d}"
    fused = GuidedFilterFusion()([photograph(data / "lytro" / f"{name}-{source}.png") for source in "AB"])
    published = 255 * photograph(data / "published" / f"{name}-GF.png")
    difference = (torch.floor(255 * fused + 0.5) - published.round()).abs().amax(1)
    assert difference.max() <= 1
    assert (difference > 0).double().mean() <= 1e-4


def formula(sources, method):
    """The method on gray images, by scipy."""
    images = [source[0, 0].numpy() for source in sources]
    stencil = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]])
    contrasts = [np.abs(correlate(image, stencil, mode="nearest")) for image in images]
    saliency = [gaussian_filter(contrast, 5, radius=5, mode="nearest") for contrast in contrasts]
    selected = np.argmax(saliency, axis=0)
    parts = {}
    for scale, radius, eps in (
        ("base", method.base_radius, method.base_eps),
        ("detail", method.detail_radius, method.detail_eps),
    ):
        maps = [torch.from_numpy((selected == index).astype(float))[None, None] for index in range(len(images))]
        weights = [guided_filter(*pair, radius, eps)[0, 0].numpy() for pair in zip(sources, maps, strict=True)]
        weights = [np.clip(np.floor(255 * weight + 0.5), 0, 255) for weight in weights]
        parts[scale] = [weight / np.sum(weights, axis=0) for weight in weights]
    base = [uniform_filter(image, 31, mode="nearest") for image in images]
    details = [image - smooth for image, smooth in zip(images, base, strict=True)]
    fused = sum(map(np.multiply, parts["base"] + parts["detail"], base + details))
    return np.clip(fused, 0, 1)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize(
    "method", [GuidedFilterFusion(), GuidedFilterFusion(9, 0.1, 3, 1e-3)], ids=["default", "other"]
)
def test_matches_scipy(method, count):
    sources = [random(1, 1, 40, 53, seed=seed) for seed in range(count)]
    np.testing.assert_allclose(method(sources)[0, 0], formula(sources, method), atol=1e-12)


def test_any_order_of_sources():
    sources = [random(1, 3, 30, 41, seed=seed) for seed in range(3)]
    fused = GuidedFilterFusion()(sources)
    for order in itertools.permutations(sources):
        torch.testing.assert_close(GuidedFilterFusion()(order), fused, atol=1e-12, rtol=0)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (4, 5)], ids=str)
@pytest.mark.parametrize("channels", [1, 3])
def test_tiny_images(size, channels):
    sources = [random(2, channels, *size, seed=seed) for seed in range(2)]
    fused = GuidedFilterFusion()(sources)
    assert fused.shape == sources[0].shape
    assert fused.isfinite().all()
    assert fused.min() >= 0
    assert fused.max() <= 1


def test_equal_sources_are_left_alone():
    for image in (random(1, 3, 25, 30), torch.full((1, 3, 25, 30), 0.2, dtype=torch.float64), torch.zeros(1, 1, 9, 9)):
        torch.testing.assert_close(GuidedFilterFusion()([image, image, image]), image, atol=1e-12, rtol=0)


def test_constant_sources_take_the_first():
    black, white = torch.zeros(1, 1, 20, 20), torch.ones(1, 1, 20, 20)
    torch.testing.assert_close(GuidedFilterFusion()([black, white]), black, atol=1e-11, rtol=0)
    torch.testing.assert_close(GuidedFilterFusion()([white, black]), white, atol=1e-11, rtol=0)


def test_batch_equals_one_by_one():
    a, b = random(3, 3, 24, 31), random(3, 3, 24, 31, seed=1)
    fused = GuidedFilterFusion()([a, b])
    for index in range(3):
        one = slice(index, index + 1)
        torch.testing.assert_close(GuidedFilterFusion()([a[one], b[one]]), fused[one], atol=1e-12, rtol=0)


def test_float32_equals_float64():
    sources = [random(1, 3, 40, 40, seed=seed) for seed in range(2)]
    fused = GuidedFilterFusion()([source.float() for source in sources])
    assert fused.dtype == torch.float32
    torch.testing.assert_close(fused, GuidedFilterFusion()(sources).float(), atol=1e-6, rtol=0)


def test_keeps_more_than_8_bit():
    sources = [random(1, 1, 40, 40, seed=seed) for seed in range(2)]
    levels = 255 * GuidedFilterFusion()(sources)
    assert (levels - levels.round()).abs().max() > 0.1


@pytest.mark.parametrize(
    "shapes", [[], [(1, 1, 4, 4)], [(1, 1, 4, 4), (1, 3, 4, 4)], [(1, 1, 4, 4)] * 2 + [(1, 1, 4, 5)]]
)
def test_refuses_sources(shapes):
    with pytest.raises(ValueError, match="Expected `sources` to be at least two images of one shape"):
        GuidedFilterFusion()([torch.zeros(shape) for shape in shapes])
