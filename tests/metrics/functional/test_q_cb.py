import numpy as np
import pytest
import torch
from scipy.signal import correlate2d

from mfif.metrics.functional.precision import computing_in
from mfif.metrics.functional.q_cb import q_cb


def brute_force(f, a, b):
    """Q_CB of three gray images (H, W), with two-dimensional windows."""
    grid = np.arange(-15, 16)
    narrow, wide = (np.exp(-(grid[:, None] ** 2 + grid**2) / (2 * s * s)) / (2 * np.pi * s * s) for s in (2, 4))

    def masked(x):
        x = np.floor((x - x.min()) / (x.max() - x.min()) * 255 + 0.5)
        v, u = (np.fft.fftfreq(size) * size / 15 for size in x.shape)
        r = np.hypot(v[:, None], u)
        response = np.exp(-((r / 15.387) ** 2)) - 0.7622 * np.exp(-((r / 1.3456) ** 2))
        seen = np.fft.ifft2(np.fft.fft2(x) * response).real
        contrast = np.abs(correlate2d(seen, narrow, "same") / correlate2d(seen, wide, "same") - 1)
        return contrast**3 / (contrast**2 + 1e-4)

    f, a, b = map(masked, (f, a, b))
    kept = [np.where(x < f, x / f, f / x) for x in (a, b)]
    return ((a**2 * kept[0] + b**2 * kept[1]) / (a**2 + b**2)).mean()


def test_golden(meets_golden):
    meets_golden("Q_CB", q_cb, torch.float64, 1e-6)


def test_golden_in_float32(golden):
    for file, pair, method, want in golden.values("Q_CB"):
        if file != "golden.csv":
            continue
        with computing_in(torch.float32):
            score = q_cb(*golden.images(pair, method, torch.float32)).item()
        # On the checkerboard, the wide windows' missing tails are all the contrast there is, 2e-4, and its cube is
        # compared: rounding to float32 costs 2.3e-4 of the score (rounding to float64 1e-11 already).
        tolerance = 5e-4 if pair == "e_checker" else 1e-4
        assert score == pytest.approx(want, rel=tolerance, nan_ok=True), (pair, method)


@pytest.mark.parametrize("size", [(52, 47), (40, 30), (9, 33)])
def test_brute_force(images, size):
    f, a, b = (image[:, :1, : size[0], : size[1]] for image in images)
    expected = [brute_force(*((255 * x[i, 0]).round().numpy() for x in (f, a, b))) for i in range(3)]
    torch.testing.assert_close(q_cb(f, a, b).tolist(), expected, rtol=1e-8, atol=0)


def test_range(images):
    f, a, b = images
    torch.testing.assert_close(q_cb(f, f, f), torch.ones(3).double(), rtol=1e-12, atol=0)
    assert ((q_cb(f, a, b) > 0) & (q_cb(f, a, b) < 1)).all()
    torch.testing.assert_close(q_cb(f, a, b), q_cb(f, b, a), rtol=1e-12, atol=0)


def test_blur_lowers_the_score(images):
    a = images[1]
    blurred = [torch.nn.functional.avg_pool2d(a, size, 1, size // 2, count_include_pad=False) for size in (1, 5, 9)]
    scores = torch.stack([q_cb(image, a, a) for image in blurred])
    assert (scores.diff(dim=0) < 0).all()


def test_constant_images_have_no_score(images):
    f, a, b = images
    gray, black = torch.full_like(f, 0.5), torch.zeros_like(f)
    for triple in ((gray, a, b), (f, gray, b), (f, a, gray), (black, a, b), (f, black, b), (black, black, black)):
        assert q_cb(*triple).isnan().all()


def test_one_constant_image_leaves_the_batch_alone(images):
    f, a, b = images
    spoiled = f.clone()
    spoiled[1] = 0.5
    score = q_cb(spoiled, a, b)
    assert score.isnan().tolist() == [False, True, False]
    torch.testing.assert_close(score[::2], q_cb(f, a, b)[::2], rtol=1e-12, atol=0)


def test_gradient_is_finite(images):
    f, a, b = images
    f.requires_grad_()
    (gradient,) = torch.autograd.grad(q_cb(f, a, b).sum(), f)
    assert gradient.isfinite().all()
    assert gradient.any()
