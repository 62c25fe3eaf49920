import math

import numpy as np
import pytest
import torch

from mfif.metrics.functional import q_ncie


def brute_force(f, a, b):
    """Q_NCIE of three gray images by numpy's histograms and eigenvalues."""

    def entropy(counts):
        share = counts[counts > 0] / counts.sum()
        return -(share * np.log2(share)).sum()

    def correlation(x, y):
        joint, _, _ = np.histogram2d(x.ravel(), y.ravel(), bins=np.arange(257))
        return (entropy(joint.sum(0)) + entropy(joint.sum(1)) - entropy(joint)) / 8

    af, bf, ab = correlation(a, f), correlation(b, f), correlation(a, b)
    values = np.linalg.eigvalsh([[1, ab, af], [ab, 1, bf], [af, bf, 1]])
    return 1 + (values / 3 * np.log2(values / 3)).sum() / 8


def test_golden(meets_golden):
    meets_golden("Q_NCIE", q_ncie, torch.float64, 1e-6)


@pytest.mark.usefixtures("without_float64")
def test_golden_in_float32(meets_golden):
    meets_golden("Q_NCIE", q_ncie, torch.float32, 1e-4)


def test_brute_force():
    f, a, b = torch.randint(0, 6, (3, 4, 1, 9, 7), generator=torch.Generator().manual_seed(0), dtype=torch.uint8) * 40
    expected = [brute_force(*(x[i].numpy() for x in (f, a, b))) for i in range(4)]
    torch.testing.assert_close(q_ncie(f, a, b, 255).tolist(), expected, rtol=1e-12, atol=0)


def test_equal_images_of_all_levels_score_one():
    image = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    torch.testing.assert_close(q_ncie(image, image, image, 255).item(), 1.0)


def test_lowest_score_is_that_of_independent_images():
    black = torch.zeros(1, 1, 4, 4)
    rows, columns = torch.meshgrid(torch.arange(4.0), torch.arange(4.0), indexing="ij")
    lowest = 1 - math.log2(3) / 8
    for triple in ((black, black, black), (black, rows / 3, columns / 3)):
        torch.testing.assert_close(q_ncie(*(image.view(1, 1, 4, 4) for image in triple)).item(), lowest)


def test_noise_lowers_the_score(images):
    f, a, b = images
    noise = torch.randn(f.shape, generator=torch.Generator().manual_seed(0)) / 10
    assert (q_ncie(f + noise, a, b) < q_ncie(f, a, b)).all()


def test_constant_images_have_no_score(images):
    f, a, b = (image[:1, :1] for image in images)
    gray = torch.full_like(f, 0.5)
    for triple in ((gray, a, b), (f, gray, b), (f, a, gray), (gray, gray, gray)):
        assert q_ncie(*triple).isnan().all()
