import numpy as np
import pytest
import torch
from scipy.signal import correlate2d

from mfif.metrics.functional import viff


def brute_force(f, a, b):
    """VIFF of three gray images (H, W) with two-dimensional windows and branches as the definition has them."""
    images, ratios = [f, a, b], []
    for scale in range(4):
        size = 2 ** (4 - scale) + 1
        grid = np.arange(size) - size // 2
        window = np.exp(-(grid[:, None] ** 2 + grid**2) / (2 * (size / 5) ** 2))
        window /= window.sum()

        def smooth(image, window=window):
            return correlate2d(image, window, "valid")

        if scale > 0:
            images = [smooth(image)[::2, ::2] for image in images]
        maps = []
        for source in images[1:]:
            mean_x, mean_f = smooth(source), smooth(images[0])
            var_x = np.maximum(smooth(source**2) - mean_x**2, 0)
            var_f = np.maximum(smooth(images[0] ** 2) - mean_f**2, 0)
            cov = smooth(source * images[0]) - mean_x * mean_f
            gain, noise = cov / (var_x + 1e-10), var_f - cov**2 / (var_x + 1e-10)
            gain[(var_x < 1e-10) | (var_f < 1e-10)] = 0
            noise[gain < 0], gain[gain < 0] = var_f[gain < 0], 0
            noise = np.maximum(noise, 1e-10)
            maps.append((gain, np.log10(1 + gain**2 * var_x / (noise + 325.125)), np.log10(1 + var_x / 325.125)))
        (gain_a, kept_a, there_a), (gain_b, kept_b, there_b) = maps
        pick = gain_a < gain_b
        kept, there = np.where(pick, kept_a, kept_b), np.where(pick, there_a, there_b)
        ratios.append((kept + 1e-7).sum() / (there + 1e-7).sum())
    return np.dot(ratios, [1, 0, 0.15, 1]) / 2.15


def as_levels(image):
    return (255 * image).round().numpy()


def test_golden(meets_golden):
    meets_golden("VIFF", viff, torch.float64, 1e-6)


@pytest.mark.usefixtures("without_float64")
def test_golden_in_float32(meets_golden):
    meets_golden("VIFF", viff, torch.float32, 1e-4)


def test_brute_force(images):
    f, a, b = (image[:, :1] for image in images)
    expected = [brute_force(*(as_levels(image[i, 0]) for image in (f, a, b))) for i in range(3)]
    torch.testing.assert_close(viff(f, a, b).tolist(), expected, rtol=1e-9, atol=0)


def test_perfect_fusion(images):
    fused, _, _ = images
    torch.testing.assert_close(viff(fused, fused, fused), torch.ones(3).double())


def test_blur_lowers_and_contrast_raises_the_score(images):
    _, a, b = images
    blurred = torch.nn.functional.avg_pool2d(a, 3, 1, 1)
    strong = (1.5 * (a - 0.5) + 0.5).clamp(0, 1)
    assert (viff(blurred, a, b) < viff(a, a, b)).all()
    assert (viff(strong, a, a) > 1).all()


@pytest.mark.parametrize(("size", "defined"), [((41, 41), True), ((40, 90), False), ((90, 40), False), ((1, 1), False)])
def test_smallest_size(size, defined):
    image = torch.rand(2, 1, *size, generator=torch.Generator().manual_seed(0))
    assert viff(image, image, image).isfinite().tolist() == [defined] * 2


def test_gradient_is_that_of_the_unrounded_score(images, monkeypatch):
    f, a, b = (image[:, :1] for image in images)
    f.requires_grad_()
    viff(f, a, b).sum().backward()

    monkeypatch.setattr("mfif.metrics.functional.gray._round", lambda pixels: pixels)
    direction = torch.randn(f.shape, generator=torch.Generator().manual_seed(1)).double()
    with torch.no_grad():
        slope = (viff(f + 1e-6 * direction, a, b) - viff(f - 1e-6 * direction, a, b)) / 2e-6
    torch.testing.assert_close((f.grad * direction).sum((1, 2, 3)), slope, rtol=1e-4, atol=1e-7)


def test_gradient_is_finite_in_flat_images(images):
    _, a, b = (image[:1] for image in images)
    f = torch.full_like(a, 0.5).requires_grad_()
    for source_a, source_b in ((a, b), (f.detach(), b), (f.detach(), f.detach())):
        (gradient,) = torch.autograd.grad(viff(f, source_a, source_b).sum(), f)
        assert gradient.isfinite().all()


def test_gradient_step_raises_the_score(images):
    _, a, b = images
    f = (0.5 * (a + b)).float().requires_grad_()
    before = viff(f, a, b)
    (gradient,) = torch.autograd.grad(before.sum(), f)
    assert gradient.dtype == torch.float32
    assert (viff(f + 2 / 255 * gradient.sign(), a, b) > before).all()
