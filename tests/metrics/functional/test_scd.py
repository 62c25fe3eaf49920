from functools import partial

import numpy as np
import pytest
import torch

from mfif.metrics.functional import scd


def test_golden(meets_golden):
    meets_golden("SCD", scd, torch.float64, 1e-6)
    meets_golden("tang_SCD", partial(scd, variant="tang"), torch.float64, 1e-6, rows=31)


@pytest.mark.usefixtures("without_float64")
def test_golden_in_float32(meets_golden):
    meets_golden("SCD", scd, torch.float32, 1e-4)
    meets_golden("tang_SCD", partial(scd, variant="tang"), torch.float32, 1e-4, rows=31)


def test_numpy(images):
    f, a, b = (image[:, :1] for image in images)
    rows = [[(255 * x[i]).round().flatten().numpy() for x in (f, a, b)] for i in range(3)]
    expected = [np.corrcoef(f - b, a)[0, 1] + np.corrcoef(f - a, b)[0, 1] for f, a, b in rows]
    torch.testing.assert_close(scd(f, a, b).tolist(), expected, rtol=1e-10, atol=0)


def test_bounds():
    a, b = torch.randint(0, 128, (2, 3, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(scd(a + b, a, b, 255), torch.full((3,), 2.0).double())
    torch.testing.assert_close(scd(torch.zeros_like(a), a, 127 - a, 255), torch.full((3,), 2.0).double())
    torch.testing.assert_close(scd(torch.zeros_like(a), a, a, 255), torch.full((3,), -2.0).double())


@pytest.mark.parametrize("shift", [0, 7])  # a constant difference, zero or not
def test_fused_equal_to_a_source(shift):
    a, b = torch.randint(0, 200, (2, 1, 1, 9, 8), generator=torch.Generator().manual_seed(0))
    expected = np.corrcoef((a - b).flatten(), a.flatten())[0, 1]
    torch.testing.assert_close(scd(a + shift, a, b, 255).item(), expected)
    assert scd(a + shift, a, a, 255) == 0
    assert scd(a + shift, a, b, 255, variant="tang").isnan()


def test_a_constant_source_has_no_score(images):
    f, a, b = images
    flat = torch.full_like(a, 0.5)
    assert scd(f, flat, b).isnan().all()
    assert scd(f, a, flat).isnan().all()
    assert scd(flat, a, b).isfinite().all()


def test_unknown_variant(images):
    with pytest.raises(ValueError, match="Expected `variant` to be 'yl' or 'tang', got 'zl'"):
        scd(*images, variant="zl")
