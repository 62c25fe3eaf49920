import math
import sys
from functools import partial

import numpy as np
import pytest
import torch
from scipy.fft import dctn

from mfif.metrics.functional import fmi

# Coefficients that are zero but for rounding, which every window then stretches to 0..1.
NOISE = {("FMI_dct", "e_checker4b")}


def brute_force(f, a, b):
    """FMI of three features (H, W), window by window and cell by cell."""

    def scale(window):
        low, high = window.min(), window.max()
        return np.ones(9) if low == high else (window - low) / (high - low)

    def entropy(share):
        return -sum(p * math.log2(abs(p)) for p in np.ravel(share) if p != 0)

    def share_information(x, y):
        if np.ptp(x) == 0 and np.ptp(y) == 0:
            return 1.0
        p, q = x / x.sum(), y / y.sum()
        places = np.arange(9)
        spread = [math.sqrt((s * places**2).sum() - (s * places).sum() ** 2) for s in (p, q)]
        c = 0.0 if np.ptp(x) == 0 or np.ptp(y) == 0 else np.corrcoef(p, q)[0, 1]
        until_p, until_q = np.cumsum(p), np.cumsum(q)
        bound, covariance = np.zeros((10, 10)), 0.0
        for i, j in np.ndindex(9, 9):
            u, v = until_p[i], until_q[j]
            bound[i + 1, j + 1] = min(u, v) if c >= 0 else max(u + v - 1, 0)
            covariance += bound[i + 1, j + 1] - u * v
        mixing = c / (covariance / (spread[0] * spread[1])) if c and all(spread) else 0.0
        mass = np.diff(np.diff(bound, axis=0), axis=1)
        shared = entropy(p) + entropy(q) - entropy(mixing * mass + (1 - mixing) * np.outer(p, q))
        return 2 * shared / (entropy(p) + entropy(q)) if shared else 0.0

    scores = []
    for y, x in np.ndindex(f.shape[0] - 2, f.shape[1] - 2):
        wf, wa, wb = (image[y : y + 3, x : x + 3].ravel(order="F") for image in (f, a, b))
        if (wf == wa).all():
            scores.append(1.0)
        else:
            scores.append(share_information(scale(wa), scale(wf)))
            wf = scale(wf)
        scores.append(1.0 if (wf == wb).all() else share_information(scale(wb), scale(wf)))
    return np.mean(scores)


@pytest.fixture
def close_to_golden(golden):
    def check(feature, dtype, tolerance):
        rows = golden.values(f"FMI_{feature}")
        assert len(rows) == (7 if feature == "pixel" else 5)
        for _, pair, method, want in rows:
            got = fmi(*golden.images(pair, method, dtype), feature=feature).item()
            assert got == pytest.approx(want, rel=0.03 if (f"FMI_{feature}", pair) in NOISE else tolerance), pair

    return check


@pytest.mark.parametrize("feature", ["pixel", "gradient", "dct"])
def test_golden(close_to_golden, feature):
    close_to_golden(feature, torch.float64, 1e-6)


@pytest.mark.usefixtures("without_float64")
@pytest.mark.parametrize("feature", ["pixel", "gradient", "dct"])
def test_golden_in_float32(close_to_golden, feature):
    close_to_golden(feature, torch.float32, 1e-4)


@pytest.mark.parametrize("levels", [2, 4, 256])  # few levels: flat windows, single pixels, equal windows
@pytest.mark.parametrize("feature", ["pixel", "gradient", "dct"])
def test_brute_force(levels, feature):
    f, a, b = torch.randint(0, levels, (3, 2, 1, 9, 12), generator=torch.Generator().manual_seed(levels))
    f[..., :6] = a[..., :6]
    f[0, 0, 4:, 3:] = 5
    f[1, 0, :, 6:] = b[1, 0, :, 6:]
    extract = {
        "pixel": lambda image: image,
        "gradient": lambda image: np.gradient(image, axis=1),
        "dct": partial(dctn, norm="ortho"),
    }[feature]
    expected = [brute_force(*(extract(image[i, 0].double().numpy()) for image in (f, a, b))) for i in range(2)]
    torch.testing.assert_close(fmi(f, a, b, 255, feature).tolist(), expected, rtol=1e-9, atol=0)


def test_perfect_fusion(images):
    fused, _, _ = images
    for feature in ("pixel", "gradient", "dct"):
        torch.testing.assert_close(fmi(fused, fused, fused, feature=feature), torch.ones(3).double())


def test_copying_the_second_source_counts_only_where_the_first_agrees():
    a, b = torch.randint(2, 256, (2, 1, 1, 9, 9), generator=torch.Generator().manual_seed(0))
    assert fmi(b, a, b, 255) < fmi(b, b, b, 255)
    assert fmi(b, a, b, 255) > fmi(255 - b, a, b, 255)


def test_noise_lowers_the_score(images):
    f, a, b = images
    noise = torch.randn(f.shape, generator=torch.Generator().manual_seed(0)) / 10
    for feature in ("pixel", "gradient", "dct"):
        assert (fmi(f + noise, a, b, feature=feature) < fmi(f, a, b, feature=feature)).all()


def test_flat_images():
    levels = torch.tensor([0.0, 0.5]).view(2, 1, 1, 1, 1).expand(2, 1, 1, 5, 6)
    for f, a, b in ((0, 0, 0), (0, 1, 1), (1, 0, 1)):
        assert fmi(levels[f], levels[a], levels[b]) == 1


def test_more_windows_than_are_taken_at_a_time(images, monkeypatch):
    whole = fmi(*images)
    monkeypatch.setattr(sys.modules["mfif.metrics.functional.fmi"], "_AT_A_TIME", 1000)
    torch.testing.assert_close(fmi(*images), whole, rtol=1e-12, atol=0)


def test_errors(images):
    with pytest.raises(ValueError, match="Expected `feature` to be 'pixel' or 'gradient' or 'dct', got 'edge'"):
        fmi(*images, feature="edge")
    with pytest.raises(ValueError, match=r"Expected `fused` to be at least 3 pixels high and wide, got \(2, 47\)"):
        fmi(*(image[..., :2, :] for image in images))
