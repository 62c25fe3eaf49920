import numpy as np
import pytest
import torch
from scipy.signal import correlate2d

from mfif.metrics.functional.precision import computing_in
from mfif.metrics.functional.q_e import q_e

PREWITT = np.array([[-1, 0, 1]] * 3)


def score_and_wants(golden, dtype):
    """Our score of every golden row beside what Octave and, where it ran, MATLAB stored."""
    wants = {}
    for file, pair, method, want in golden.values("Q_E"):
        wants.setdefault((pair, method), {})[file] = want
    assert len(wants) == 67
    for row, want in wants.items():
        yield row, q_e(*golden.images(*row, dtype)).item(), want


def far(want, got, tolerance):
    scale = abs(want) if abs(want) > 1e-9 else 1.0
    return abs(got - want) > tolerance * scale


def test_golden(golden):
    for row, got, want in score_and_wants(golden, torch.float64):
        assert not far(want["golden.csv"], got, 1e-6), row
        # MATLAB splits windows of 8 x 8 by SVD, which leaves noise in flat ones: 1.1e-5 on the gray pair 05.
        assert not far(want.get("matlab.csv", got), got, 2e-5), row


def test_golden_in_float32(meets_golden):
    with computing_in(torch.float32):
        meets_golden("Q_E", q_e, torch.float32, 1e-4)


def test_brute_force(images, piella):
    def q_w(f, a, b):
        quality, saliency = piella(f, a, b, "yl")
        return np.average(quality, weights=saliency)

    def edges(image):
        return np.hypot(*(correlate2d(image, kernel, "same") for kernel in (PREWITT, PREWITT.T)))

    f, a, b = (image[:, :1].clone() for image in images)
    a[..., :20], b[..., 5:20] = 0.5, 0.25
    levels = [[(255 * x[i, 0]).round().numpy() for x in (f, a, b)] for i in range(3)]
    expected = [q_w(*triple) * q_w(*map(edges, triple)) for triple in levels]
    torch.testing.assert_close(q_e(f, a, b).tolist(), expected, rtol=1e-9, atol=0)


def test_range(images):
    f, a, b = images
    torch.testing.assert_close(q_e(f, f, f), torch.ones(3).double())
    torch.testing.assert_close(q_e(f, a, b), q_e(f, b, a), rtol=1e-12, atol=0)


def test_blur_lowers_the_score(images):
    _, a, b = images
    blurred = torch.nn.functional.avg_pool2d(a, 3, 1, 1)
    assert (q_e(blurred, a, b) < q_e(a, a, b)).all()


def test_gradient_is_finite_in_flat_images(images):
    _, a, b = (image[:1] for image in images)
    f = torch.full_like(a, 0.5).requires_grad_()
    for source_a, source_b in ((a, b), (f.detach(), b), (f.detach(), f.detach())):
        (gradient,) = torch.autograd.grad(q_e(f, source_a, source_b).sum(), f)
        assert gradient.isfinite().all()


def test_window_larger_than_the_image(images):
    small = images[0][..., :7]
    with pytest.raises(ValueError, match="Expected `fused` to be at least 8 pixels high and wide, got"):
        q_e(small, small, small)
