import math

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view

from mfif.metrics.functional.gray import gray8
from mfif.metrics.functional.precision import computing_in
from mfif.metrics.functional.q_c import q_c
from mfif.metrics.functional.shared_work import computing_once
from mfif.metrics.functional.window import gaussian_moments


def brute_force(f, a, b, variant):
    """Q_C of three gray images (H, W), window by window."""
    size = 8 if variant == "yl" else 7
    axis = np.ones(8) if variant == "yl" else np.exp(-(np.arange(-3, 4) ** 2) / 4.5)
    weights = np.outer(axis, axis) / axis.sum() ** 2
    views = [sliding_window_view(image, (size, size)) for image in (f, a, b)]
    scores = []
    for at in np.ndindex(views[0].shape[:2]):
        f, a, b = (view[at] for view in views)

        def covariance(x, y):
            apart = x - np.average(x, weights=weights), y - np.average(y, weights=weights)
            return 0.0 if np.ptp(x) == 0 or np.ptp(y) == 0 else np.average(apart[0] * apart[1], weights=weights)

        def ssim(x, y, covariance=covariance):
            mx, my = (np.average(z, weights=weights) for z in (x, y))
            luminance = (2 * mx * my + 2e-16) / (mx * mx + my * my + 2e-16)
            return luminance * (2 * covariance(x, y) + 2e-16) / (covariance(x, x) + covariance(y, y) + 2e-16)

        with_a, with_b = covariance(a, f), covariance(b, f)
        share = with_a / (with_a + with_b) if with_a or with_b else 0.5
        if variant == "zl" and not 0 <= share <= 1:
            scores.append(float(share > 1))
        else:
            share = min(max(share, 0), 1)
            scores.append(share * ssim(a, f) + (1 - share) * ssim(b, f))
    return np.mean(scores)


def test_golden(meets_golden):
    meets_golden("Q_C", q_c, torch.float64, 1e-6)


def test_golden_in_float32(meets_golden):
    with computing_in(torch.float32):
        meets_golden("Q_C", q_c, torch.float32, 1e-4)


def test_golden_of_the_toolbox_where_it_is_no_noise(golden):
    # In a window flat in one image, zl decides by the sign of rounding noise between a weight of 0 and a score of 0.
    compared = 0
    for _, pair, method, want in golden.values("zl_Q_C"):
        images = golden.images(pair, method, torch.uint8)
        with computing_once():
            score = q_c(*images, 255, variant="zl").item()
            moments = gaussian_moments(7, *(gray8(image, 255) for image in images))
        flat = any((moments.central[i, i] == 0).any() for i in range(3))
        opposite = (moments.central[0, 1] + moments.central[0, 2]).abs().min() < 1e-9
        if flat or opposite:
            continue
        compared += 1
        assert score == pytest.approx(want, rel=1e-6), (pair, method)
        with computing_in(torch.float32):
            assert q_c(*images, 255, variant="zl").item() == pytest.approx(want, rel=1e-4), (pair, method)
    assert compared == 21


@pytest.mark.parametrize("variant", ["yl", "zl"])
def test_brute_force(images, variant):
    f, a, b = (image[:1, :1, :24, :30].clone() for image in images)
    a[..., :12], b[..., 4:12], f[..., :4, :] = 0.5, 0.25, 0.75
    b[..., 20:] = 1 - f[..., 20:]  # covariances of either sign
    expected = brute_force(*((255 * x[0, 0]).round().numpy() for x in (f, a, b)), variant)
    torch.testing.assert_close(q_c(f, a, b, variant=variant).item(), expected, rtol=1e-9, atol=0)


@pytest.mark.parametrize("variant", ["yl", "zl"])
def test_range(images, variant):
    f, a, b = images
    torch.testing.assert_close(q_c(f, f, f, variant=variant), torch.ones(3).double())
    assert (q_c(f, a, b, variant=variant).abs() < 1).all()


def test_symmetric_in_the_sources(images):
    # Not so zl: a weight out of range sets the score to 0 on one side and to 1 on the other.
    f, a, b = images
    torch.testing.assert_close(q_c(f, a, b), q_c(f, b, a), rtol=1e-10, atol=0)


@pytest.mark.parametrize("variant", ["yl", "zl"])
def test_constant_images_have_a_score(images, variant):
    # Where zl itself gives NaN.
    f, a, b = (image[:1] for image in images)
    gray, black = torch.full_like(f, 0.5), torch.zeros_like(f)
    assert q_c(gray, a, b, variant=variant).abs() < 1e-12
    assert q_c(gray, gray, gray, variant=variant) == q_c(black, black, black, variant=variant) == 1
    levels = [torch.full((1, 1, 9, 9), level, dtype=torch.uint8) for level in (50, 128)]
    expected = 2 * 50 * 128 / (50**2 + 128**2)
    assert q_c(levels[0], levels[1], levels[1], 255, variant=variant).item() == pytest.approx(expected)


def test_opposite_covariances():
    # The weights are infinite: the source on the positive side counts alone, or the score is the limit it passes.
    generator = torch.Generator().manual_seed(0)
    f = torch.randint(0, 256, (1, 1, 8, 8), generator=generator, dtype=torch.uint8)
    assert q_c(f, f, 255 - f, 255).item() == pytest.approx(1)
    assert q_c(f, 255 - f, f, 255).item() == pytest.approx(1)
    assert not math.isnan(q_c(f, 255 - f, f, 255, variant="zl").item())


def test_gradient_is_finite(images):
    _, a, b = (image[:1] for image in images)
    flat = torch.full_like(a, 0.5)
    for f, source_a, source_b in ((a, a, 1 - a), (a, flat, b), (flat, a, b), (flat, flat, flat)):
        fused = f.clone().requires_grad_()
        for variant in ("yl", "zl"):
            (gradient,) = torch.autograd.grad(q_c(fused, source_a, source_b, variant=variant).sum(), fused)
            assert gradient.isfinite().all()


def test_errors(images):
    small = images[0][..., :7, :]
    with pytest.raises(ValueError, match="Expected `fused` to be at least 8 pixels high and wide, got"):
        q_c(small, small, small)
    assert q_c(small, small, small, variant="zl").shape == (3,)
    with pytest.raises(ValueError, match="Expected `variant` to be 'yl' or 'zl', got 'xl'"):
        q_c(*images, variant="xl")
