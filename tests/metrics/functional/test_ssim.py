import pytest
import torch
from skimage.metrics import structural_similarity

from mfif.metrics.functional.gray import gray8
from mfif.metrics.functional.precision import computing_in
from mfif.metrics.functional.ssim import ssim


def test_golden(meets_golden):
    meets_golden("SSIM_AF", lambda f, a, b: ssim(f, a), torch.float64, 1e-6)


def test_golden_in_float32(meets_golden):
    with computing_in(torch.float32):
        meets_golden("SSIM_AF", lambda f, a, b: ssim(f, a), torch.float32, 1e-4)


def test_skimage(images):
    fused, sharp, _ = images
    expected = [
        structural_similarity(
            x.numpy(), y.numpy(), data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        for x, y in zip(gray8(fused), gray8(sharp), strict=True)
    ]
    torch.testing.assert_close(ssim(fused, sharp).tolist(), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("levels", [(0, 255), (50, 200), (127, 128), (7, 7)])
def test_closed_form_of_flat_images(levels):
    x, y = levels
    flat = [torch.full((1, 1, 12, 13), level, dtype=torch.uint8) for level in levels]
    expected = (2 * x * y + 6.5025) / (x * x + y * y + 6.5025)
    torch.testing.assert_close(ssim(*flat, 255).item(), expected, rtol=1e-12, atol=0)


def test_symmetric_and_one_for_equal_images(images):
    fused, sharp, _ = images
    torch.testing.assert_close(ssim(fused, sharp), ssim(sharp, fused), rtol=1e-12, atol=0)
    torch.testing.assert_close(ssim(fused, fused), torch.ones(3).double(), rtol=1e-12, atol=0)


def test_blur_and_noise_lower_the_score(images):
    sharp = images[0]
    noise = torch.randn(sharp.shape, generator=torch.Generator().manual_seed(0))
    blurred = [torch.nn.functional.avg_pool2d(sharp, size, 1, size // 2) for size in (1, 3, 5)]
    noisy = [(sharp + strength * noise).clamp(0, 1) for strength in (0, 0.02, 0.05)]
    for worse in (blurred, noisy):
        scores = torch.stack([ssim(image, sharp) for image in worse])
        assert (scores.diff(dim=0) < 0).all()


def test_gradient_step_raises_the_score(images):
    _, fused, sharp = images
    fused = fused.float().requires_grad_()
    before = ssim(fused, sharp.float())
    (gradient,) = torch.autograd.grad(before.sum(), fused)
    assert (ssim(fused + 2 / 255 * gradient.sign(), sharp.float()) > before).all()


def test_errors(images):
    fused, sharp, _ = images
    with pytest.raises(ValueError, match="Expected `fused` to be at least 11 pixels high and wide, got"):
        ssim(fused[..., :10], sharp[..., :10])
    with pytest.raises(ValueError, match="Expected `sharp` to have the shape of `fused`"):
        ssim(fused, sharp[1:])
