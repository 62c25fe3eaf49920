import math

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d

from mfif.metrics.functional.precision import computing_in
from mfif.metrics.functional.q_cv import q_cv

SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])


def brute_force(f, a, b):
    """Q_CV of three gray images (H, W), block by block."""
    f, a, b = (np.floor((x - x.min()) / (x.max() - x.min()) * 255 + 0.5) for x in (f, a, b))
    height, width = f.shape
    above = below = 0.0
    for source in (a, b):
        strength = np.hypot(correlate2d(source, SOBEL, "same"), correlate2d(source, SOBEL.T, "same"))
        v, u = (np.fft.fftfreq(size) * size / 4 for size in (height, width))
        r = 0.144 * np.hypot(v[:, None], u)
        visible = np.fft.ifft2(np.fft.fft2(source - f) * 2.6 * (0.0192 + r) * np.exp(-(r**1.1))).real
        for top in range(0, height, 16):
            for left in range(0, width, 16):
                block = np.s_[top : top + 16, left : left + 16]
                weight = (strength[block] ** 5).sum()
                above += weight * (visible[block] ** 2).sum() / 256
                below += weight
    return above / below


def test_golden(meets_golden):
    meets_golden("Q_CV", q_cv, torch.float64, 1e-6)


def test_golden_in_float32(meets_golden):
    with computing_in(torch.float32):
        meets_golden("Q_CV", q_cv, torch.float32, 1e-4)


@pytest.mark.parametrize("size", [(52, 47), (48, 32), (15, 33)])
def test_brute_force(images, size):
    f, a, b = (image[:, :1, : size[0], : size[1]] for image in images)
    expected = [brute_force(*((255 * x[i, 0]).round().numpy() for x in (f, a, b))) for i in range(3)]
    torch.testing.assert_close(q_cv(f, a, b).tolist(), expected, rtol=1e-9, atol=0)


def test_range(images):
    f, a, b = images
    assert (q_cv(f, f, f) == 0).all()
    assert (q_cv(f, a, b) > 0).all()
    torch.testing.assert_close(q_cv(f, a, b), q_cv(f, b, a), rtol=1e-12, atol=0)


def test_blur_and_noise_raise_the_score(images):
    a = images[1]
    noise = torch.randn(a.shape, generator=torch.Generator().manual_seed(0))
    blurred = [torch.nn.functional.avg_pool2d(a, size, 1, size // 2, count_include_pad=False) for size in (1, 3, 5)]
    noisy = [(a + strength * noise).clamp(0, 1) for strength in (0, 0.05, 0.1)]
    for worse in (blurred, noisy):
        scores = torch.stack([q_cv(image, a, a) for image in worse])
        assert (scores.diff(dim=0) > 0).all()


def test_constant_images(images):
    f, a, b = images
    gray, black = torch.full_like(f, 0.5), torch.zeros_like(f)
    for triple in ((gray, a, b), (f, gray, b), (f, a, gray), (gray, gray, gray), (black, black, black)):
        assert q_cv(*triple).isnan().all()
    assert (q_cv(black, a, b) > 0).all()
    assert (q_cv(f, black, b) > 0).all()


def test_one_constant_image_leaves_the_batch_alone(images):
    f, a, b = images
    spoiled = f.clone()
    spoiled[1] = 0.5
    score = q_cv(spoiled, a, b)
    assert score.isnan().tolist() == [False, True, False]
    torch.testing.assert_close(score[::2], q_cv(f, a, b)[::2], rtol=1e-12, atol=0)


def test_gradient_step_lowers_the_score(images):
    _, a, b = images
    f = (0.5 * (a + b)).requires_grad_()
    before = q_cv(f, a, b)
    (gradient,) = torch.autograd.grad(before.sum(), f)
    assert (q_cv(f - 1 / 255 * gradient.sign(), a, b) < before).all()


def test_gradient_is_finite_where_the_score_is(images):
    f, a, _ = (image.clone() for image in images)
    a[..., :20] = 0.5
    a.requires_grad_()
    (gradient,) = torch.autograd.grad(q_cv(f, a, torch.zeros_like(f)).sum(), a)
    assert gradient.isfinite().all()
    assert not math.isnan(gradient.sum())
