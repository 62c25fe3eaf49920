import math

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d

from mfif.metrics.functional.precision import computing_in
from mfif.metrics.functional.q_y import q_y


def guarded(f, a, b):
    """Q_Y of three gray images (H, W), and whether a window is flat in two of them, at different levels.

    The reference's formula, but a variance of at most 1e-12 of the mean square is zero, and so is its covariance.
    """
    axis = np.exp(-(np.arange(-3, 4) ** 2) / 4.5)
    axis /= axis.sum()

    def mean(image):
        return correlate1d(correlate1d(image, axis, 0), axis, 1)[3:-3, 3:-3]

    mu = [mean(image) for image in (f, a, b)]
    square = [mean(image * image) for image in (f, a, b)]
    var = [np.where(s - m * m <= 1e-12 * s, 0, s - m * m) for s, m in zip(square, mu, strict=True)]

    def ssim(i, x, j, y):
        covariance = np.where((var[i] == 0) | (var[j] == 0), 0, mean(x * y) - mu[i] * mu[j])
        luminance = (2 * mu[i] * mu[j] + 2e-16) / (mu[i] ** 2 + mu[j] ** 2 + 2e-16)
        return luminance * (2 * covariance + 2e-16) / (var[i] + var[j] + 2e-16)

    def flat_apart(i, j):
        return ((var[i] == 0) & (var[j] == 0) & (np.abs(mu[i] - mu[j]) > 1e-6)).any()

    both_flat = var[1] + var[2] == 0
    share = np.where(both_flat, 0.5, var[1] / np.where(both_flat, 1, var[1] + var[2]))
    like_a, like_b = ssim(1, a, 0, f), ssim(2, b, 0, f)
    mixed = share * like_a + (1 - share) * like_b
    score = np.where(ssim(1, a, 2, b) >= 0.75, mixed, np.maximum(like_a, like_b)).mean()
    return score, flat_apart(0, 1) or flat_apart(0, 2) or flat_apart(1, 2)


def test_golden_where_it_is_no_noise_and_the_guarded_definition_everywhere(golden):
    wants = {}
    for metric in ("Q_Y", "zl_Q_Y"):  # zl is the same, NaN where both sources are flat
        for _, pair, method, want in golden.values(metric):
            wants.setdefault((pair, method), []).append(want)
    assert len(wants) == 67
    clean = 0
    for row, stored in wants.items():
        images = golden.images(*row, torch.uint8)
        score = q_y(*images, 255).item()
        expected, noise = guarded(*(image[0, 0].double().numpy() for image in images))
        assert score == pytest.approx(expected, rel=1e-6, abs=1e-9), row
        with computing_in(torch.float32):
            assert q_y(*images, 255).item() == pytest.approx(expected, rel=1e-4, abs=1e-9), row
        if not noise:
            clean += 1
            for want in stored:
                assert math.isnan(want) or score == pytest.approx(want, rel=1e-6, abs=1e-9), row
    assert clean == 47


def test_flat_windows_score_their_luminance():
    x, y, z = (torch.full((1, 1, 12, 13), level, dtype=torch.uint8) for level in (50, 128, 135))
    # Sources that are alike count half each, others by the closer one.
    like_y, like_z = (2 * 50 * level / (50**2 + level**2) for level in (128, 135))
    assert q_y(x, y, z, 255).item() == pytest.approx((like_y + like_z) / 2)
    assert q_y(y, x, y, 255).item() == pytest.approx(1)


def test_range(images):
    f, a, b = images
    torch.testing.assert_close(q_y(f, f, f), torch.ones(3).double())
    torch.testing.assert_close(q_y(f, a, b), q_y(f, b, a), rtol=1e-12, atol=0)
    assert (q_y(1 - f[:, :1], f[:, :1], f[:, :1]) < 0).all()


def test_the_closer_source_counts_alone_where_the_sources_differ(images):
    f = images[0][:, :1]
    torch.testing.assert_close(q_y(f, f, 1 - f), torch.ones(3).double())


def test_blur_and_noise_lower_the_score(images):
    _, a, b = images
    noise = 0.05 * torch.randn(a.shape, generator=torch.Generator().manual_seed(0))
    for worse in (torch.nn.functional.avg_pool2d(a, 3, 1, 1), (a + noise).clamp(0, 1)):
        assert (q_y(worse, a, b) < q_y(a, a, b)).all()


def test_gradient_is_finite_in_flat_images(images):
    _, a, b = (image[:1] for image in images)
    f = torch.full_like(a, 0.5).requires_grad_()
    for source_a, source_b in ((a, b), (f.detach(), b), (f.detach(), f.detach())):
        (gradient,) = torch.autograd.grad(q_y(f, source_a, source_b).sum(), f)
        assert gradient.isfinite().all()


def test_window_larger_than_the_image(images):
    small = images[0][..., :6]
    with pytest.raises(ValueError, match="Expected `fused` to be at least 7 pixels high and wide, got"):
        q_y(small, small, small)
