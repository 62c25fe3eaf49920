import numpy as np
import pytest
import torch

from mfif.metrics.functional.precision import computing_in
from mfif.metrics.functional.q_w import q_w

# zl's Gaussian windows leave rounding noise as the variance of flat ones, which then weigh nothing, or exactly zero,
# which it lifts to 0.5: on the gray pair 05 this is worth 1.0e-6.
CASES = [("Q_W", "yl", 1e-6), ("zl_Q_W", "zl", 2e-6)]


@pytest.mark.parametrize(("metric", "variant", "tolerance"), CASES)
def test_golden(meets_golden, metric, variant, tolerance):
    meets_golden(metric, lambda f, a, b: q_w(f, a, b, variant=variant), torch.float64, tolerance)


@pytest.mark.parametrize(("metric", "variant"), [("Q_W", "yl"), ("zl_Q_W", "zl")])
def test_golden_in_float32(meets_golden, metric, variant):
    with computing_in(torch.float32):
        meets_golden(metric, lambda f, a, b: q_w(f, a, b, variant=variant), torch.float32, 1e-4)


@pytest.mark.parametrize("variant", ["yl", "zl"])
def test_brute_force(images, variant, piella):
    f, a, b = (image[:, :1].clone() for image in images)
    a[..., :20], b[..., 5:20] = 0.5, 0.25
    local = [piella(*((255 * x[i, 0]).round().numpy() for x in (f, a, b)), variant) for i in range(3)]
    expected = [np.average(quality, weights=saliency) for quality, saliency in local]
    torch.testing.assert_close(q_w(f, a, b, variant=variant).tolist(), expected, rtol=1e-9, atol=0)


@pytest.mark.parametrize("variant", ["yl", "zl"])
def test_range(images, variant):
    f, a, b = (image[:, :1] for image in images)
    torch.testing.assert_close(q_w(f, f, f, variant=variant), torch.ones(3).double())
    torch.testing.assert_close(q_w(f, a, b, variant=variant), q_w(f, b, a, variant=variant), rtol=1e-12, atol=0)
    assert (q_w(1 - f, f, f, variant=variant) < -0.5).all()


def test_lively_windows_count_more(images):
    f, _, _ = (image[:, :1] for image in images)
    source = f.clone()
    source[..., 24:] = 0.5 + 0.02 * (source[..., 24:] - 0.5)  # one half nearly flat
    spoiled_lively, spoiled_flat = source.clone(), source.clone()
    spoiled_lively[..., :23] = 1 - source[..., :23]
    spoiled_flat[..., 24:] = 1 - source[..., 24:]
    assert (q_w(spoiled_flat, source, source) > 0.8).all()
    assert (q_w(spoiled_lively, source, source) < 0).all()


def test_errors(images):
    small = images[0][..., :7]
    with pytest.raises(ValueError, match="Expected `fused` to be at least 8 pixels high and wide, got"):
        q_w(small, small, small)
    with pytest.raises(ValueError, match="Expected `variant` to be 'yl' or 'zl', got 'xl'"):
        q_w(*images, variant="xl")
