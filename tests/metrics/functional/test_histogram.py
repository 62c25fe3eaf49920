import numpy as np
import torch

from mfif.metrics.functional.histogram import entropy, histogram


def test_histogram_counts_row_by_row():
    index = torch.randint(0, 7, (4, 50), generator=torch.Generator().manual_seed(0))
    expected = np.stack([np.bincount(row, minlength=9) for row in index.numpy()])
    assert np.array_equal(histogram(index, 9).numpy(), expected)


def test_entropy_of_uniform_and_certain():
    probability = torch.tensor([[0.25, 0.25, 0.25, 0.25], [0.0, 1.0, 0.0, 0.0]])
    torch.testing.assert_close(entropy(probability), torch.tensor([2.0, 0.0]))
