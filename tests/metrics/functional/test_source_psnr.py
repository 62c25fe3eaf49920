import math

import pytest
import torch

from mfif.metrics.functional import psnr, source_psnr
from mfif.metrics.functional.gray import gray8


def test_golden(meets_golden):
    meets_golden("vifb_PSNR", source_psnr, torch.float64, 1e-6, rows=31)


@pytest.mark.usefixtures("without_float64")
def test_golden_in_float32(meets_golden):
    meets_golden("vifb_PSNR", source_psnr, torch.float32, 1e-4, rows=31)


@pytest.mark.parametrize("variant", ["vifb", "published"])
def test_closed_form(variant):
    f, a, b = (torch.full((1, 1, 4, 5), level, dtype=torch.uint8) for level in (100, 103, 96))
    mean = (9 + 16) / 2 if variant == "published" else (3 + 4) / 2 / math.sqrt(20)
    expected = 10 * math.log10(255**2 / mean)
    torch.testing.assert_close(source_psnr(f, a, b, 255, variant).item(), expected, rtol=1e-12, atol=0)


def test_of_one_source_twice_is_psnr(images):
    fused, a, _ = (gray8(image)[:, None] for image in images)
    torch.testing.assert_close(source_psnr(fused, a, a, 255, "published"), psnr(fused, a, 255), rtol=1e-6, atol=0)


def test_unknown_variant(images):
    with pytest.raises(ValueError, match="Expected `variant` to be 'vifb' or 'published', got 'yl'"):
        source_psnr(*images, variant="yl")
