import torch

from mfif.metrics.functional.one_by_one import one_by_one


def test_batch_in_steps_of_one():
    sizes = []

    def score(x, y):
        sizes.append(len(x))
        return (x + 2 * y).mean((1, 2))

    x, y = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    torch.testing.assert_close(one_by_one(score, x, y), (x + 2 * y).mean((1, 2)))
    assert sizes == [1, 1, 1]
