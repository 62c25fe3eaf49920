"""Methods that make the image themselves: any number of sources, clipped, in tiles."""

import pytest
import torch
from torch import Tensor

from mfif.classical import GuidedFilterFusion, LaplacianPyramid
from mfif.fusion.image_fusers import ImageFuser


def levels(seed: int) -> Tensor:
    unit = torch.rand(1, 3, 301, 267, generator=torch.Generator().manual_seed(seed))
    return (unit * 65535).round().to(torch.int32).to(torch.uint16)


def test_an_image_method_takes_any_number_of_sources_and_is_clipped() -> None:
    sources = [torch.full((1, 1, 2, 2), level, dtype=torch.uint8) for level in (10, 20, 60)]
    assert ImageFuser(lambda sources: torch.stack(list(sources)).mean(0)).fuse(sources).image.unique().tolist() == [30]
    bright = ImageFuser(lambda sources: sources[0] * 100 - 5, gain=1.0)
    assert bright.fuse(sources[:2]).image.unique().tolist() == [0]
    assert bright.fuse(sources[1:]).image.unique().tolist() == [255]


@pytest.mark.parametrize("tile", [32, 48, 100])
def test_tiles_of_images_change_nothing(tile: int) -> None:
    sources = [levels(seed) for seed in range(3)]
    whole = ImageFuser(LaplacianPyramid(3), tile=None).fuse(sources).image.int()
    assert (ImageFuser(LaplacianPyramid(3), tile=tile).fuse(sources).image.int() - whole).abs().max() <= 1
    # Its weights have 256 levels, which a sum in another order may miss by one.
    small = GuidedFilterFusion(base_radius=8, detail_radius=3)
    whole, tiled = (ImageFuser(small, tile=side).fuse(sources).image.int() for side in (None, tile))
    assert ((tiled - whole).abs() > 1).float().mean() < 1e-3
