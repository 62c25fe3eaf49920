import pytest
import torch
from skimage.metrics import structural_similarity

from mfif.metrics.functional import source_ssim
from mfif.metrics.functional.gray import gray8


def test_golden(meets_golden):
    meets_golden("vifb_SSIM", source_ssim, torch.float64, 1e-6, rows=31)


@pytest.mark.usefixtures("without_float64")
def test_golden_in_float32(meets_golden):
    meets_golden("vifb_SSIM", source_ssim, torch.float32, 1e-4, rows=31)


def test_skimage(images):
    options = {"data_range": 255, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    grays = (gray8(image).numpy() for image in images)
    expected = [sum(structural_similarity(f, x, **options) for x in (a, b)) for f, a, b in zip(*grays, strict=True)]
    torch.testing.assert_close(source_ssim(*images).tolist(), expected, rtol=1e-12, atol=0)


def test_too_small():
    with pytest.raises(ValueError, match=r"Expected `fused` to be at least 11 pixels high and wide, got \(10, 11\)"):
        source_ssim(*torch.rand(3, 1, 1, 10, 11))
