import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, pad

from mfif.fusion.tiles import tiled


def image(height: int, width: int) -> Tensor:
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))


def box(image: Tensor) -> Tensor:
    """Mean of 5x5 pixels: two to each side."""
    return avg_pool2d(pad(image, (2, 2, 2, 2), mode="replicate"), 5, stride=1)


def coarse(image: Tensor) -> Tensor:
    """Means of whole blocks of 4x4, the last ones of what there is, and their neighbours': 7 pixels to each side."""
    pooled = avg_pool2d(image, 4, ceil_mode=True)
    spread = avg_pool2d(pad(pooled, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    return interpolate(spread, scale_factor=4)[..., : image.shape[-2], : image.shape[-1]]


@pytest.mark.parametrize("size", [(37, 53), (5, 61), (64, 64), (1, 30)])
@pytest.mark.parametrize("side", [1, 7, 16, 36])
def test_the_result_is_that_of_the_whole(size: tuple[int, int], side: int) -> None:
    source = image(*size)
    torch.testing.assert_close(tiled(box, [source], side, halo=2), box(source))


@pytest.mark.parametrize("size", [(37, 53), (64, 62)])
@pytest.mark.parametrize("side", [3, 8, 18])
def test_tiles_begin_at_multiples_of_the_stride(size: tuple[int, int], side: int) -> None:
    source = image(*size)
    torch.testing.assert_close(tiled(coarse, [source], side, halo=7, stride=4), coarse(source))
    assert not torch.allclose(tiled(coarse, [source], 18, halo=7), coarse(source))


def test_a_halo_too_small_is_seen() -> None:
    source = image(37, 53)
    assert not torch.allclose(tiled(box, [source], 16, halo=1), box(source))


def test_several_images_and_another_number_of_channels() -> None:
    a, b = image(20, 30), image(20, 30).flip(-1)
    sums = tiled(lambda a, b: (a * b).sum(1, keepdim=True).double(), [a, b], 8, halo=0)
    assert sums.dtype == torch.float64
    assert torch.equal(sums, (a * b).sum(1, keepdim=True).double())


def test_windows_stay_small_and_cover_everything_once() -> None:
    seen = []

    def call(source: Tensor) -> Tensor:
        seen.append(source.shape[-2:])
        return source

    source = image(50, 70)
    assert torch.equal(tiled(call, [source], 16, halo=3), source)
    assert len(seen) == 4 * 5
    assert max(max(size) for size in seen) == 16 + 2 * 3


@pytest.mark.parametrize(("side", "halo"), [(None, 3), (16, None), (70, 3)])
def test_taken_whole(side: int | None, halo: int | None) -> None:
    source = image(50, 70)
    assert tiled(lambda source: source, [source], side, halo) is source
