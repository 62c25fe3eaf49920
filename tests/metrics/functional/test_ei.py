import numpy as np
import pytest
import torch
from scipy.ndimage import sobel

from mfif.metrics.functional import ei


@pytest.mark.parametrize(("metric", "rows"), [("EI", 67), ("vifb_EI", 31)])
def test_golden(meets_golden, metric, rows):
    meets_golden(metric, lambda f, a, b: ei(f), torch.float64, 1e-6, rows)


@pytest.mark.usefixtures("without_float64")
@pytest.mark.parametrize(("metric", "rows"), [("EI", 67), ("vifb_EI", 31)])
def test_golden_in_float32(meets_golden, metric, rows):
    meets_golden(metric, lambda f, a, b: ei(f), torch.float32, 1e-4, rows)


def test_scipy():
    image = torch.randint(0, 256, (2, 1, 7, 5), generator=torch.Generator().manual_seed(0))
    levels = image[:, 0].double().numpy()
    expected = [np.hypot(*(sobel(x, axis, mode="nearest") for axis in (0, 1))).mean() for x in levels]
    torch.testing.assert_close(ei(image, 255).tolist(), expected)


def test_ramp():
    ramp = 3 * torch.arange(8).expand(1, 1, 6, 8)
    torch.testing.assert_close(ei(ramp, 255).item(), 3 * 8 * 7 / 8)  # half as strong in the first and last column


def test_blur_lowers_and_noise_raises_the_score(images):
    f, _, _ = images
    noise = torch.randn(f.shape, generator=torch.Generator().manual_seed(0)) / 10
    blurred = torch.nn.functional.avg_pool2d(f, 3, 1, 1, count_include_pad=False)
    assert (ei(blurred) < ei(f)).all()
    assert (ei(f + noise) > ei(f)).all()


def test_flat_images():
    assert (ei(torch.tensor([0.0, 0.5, 1.0]).view(3, 1, 1, 1).expand(3, 1, 4, 5)) == 0).all()
    assert ei(torch.rand(1, 1, 1, 1)) == 0
