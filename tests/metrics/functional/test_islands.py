import numpy as np
import pytest
import torch
from skimage.measure import label, regionprops

from mfif.fusion.refine import RemoveSmallRegions
from mfif.metrics.functional.islands import islands


def speckled(seed, shape=(3, 1, 41, 53)):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) ** 0.5


@pytest.mark.parametrize("share", [0.0005, 0.001, 0.01, 0.5])
def test_scikit_image_counts_the_same(share):
    alpha = speckled(0)
    expected = []
    for (image,) in alpha.numpy():
        regions = [*regionprops(label(image >= 0.5)), *regionprops(label(image < 0.5))]
        expected.append(sum(region.area < share * image.size for region in regions))
    assert islands(alpha, share).tolist() == expected
    assert all(expected)


def test_both_sources_have_islands_and_corners_join_them():
    alpha = torch.zeros(1, 1, 100, 100)
    alpha[..., 50:] = 1
    assert islands(alpha) == 0
    alpha[..., 10, 10] = alpha[..., 11, 11] = 1  # one region of two pixels
    alpha[..., 40, 80:84] = 0
    assert islands(alpha) == 2
    alpha[..., 60, 80:90] = 0  # 10 of 10,000 pixels are not under .1 %
    assert islands(alpha) == 2


def test_none_are_left_where_small_regions_were_removed():
    alpha = torch.zeros(1, 1, 60, 60)
    alpha[..., 30:] = 1
    alpha[..., 5, 5], alpha[..., 50, 50:52] = 1, 0
    assert islands(alpha, 0.01) == 2
    assert islands(RemoveSmallRegions(0.01)(alpha, alpha, alpha), 0.01) == 0


def test_a_map_with_a_value_that_is_not_finite_has_no_score():
    alpha = speckled(1)
    alpha[1, 0, 3, 3] = torch.nan
    assert islands(alpha).isnan().tolist() == [False, True, False]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64, torch.uint8, torch.bool], ids=str)
def test_any_type(dtype):
    alpha = speckled(2).round().to(dtype)
    assert torch.equal(islands(alpha), islands(alpha.double()))
    assert islands(alpha).dtype == torch.float64


@pytest.mark.parametrize("share", [0, 1, -0.1, np.nan])
def test_share_is_a_fraction(share):
    with pytest.raises(ValueError, match=r"Expected `share` to be in \(0, 1\), got"):
        islands(speckled(0), share)


def test_shapes():
    with pytest.raises(ValueError, match=r"Expected `alpha` to be \(B, 1, H, W\), got \(3, 41, 53\)"):
        islands(speckled(0)[:, 0])
