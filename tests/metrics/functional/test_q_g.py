import math

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d

from mfif.metrics.functional import q_g

SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])


def brute_force(f, a, b, variant):
    """Q_G of three gray images (H, W), pixel by pixel."""

    def edges(image):
        gx, gy = (correlate2d(image, kernel, "same", fillvalue=0) for kernel in (SOBEL, SOBEL.T))
        return np.hypot(gx, gy), np.arctan(gy / np.where(gx == 0, 1e-5, gx))

    def logistic(x, gain, slope, center):
        return gain / (1 + math.exp(-slope * (x - center)))

    (gf, of), (ga, oa), (gb, ob) = edges(f), edges(a), edges(b)
    above, below = [], []
    for at in np.ndindex(f.shape):
        top = bottom = 0.0
        for strength, angle, second in ((ga[at], oa[at], False), (gb[at], ob[at], True)):
            weight = strength or 1e-5
            reached = gf[at] or (1e-5 if second or strength == 0 else 0.0)
            ratio = min(weight, reached) / max(weight, reached)
            apart = abs(angle - of[at]) * 2 / math.pi
            if variant == "zl":
                quality = logistic(ratio, 1, 10, 0.5) * logistic(abs(apart - 1), 1, 20, 0.75)
            else:
                quality = logistic(ratio, 0.9994, 15, 0.5) * logistic(1 - apart, 0.9879, 22, 0.8)
            top += quality * weight
            bottom += weight
        above.append(top)
        below.append(bottom)
    return np.mean(np.divide(above, below)) if variant == "zl" else sum(above) / sum(below)


@pytest.mark.parametrize(("metric", "variant"), [("zl_Q_G", "zl"), ("Q_G", "yl")])
def test_golden(meets_golden, metric, variant):
    meets_golden(metric, lambda f, a, b: q_g(f, a, b, variant=variant), torch.float64, 1e-6)


@pytest.mark.usefixtures("without_float64")
@pytest.mark.parametrize(("metric", "variant"), [("zl_Q_G", "zl"), ("Q_G", "yl")])
def test_golden_in_float32(meets_golden, metric, variant):
    meets_golden(metric, lambda f, a, b: q_g(f, a, b, variant=variant), torch.float32, 1e-4)


@pytest.mark.parametrize("variant", ["zl", "yl"])
@pytest.mark.parametrize("levels", [2, 256])  # two levels: many flat pixels and ties
def test_brute_force(levels, variant):
    generator = torch.Generator().manual_seed(levels)
    f, a, b = torch.randint(0, levels, (3, 1, 1, 9, 12), generator=generator).double()
    f[..., 4:, :6] = 1
    expected = brute_force(*(image[0, 0].numpy() for image in (f, a, b)), variant)
    torch.testing.assert_close(q_g(f, a, b, 255, variant).item(), expected, rtol=1e-10, atol=0)


@pytest.mark.parametrize(("variant", "best"), [("zl", 0.98666), ("yl", 0.97479)])
def test_perfect_fusion(images, variant, best):
    fused, _, _ = images
    for image in (fused, torch.full_like(fused, 0.5), torch.zeros_like(fused)):
        torch.testing.assert_close(
            q_g(image, image, image, variant=variant), torch.full((3,), best).double(), rtol=0, atol=5e-6
        )


@pytest.mark.parametrize("variant", ["zl", "yl"])
def test_blur_lowers_the_score(images, variant):
    _, a, b = images
    blurred = torch.nn.functional.avg_pool2d(a, 3, 1, 1)
    assert (q_g(blurred, a, b, variant=variant) < q_g(a, a, b, variant=variant)).all()


def test_unknown_variant(images):
    with pytest.raises(ValueError, match="Expected `variant` to be 'zl' or 'yl', got 'xl'"):
        q_g(*images, variant="xl")
