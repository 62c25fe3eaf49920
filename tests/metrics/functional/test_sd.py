from functools import partial

import numpy as np
import pytest
import torch

from mfif.metrics.functional import sd

CASES = [("SD", "yl", 67), ("vifb_SD", "vifb", 31), ("tang_SD", "vifb", 31)]


@pytest.mark.parametrize(("metric", "variant", "rows"), CASES)
def test_golden(meets_golden, metric, variant, rows):
    meets_golden(metric, lambda f, a, b: sd(f, variant=variant), torch.float64, 1e-6, rows)


@pytest.mark.usefixtures("without_float64")
@pytest.mark.parametrize(("metric", "variant", "rows"), CASES)
def test_golden_in_float32(meets_golden, metric, variant, rows):
    meets_golden(metric, lambda f, a, b: sd(f, variant=variant), torch.float32, 1e-4, rows)


@pytest.mark.parametrize("size", [(12, 9), (1, 9), (9, 1), (2, 2)])
def test_numpy(size):
    image = torch.randint(0, 256, (2, 1, *size), generator=torch.Generator().manual_seed(0))
    levels = image[:, 0].double().numpy()
    columns = levels if size[0] > 1 else levels.transpose(0, 2, 1)
    torch.testing.assert_close(sd(image, 255).tolist(), [np.std(x, axis=0, ddof=1).mean() for x in columns])
    torch.testing.assert_close(sd(image, 255, "vifb").tolist(), [np.std(x) for x in levels])


@pytest.mark.parametrize("score", [sd, partial(sd, variant="vifb")])
def test_grows_with_contrast(score):
    image = torch.randint(0, 85, (2, 1, 9, 8), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(score(3 * image, data_range=255), 3 * score(image, data_range=255))
    torch.testing.assert_close(score(image + 99, data_range=255), score(image, data_range=255))
    assert score(torch.full((1, 1, 9, 8), 0.7)) < 1e-12


def test_columns_of_one_level_each_are_flat_to_the_default():
    stripes = torch.tensor([0.0, 1.0]).expand(1, 1, 8, 2)
    assert sd(stripes) == 0
    assert sd(stripes, variant="vifb") == 127.5


def test_one_pixel():
    assert sd(torch.rand(1, 1, 1, 1)) == 0


def test_unknown_variant(images):
    with pytest.raises(ValueError, match="Expected `variant` to be 'yl' or 'vifb', got 'tang'"):
        sd(images[0], variant="tang")
