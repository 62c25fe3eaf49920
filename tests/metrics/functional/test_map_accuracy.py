import pytest
import torch

from mfif.metrics.functional import map_accuracy


def test_share_of_agreeing_pixels():
    alpha = torch.tensor([[0.9, 0.5, 0.49, 0.0], [1.0, 1.0, 1.0, 1.0]]).view(2, 1, 2, 2)
    truth = torch.tensor([[1.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]]).view(2, 1, 2, 2)
    assert map_accuracy(alpha, truth).tolist() == [0.75, 0.0]


def test_soft_truth_is_thresholded_and_complements_disagree():
    truth = torch.rand(3, 1, 8, 9, generator=torch.Generator().manual_seed(0))
    assert map_accuracy(truth, truth).tolist() == [1, 1, 1]
    assert map_accuracy(1 - truth, truth).tolist() == [0, 0, 0]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64, torch.uint8, torch.bool], ids=str)
def test_any_type(dtype):
    truth = torch.tensor([1, 0, 0, 1]).view(1, 1, 2, 2)
    assert map_accuracy(truth.to(dtype), truth.float()).item() == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_have_no_score(value):
    truth = torch.ones(2, 1, 2, 2)
    alpha = truth.clone()
    alpha[1, 0, 0, 0] = value
    assert map_accuracy(alpha, truth).isnan().tolist() == [False, True]


def test_errors():
    with pytest.raises(ValueError, match=r"Expected `alpha` to be \(B, 1, H, W\), got \(1, 3, 2, 2\)"):
        map_accuracy(torch.ones(1, 3, 2, 2), torch.ones(1, 3, 2, 2))
    with pytest.raises(ValueError, match=r"Expected `alpha_true` to have the shape of `alpha`, \(2, 1, 2, 2\), got"):
        map_accuracy(torch.ones(2, 1, 2, 2), torch.ones(1, 1, 2, 2))
