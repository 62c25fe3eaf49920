import math
from collections import Counter
from functools import partial

import pytest
import torch

from mfif.metrics.functional import q_mi


def brute_force(f, a, b):
    """Q_MI of three flat lists of gray levels, counted by hand."""

    def entropy(values):
        return -sum(n / len(values) * math.log2(n / len(values)) for n in Counter(values).values())

    def share(x):
        return (entropy(x) + entropy(f) - entropy(list(zip(x, f, strict=True)))) / (entropy(x) + entropy(f))

    return 2 * (share(a) + share(b))


def test_golden(meets_golden):
    meets_golden("Q_MI", q_mi, torch.float64, 1e-6)
    meets_golden("Q_MI", partial(q_mi, data_range=255), torch.uint8, 1e-6)


@pytest.mark.usefixtures("without_float64")
def test_golden_in_float32(meets_golden):
    meets_golden("Q_MI", q_mi, torch.float32, 1e-4)


def test_brute_force():
    generator = torch.Generator().manual_seed(0)
    f, a, b = torch.randint(0, 5, (3, 4, 1, 6, 7), generator=generator, dtype=torch.uint8) * 40
    expected = [
        brute_force(*(x[i].flatten().tolist() for x in (f, a, b))) for i in range(4)
    ]  # fmt: skip
    torch.testing.assert_close(q_mi(f, a, b, 255).tolist(), expected)


def test_identical_images_score_two(images):
    fused, _, _ = images
    torch.testing.assert_close(q_mi(fused, fused, fused), torch.full((3,), 2.0, dtype=torch.float64))


def test_a_bijection_of_levels_keeps_all_information(images):
    fused, _, _ = images
    torch.testing.assert_close(q_mi(1 - fused[:, :1], fused[:, :1], fused[:, :1]).mean(), torch.tensor(2.0).double())


def test_constant_images_have_no_score(images):
    f, a, b = (image[:1, :1] for image in images)
    gray, black = torch.full_like(f, 0.5), torch.zeros_like(f)
    for triple in ((gray, a, b), (f, gray, b), (f, a, gray), (gray, gray, gray), (black, black, b), (black,) * 3):
        assert q_mi(*triple).isnan().all()
    assert q_mi(black, a, b).abs() < 1e-12


def test_one_constant_image_leaves_the_batch_alone(images):
    f, a, b = images
    spoiled = f.clone()
    spoiled[1] = 0.5
    score = q_mi(spoiled, a, b)
    assert score.isnan().tolist() == [False, True, False]
    torch.testing.assert_close(score[::2], q_mi(f, a, b)[::2], rtol=0, atol=0)
