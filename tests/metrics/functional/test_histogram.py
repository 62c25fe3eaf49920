import numpy as np
import torch

from mfif.metrics.functional.histogram import (
    entropy,
    has_no_histogram,
    histogram,
    joint_histogram,
    level_histogram,
)


def test_histogram_counts_row_by_row():
    index = torch.randint(0, 7, (4, 50), generator=torch.Generator().manual_seed(0))
    expected = np.stack([np.bincount(row, minlength=9) for row in index.numpy()])
    assert np.array_equal(histogram(index, 9).numpy(), expected)


def test_entropy_of_uniform_and_certain():
    probability = torch.tensor([[0.25, 0.25, 0.25, 0.25], [0.0, 1.0, 0.0, 0.0]])
    torch.testing.assert_close(entropy(probability), torch.tensor([2.0, 0.0]))


def test_level_and_joint_histogram_count_pixels():
    first, second = torch.randint(0, 256, (2, 3, 20, 30), generator=torch.Generator().manual_seed(0)).double()
    joint = joint_histogram(first, second)
    expected = [
        np.histogram2d(x.flatten(), y.flatten(), bins=np.arange(257))[0] for x, y in zip(first, second, strict=True)
    ]
    assert np.array_equal(joint.numpy(), expected)
    assert torch.equal(joint.sum(2).int(), level_histogram(first))
    assert torch.equal(joint.sum(1).int(), level_histogram(second))


def test_images_without_a_histogram():
    gray = torch.tensor([0.0, 7.0, 0.0, 7.0]).view(4, 1, 1).repeat(1, 4, 5)
    gray[2, 0, 0] = 1
    gray[3, 0, 0] = torch.nan
    assert has_no_histogram(gray).tolist() == [False, True, False, True]
