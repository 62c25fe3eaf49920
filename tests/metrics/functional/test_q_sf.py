import math

import pytest
import torch

from mfif.metrics.functional import q_sf


def brute_force(f, a, b):
    """Q_SF of three gray images as nested lists, neighbour by neighbour."""
    height, width = len(f), len(f[0])
    powers = [0.0, 0.0]
    for y in range(height):
        for x in range(width):
            for dy, dx, weight in ((0, 1, 1), (1, 0, 1), (1, 1, math.sqrt(0.5)), (1, -1, math.sqrt(0.5))):
                if y + dy < height and 0 <= x + dx < width:
                    df, da, db = (abs(image[y][x] - image[y + dy][x + dx]) for image in (f, a, b))
                    powers[0] += weight * df**2
                    powers[1] += weight * max(da, db) ** 2
    return math.sqrt(powers[0] / powers[1]) - 1


def test_golden(meets_golden):
    meets_golden("zl_Q_SF", q_sf, torch.float64, 1e-6)


@pytest.mark.usefixtures("without_float64")
def test_golden_in_float32(meets_golden):
    meets_golden("zl_Q_SF", q_sf, torch.float32, 1e-4)


def test_brute_force():
    f, a, b = torch.randint(0, 256, (3, 2, 1, 6, 5), generator=torch.Generator().manual_seed(0))
    expected = [brute_force(*(image[i, 0].tolist() for image in (f, a, b))) for i in range(2)]
    torch.testing.assert_close(q_sf(f, a, b, 255).tolist(), expected)


def test_zero_for_perfect_fusion_and_sign(images):
    f, a, b = images
    flat = torch.full_like(f, 0.5)
    assert (q_sf(a, a, flat) == 0).all()
    assert (q_sf(flat, a, b) == -1).all()
    noise = torch.randn(f.shape, generator=torch.Generator().manual_seed(0)) / 3
    assert (q_sf(torch.nn.functional.avg_pool2d(f, 3, 1, 1), a, b) < 0).all()
    assert (q_sf(f + noise, a, b) > 0).all()


def test_flat_sources(images):
    f, _, _ = images
    flat = torch.full_like(f, 0.5)
    assert q_sf(flat, flat, flat).isnan().all()
    assert q_sf(f, flat, flat).isposinf().all()
