import numpy as np
import pytest
import torch

from mfif.metrics.functional import sf

CASES = [("SF", "yl", 67), ("vifb_SF", "yl", 31), ("tang_SF", "tang", 31)]


@pytest.mark.parametrize(("metric", "variant", "rows"), CASES)
def test_golden(meets_golden, metric, variant, rows):
    meets_golden(metric, lambda f, a, b: sf(f, variant=variant), torch.float64, 1e-6, rows)


@pytest.mark.usefixtures("without_float64")
@pytest.mark.parametrize(("metric", "variant", "rows"), CASES)
def test_golden_in_float32(meets_golden, metric, variant, rows):
    meets_golden(metric, lambda f, a, b: sf(f, variant=variant), torch.float32, 1e-4, rows)


def test_numpy():
    image = torch.randint(0, 256, (2, 1, 7, 5), generator=torch.Generator().manual_seed(0))
    for level, yl, tang in zip(image[:, 0].double().numpy(), sf(image, 255), sf(image, 255, "tang"), strict=True):
        down, across = (np.diff(level, axis=axis) ** 2 for axis in (0, 1))
        torch.testing.assert_close(yl.item(), np.sqrt((down.sum() + across.sum()) / 35))
        torch.testing.assert_close(tang.item(), np.sqrt(down.mean() + across.mean()))


def test_checkerboard():
    board = (torch.arange(8).unsqueeze(1) + torch.arange(6)) % 2
    torch.testing.assert_close(sf(board.expand(1, 1, 8, 6) * 10, 255, "tang").item(), 10 * 2**0.5)


@pytest.mark.parametrize("variant", ["yl", "tang"])
def test_blur_lowers_and_noise_raises_the_score(images, variant):
    f, _, _ = images
    noise = torch.randn(f.shape, generator=torch.Generator().manual_seed(0)) / 10
    blurred = torch.nn.functional.avg_pool2d(f, 3, 1, 1, count_include_pad=False)
    assert (sf(blurred, variant=variant) < sf(f, variant=variant)).all()
    assert (sf(f + noise, variant=variant) > sf(f, variant=variant)).all()


def test_smallest_sizes():
    for size in ((1, 1), (1, 5), (5, 1)):
        assert sf(torch.ones(1, 1, *size)) == 0
        with pytest.raises(ValueError, match="Expected `fused` to be at least 2 pixels high and wide"):
            sf(torch.ones(1, 1, *size), variant="tang")


def test_unknown_variant(images):
    with pytest.raises(ValueError, match="Expected `variant` to be 'yl' or 'tang', got 'vifb'"):
        sf(images[0], variant="vifb")
