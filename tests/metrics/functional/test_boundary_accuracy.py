import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from mfif.metrics.functional.boundary_accuracy import boundary_accuracy
from mfif.metrics.functional.map_accuracy import map_accuracy


def brute_force(alpha, truth, radius):
    """By the exact distance of every pixel to the nearest one of the other source, for boolean maps (H, W)."""
    distance = np.where(truth, distance_transform_edt(truth), distance_transform_edt(~truth))
    near = distance <= radius
    return (alpha == truth)[near].mean()


def blobs(seed):
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(3, 1, 5, 6, generator=generator)
    return torch.nn.functional.interpolate(coarse, (37, 45), mode="bilinear")


@pytest.mark.parametrize("radius", [1, 2, 3, 5, 8, 60])
def test_brute_force(radius):
    truth, alpha = blobs(0), 0.7 * blobs(0) + 0.3 * blobs(1)
    expected = [brute_force(*(x[i, 0].numpy() >= 0.5 for x in (alpha, truth)), radius) for i in range(3)]
    torch.testing.assert_close(boundary_accuracy(alpha, truth, radius).tolist(), expected)


def test_only_pixels_near_the_edge_count():
    truth = (torch.arange(20) < 10).double().expand(1, 1, 15, 20)
    far, near = truth.clone(), truth.clone()
    far[..., :7], far[..., 13:] = 0, 1  # wrong from 4 pixels on
    near[..., 9:11] = 0.5  # decided for a: wrong on one side
    assert boundary_accuracy(far, truth, 3) == 1
    assert boundary_accuracy(near, truth, 1) == 0.5
    assert boundary_accuracy(near, truth, 2) == 0.75


def test_the_widest_band_is_the_whole_map():
    truth, alpha = blobs(2), blobs(3)
    torch.testing.assert_close(boundary_accuracy(alpha, truth, 60), map_accuracy(alpha, truth))


def test_right_and_wrong_everywhere():
    truth = blobs(0)
    assert boundary_accuracy(truth, truth).tolist() == [1, 1, 1]
    assert boundary_accuracy(1 - truth, truth).tolist() == [0, 0, 0]
    assert torch.equal(boundary_accuracy(truth, 1 - truth), boundary_accuracy(1 - truth, truth))


def test_no_edge_no_score():
    truth = blobs(0)
    truth[1] = 1
    assert boundary_accuracy(truth, truth).isnan().tolist() == [False, True, False]
    assert boundary_accuracy(blobs(1), torch.zeros(3, 1, 37, 45)).isnan().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64, torch.uint8, torch.bool], ids=str)
def test_any_type(dtype):
    truth = torch.tensor([1, 0, 0, 1]).view(1, 1, 2, 2)
    assert boundary_accuracy(truth.to(dtype), truth.float()).item() == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_have_no_score(value):
    truth = blobs(0)
    for name in ("alpha", "alpha_true"):
        maps = {"alpha": truth.clone(), "alpha_true": truth.clone()}
        maps[name][1, 0, 0, 0] = value
        assert boundary_accuracy(**maps).isnan().tolist() == [False, True, False]


def test_errors():
    truth = torch.ones(1, 1, 4, 4)
    with pytest.raises(ValueError, match=r"Expected `alpha` to be \(B, 1, H, W\), got \(1, 3, 2, 2\)"):
        boundary_accuracy(torch.ones(1, 3, 2, 2), torch.ones(1, 3, 2, 2))
    with pytest.raises(ValueError, match=r"Expected `alpha_true` to have the shape of `alpha`, \(2, 1, 4, 4\), got"):
        boundary_accuracy(torch.ones(2, 1, 4, 4), truth)
    with pytest.raises(ValueError, match="Expected `radius` to be at least 1, got 0"):
        boundary_accuracy(truth, truth, radius=0)
    for radius in (1.5, True):
        with pytest.raises(TypeError, match=f"Expected `radius` to be a whole number, got {radius}"):
            boundary_accuracy(truth, truth, radius=radius)
