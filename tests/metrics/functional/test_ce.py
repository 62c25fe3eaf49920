import math
from collections import Counter

import pytest
import torch

from mfif.metrics.functional import ce


def brute_force(f, a, b):
    """CE of three flat lists of gray levels."""
    of_f = Counter(f)
    return sum(
        n / len(f) * math.log2(n / of_f[level])
        for source in (a, b)
        for level, n in Counter(source).items()
        if level in of_f
    ) / 2  # fmt: skip


def test_golden(meets_golden):
    meets_golden("vifb_CE", ce, torch.float64, 1e-6, rows=31)


@pytest.mark.usefixtures("without_float64")
def test_golden_in_float32(meets_golden):
    meets_golden("vifb_CE", ce, torch.float32, 1e-4, rows=31)


def test_brute_force():
    f, a, b = torch.randint(0, 6, (3, 4, 1, 5, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8) * 40
    expected = [brute_force(*(x[i].flatten().tolist() for x in (f, a, b))) for i in range(4)]
    torch.testing.assert_close(ce(f, a, b, 255).tolist(), expected)


def test_only_the_histogram_counts(images):
    fused, _, _ = images
    assert (ce(fused.flip(2), fused, fused.flip(3)) == 0).all()


@pytest.mark.parametrize("white", [1, 16, 63])
def test_two_levels(white):
    image, half = torch.zeros(2, 1, 1, 8, 8)
    image.flatten()[:white] = 1
    half[..., :4] = 1
    share = white / 64
    expected = sum(p * math.log2(2 * p) for p in (share, 1 - share))
    torch.testing.assert_close(ce(half, image, image).item(), expected)
    torch.testing.assert_close(ce(half, image, half).item(), expected / 2)


def test_levels_the_fused_image_lacks_are_left_out():
    a = torch.tensor([0, 0, 0, 9], dtype=torch.uint8).view(1, 1, 2, 2)
    f = torch.zeros_like(a)
    torch.testing.assert_close(ce(f, a, a, 255).item(), 0.75 * math.log2(0.75))
