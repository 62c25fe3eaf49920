import math

import numpy as np
import pytest
import torch

from mfif.metrics.functional import en


def test_golden(meets_golden):
    meets_golden("EN", lambda f, a, b: en(f), torch.float64, 1e-6)


@pytest.mark.usefixtures("without_float64")
def test_golden_in_float32(meets_golden):
    meets_golden("EN", lambda f, a, b: en(f), torch.float32, 1e-4)


@pytest.mark.parametrize("white", [0, 1, 12, 32, 64])
def test_two_levels(white):
    image = torch.zeros(1, 1, 8, 8)
    image.flatten()[:white] = 1
    share = white / 64
    expected = -sum(p * math.log2(p) for p in (share, 1 - share) if p > 0)
    torch.testing.assert_close(en(image).item(), expected)


def test_every_level_once_is_eight_bits():
    image = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    torch.testing.assert_close(en(image, 255).item(), 8.0)


def test_counts(images):
    fused = images[0][:, :1]
    for image, score in zip(fused, en(fused), strict=True):
        _, counts = np.unique((255 * image.numpy()).round(), return_counts=True)
        share = counts / counts.sum()
        torch.testing.assert_close(score.item(), -(share * np.log2(share)).sum())
