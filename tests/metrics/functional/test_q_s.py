import pytest
import torch

from mfif.metrics.functional.precision import computing_in
from mfif.metrics.functional.q_s import q_s


@pytest.mark.parametrize(("metric", "variant"), [("Q_S", "yl"), ("zl_Q_S", "zl")])
def test_golden(meets_golden, metric, variant):
    meets_golden(metric, lambda f, a, b: q_s(f, a, b, variant=variant), torch.float64, 1e-6)


@pytest.mark.parametrize(("metric", "variant"), [("Q_S", "yl"), ("zl_Q_S", "zl")])
def test_golden_in_float32(meets_golden, metric, variant):
    with computing_in(torch.float32):
        meets_golden(metric, lambda f, a, b: q_s(f, a, b, variant=variant), torch.float32, 1e-4)


@pytest.mark.parametrize("variant", ["yl", "zl"])
def test_brute_force(images, variant, piella):
    f, a, b = (image[:, :1].clone() for image in images)
    a[..., :20], b[..., 10:20] = 0.5, 0.25  # windows flat in one source, and in both
    expected = [piella(*((255 * x[i, 0]).round().numpy() for x in (f, a, b)), variant)[0].mean() for i in range(3)]
    torch.testing.assert_close(q_s(f, a, b, variant=variant).tolist(), expected, rtol=1e-9, atol=0)


@pytest.mark.parametrize("variant", ["yl", "zl"])
def test_range(images, variant):
    f, a, b = (image[:, :1] for image in images)
    torch.testing.assert_close(q_s(f, f, f, variant=variant), torch.ones(3).double())
    torch.testing.assert_close(q_s(f, a, b, variant=variant), q_s(f, b, a, variant=variant), rtol=1e-12, atol=0)
    assert (q_s(1 - f, f, f, variant=variant) < -0.5).all()


def test_blur_and_noise_lower_the_score(images):
    _, a, _ = (image[:, :1] for image in images)
    noise = torch.randn(a.shape, generator=torch.Generator().manual_seed(0))
    blurred = [torch.nn.functional.avg_pool2d(a, size, 1, size // 2, count_include_pad=False) for size in (1, 3, 5)]
    noisy = [(a + strength * noise).clamp(0, 1) for strength in (0, 0.02, 0.05)]
    for worse in (blurred, noisy):
        scores = torch.stack([q_s(image, a, a) for image in worse])
        assert (scores.diff(dim=0) < 0).all()


@pytest.mark.parametrize(("variant", "window"), [("yl", 8), ("zl", 11)])
def test_smallest_size(variant, window):
    image = torch.rand(2, 1, window, window + 1, generator=torch.Generator().manual_seed(0))
    assert q_s(image, image, image, variant=variant).shape == (2,)
    small = image[..., 1:, :]
    with pytest.raises(ValueError, match=f"Expected `fused` to be at least {window} pixels high and wide, got"):
        q_s(small, small, small, variant=variant)


def test_unknown_variant(images):
    with pytest.raises(ValueError, match="Expected `variant` to be 'yl' or 'zl', got 'xl'"):
        q_s(*images, variant="xl")
