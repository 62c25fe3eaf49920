import numpy as np
import pytest
import torch

from mfif.metrics.functional import ag

CASES = [("AG", "yl", 67), ("vifb_AG", "vifb", 31), ("tang_AG", "vifb", 31)]


@pytest.mark.parametrize(("metric", "variant", "rows"), CASES)
def test_golden(meets_golden, metric, variant, rows):
    meets_golden(metric, lambda f, a, b: ag(f, variant=variant), torch.float64, 1e-6, rows)


@pytest.mark.usefixtures("without_float64")
@pytest.mark.parametrize(("metric", "variant", "rows"), CASES)
def test_golden_in_float32(meets_golden, metric, variant, rows):
    meets_golden(metric, lambda f, a, b: ag(f, variant=variant), torch.float32, 1e-4, rows)


def test_numpy():
    image = torch.randint(0, 256, (2, 1, 7, 5), generator=torch.Generator().manual_seed(0))
    for level, yl, vifb in zip(image[:, 0].double().numpy(), ag(image, 255), ag(image, 255, "vifb"), strict=True):
        dy, dx = np.diff(level, axis=0, append=level[-1:]), np.diff(level, axis=1, append=level[:, -1:])
        torch.testing.assert_close(yl.item(), np.sqrt((dx**2 + dy**2) / 2).mean())
        dy, dx = np.gradient(level)
        torch.testing.assert_close(vifb.item(), np.sqrt((dx**2 + dy**2) / 2).sum() / (6 * 4))


def test_ramp():
    ramp = 3 * torch.arange(8).expand(1, 1, 6, 8)
    torch.testing.assert_close(ag(ramp, 255).item(), 3 / 2**0.5 * 7 / 8)
    torch.testing.assert_close(ag(ramp, 255, "vifb").item(), 3 / 2**0.5 * 8 * 6 / (7 * 5))


@pytest.mark.parametrize("variant", ["yl", "vifb"])
def test_blur_lowers_and_noise_raises_the_score(images, variant):
    f, _, _ = images
    noise = torch.randn(f.shape, generator=torch.Generator().manual_seed(0)) / 10
    blurred = torch.nn.functional.avg_pool2d(f, 3, 1, 1, count_include_pad=False)
    assert (ag(blurred, variant=variant) < ag(f, variant=variant)).all()
    assert (ag(f + noise, variant=variant) > ag(f, variant=variant)).all()


def test_smallest_sizes():
    for size in ((1, 1), (1, 5), (5, 1)):
        assert ag(torch.ones(1, 1, *size)) == 0
        with pytest.raises(ValueError, match="Expected `fused` to be at least 2 pixels high and wide"):
            ag(torch.ones(1, 1, *size), variant="vifb")


def test_unknown_variant(images):
    with pytest.raises(ValueError, match="Expected `variant` to be 'yl' or 'vifb', got 'tang'"):
        ag(images[0], variant="tang")
