"""Scores of several resolutions: what joins them, in tiles as in the whole, and what it is good for."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage.data import astronaut
from skimage.transform import downscale_local_mean
from torch import Tensor, nn

import mfif
from mfif.errors import InputError
from mfif.fusion.fusers import Fuser
from mfif.fusion.scales import halved, join, log_odds, score_of, unhalved
from mfif.models import ContextTwoStream, TwoStream
from mfif.pair import luma
from mfif.synthesis import compose
from mfif.synthesis.kernels import disc_kernels


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def same(image: Tensor) -> Tensor:
    return image


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    a, b = torch.rand(2, 2, 1, 75, 141, generator=generator())
    return a, b


@pytest.mark.parametrize("rows", [512, 8])
@pytest.mark.parametrize("size", [(40, 26), (2, 2)], ids=str)
def test_halved_is_the_local_mean(size: tuple[int, int], rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mfif.fusion.scales._ROWS", rows)
    image = torch.rand(2, 3, *size, generator=generator())
    found = halved(image, same)
    assert found.dtype == torch.int16
    expected = downscale_local_mean(image.double().numpy(), (1, 1, 2, 2))
    np.testing.assert_allclose(unhalved(found).numpy(), expected, rtol=0, atol=1e-5)


def test_halved_takes_what_there_is_of_an_odd_row_and_column() -> None:
    image = torch.rand(1, 1, 5, 3, generator=generator())
    found = unhalved(halved(image, same))
    assert found.shape == (1, 1, 3, 2)
    for row, column in np.ndindex(3, 2):
        block = image[0, 0, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        assert found[0, 0, row, column].item() == pytest.approx(block.mean().item(), abs=1e-5)


def test_what_is_halved_is_the_view() -> None:
    levels = torch.full((1, 1, 4, 4), 51, dtype=torch.uint8)
    halves = unhalved(halved(levels, lambda part: part.float() / 255))
    torch.testing.assert_close(halves, torch.full((1, 1, 2, 2), 0.2), rtol=0, atol=1e-6)


def test_scores_are_the_logarithm_of_the_odds() -> None:
    alpha = torch.tensor([0.0, 1e-3, 0.2, 0.5, 0.8, 1.0])
    expected = torch.logit(alpha.double(), eps=1e-6)
    torch.testing.assert_close(score_of(alpha).double(), expected, rtol=2e-3, atol=1e-6)
    assert torch.equal(score_of(1 - alpha), -score_of(alpha))
    for level in (0.1, 0.5, 0.9):
        assert log_odds(level) == pytest.approx(torch.logit(torch.tensor(level)).item(), abs=1e-6)
    assert (log_odds(0.0), log_odds(1.0)) == (-float("inf"), float("inf"))


@pytest.mark.parametrize(("size", "share"), [(0.0, 1.0), (3.0, 1.0), (6.0, 0.5), (7.0, 0.25), (8.0, 0.0), (13.0, 0.0)])
def test_twice_the_coarse_score_counts_where_the_fine_one_is_unsure(size: float, share: float) -> None:
    fine = size * torch.ones(1, 1, 50, 70).half()
    fine[..., ::2] *= -1  # what counts is the size, not the sign
    found = join(fine.clone(), torch.full((1, 1, 25, 35), 1.5))
    torch.testing.assert_close(found.float(), fine.float() + 2 * share * 1.5)


def test_how_sure_is_the_mean_of_the_blocks_around() -> None:
    """By loops: means of blocks of 32x32, of three by three of them, and bilinearly between their middles."""
    fine = (9 * torch.randn(1, 1, 70, 300, generator=generator())).half()
    fine[..., 140:] *= 0.2
    coarse = torch.randn(1, 1, 35, 150, generator=generator())
    size = fine[0, 0].double().abs().numpy()
    blocks = np.array([[size[y : y + 32, x : x + 32].mean() for x in range(0, 300, 32)] for y in range(0, 70, 32)])
    sure = np.array(
        [
            [blocks[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].mean() for x in range(blocks.shape[1])]
            for y in range(blocks.shape[0])
        ]
    )
    share = bilinear(np.clip((8 - sure) / 4, 0, 1), 32)[:70, :300]
    expected = fine[0, 0].double().numpy() + 2 * share * bilinear(coarse[0, 0].double().numpy(), 2)[:70, :300]
    found = join(fine.clone(), coarse)[0, 0].double().numpy()
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3)
    assert 0 < share.min() < 0.3 < 0.8 < share.max()


def bilinear(small: np.ndarray, factor: int) -> np.ndarray:
    for axis, length in enumerate(small.shape):
        at = (np.arange(length * factor) + 0.5) / factor - 0.5
        low = np.clip(np.floor(at).astype(int), 0, length - 1)
        high = np.clip(low + 1, 0, length - 1)
        weight = np.clip(at, 0, None) - low
        weight = np.expand_dims(weight, 1 - axis)
        small = np.take(small, low, axis) * (1 - weight) + np.take(small, high, axis) * weight
    return small


@pytest.mark.parametrize("size", [(1300, 40), (40, 1300), (1024, 33)], ids=str)
def test_parts_are_joined_as_the_whole(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    fine = (8 * torch.randn(1, 1, *size, generator=generator())).half()
    coarse = torch.randn(1, 1, (size[0] + 1) // 2, (size[1] + 1) // 2, generator=generator()).half()
    found = join(fine.clone(), coarse)
    monkeypatch.setattr("mfif.fusion.scales._ROWS", 4096)
    torch.testing.assert_close(found, join(fine.clone(), coarse), rtol=0, atol=1e-2)
    assert not torch.equal(found, fine)


def unsure(build: Callable[[], nn.Module]) -> nn.Module:
    """An untrained network, always the same one, whose maps are not one half everywhere."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(2)
    return network.eval()


@pytest.mark.parametrize("build", [lambda: TwoStream(4), lambda: ContextTwoStream(4, levels=1, detail=2)])
@pytest.mark.parametrize("orientations", [1, 2])
def test_tiles_give_the_map_of_the_whole(
    build: Callable[[], nn.Module], orientations: int, pair: tuple[Tensor, Tensor]
) -> None:
    network = unsure(build)
    a, b = (image.repeat(1, 1, 3, 2) for image in pair)
    whole, tiled, plain = (
        Fuser(network, threshold=None, tile=tile, scales=scales, self_ensemble=orientations).decision_map(a, b)
        for tile, scales in ((None, 3), (64, 3), (None, 1))
    )
    torch.testing.assert_close(tiled, whole, rtol=0, atol=2e-3)  # of scores of 16 bits
    assert (whole - plain).abs().max() > 0.01


def test_sources_that_change_places_give_the_complement(pair: tuple[Tensor, Tensor]) -> None:
    network = unsure(lambda: ContextTwoStream(4, levels=2, detail=2))
    a, b = pair
    soft = Fuser(network, threshold=None, scales=3)
    torch.testing.assert_close(soft.decision_map(a, b), 1 - soft.decision_map(b, a), rtol=0, atol=1e-6)
    cut, other = (Fuser(network, scales=3).decision_map(*sources) for sources in ((a, b), (b, a)))
    assert torch.equal(cut, 1 - other)


@pytest.mark.parametrize("level", [0.3, 0.5, 0.7])
def test_scores_are_cut_where_the_map_is(level: float, pair: tuple[Tensor, Tensor]) -> None:
    network = unsure(lambda: ContextTwoStream(4, levels=2, detail=2))
    soft, cut = (Fuser(network, threshold, scales=2).decision_map(*pair) for threshold in (None, level))
    clear = (soft - level).abs() > 1e-3
    assert torch.equal(cut[clear], (soft[clear] >= level).float())
    assert 0 < cut.mean() < 1


def test_as_many_as_the_size_asks_for() -> None:
    fuser = Fuser(unsure(lambda: ContextTwoStream(2, levels=1)), threshold=None, scales=None)
    for width, scales in ((767, 1), (768, 2), (1536, 3)):
        a, b = torch.rand(2, 1, 1, 17, width, generator=generator())
        assert torch.equal(fuser.decision_map(a, b), replace(fuser, scales=scales).decision_map(a, b))
        assert not torch.equal(fuser.decision_map(a, b), replace(fuser, scales=scales + 1).decision_map(a, b))
    assert Fuser(torch.sub, threshold=None, scales=None).decision_map(b, b).abs().max() == 0  # no network: one


def test_shipped_networks_see_large_pictures_in_several() -> None:
    fast = mfif.load("fast")
    assert isinstance(fast, Fuser)
    assert fast.scales is None
    a, b = torch.rand(2, 1, 40, 1100, generator=generator())
    for scales in (None, 1, 2):
        found = mfif.fuse([a, b], "fast", scales=scales).decision[None]
        expected = replace(fast, scales=scales or 2).decision_map(a[None], b[None])
        assert torch.equal(found, expected)


@pytest.mark.parametrize("scales", [1, 3])
def test_what_is_done_is_told_in_pixels_of_the_picture(scales: int, pair: tuple[Tensor, Tensor]) -> None:
    told: list[float] = []
    network = unsure(lambda: ContextTwoStream(2, levels=1))
    Fuser(network, tile=16, scales=scales, watch=told.append).decision_map(*pair)
    assert sum(told) == pytest.approx(75 * 141, rel=0.02)  # what is odd is halved to a little more
    assert len(told) > scales


@pytest.mark.parametrize(
    ("method", "scales", "message"),
    [
        ("default", 0, "`scales` to be positive, or none for as many as the size asks for, got 0"),
        ("laplacian", 2, "`scales` to be 1 for a method without a network"),
        ("pyramid", 2, "`scales` to be 1 for a method that makes no map by a network"),
    ],
)
def test_what_has_no_scales_is_said(method: str, scales: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        mfif.fuse(list(torch.rand(2, 1, 32, 32)), method, scales=scales)


def test_large_soft_pictures_out_of_focus_by_much() -> None:
    """As a camera of many pixels gives them: soft, noisy, and so blurred that a network sees nothing of it close by."""
    photo = luma(torch.from_numpy(astronaut()).movedim(-1, 0)[None].float() / 255)[..., :400, :]
    large = torch.nn.functional.interpolate(photo, scale_factor=3.0, mode="bicubic").clamp(0, 1)
    height, width = large.shape[-2:]
    template = torch.from_numpy(gaussian_filter(torch.randn(height, width, generator=generator()).numpy(), 150.0) > 0)
    template = template.float()[None, None]
    kernel = disc_kernels(torch.tensor([50.0]), 101)
    sources = compose(large, kernel, template, torch.tensor([False]))
    a, b = (
        (image + 0.02 * torch.randn(image.shape, generator=generator(seed))).clamp(0, 1)
        for seed, image in ((1, sources.a), (2, sources.b))
    )
    wrong = [
        (mfif.fuse([a[0], b[0]], "fast", scales=scales).decision != template[0]).float().mean().item()
        for scales in (1, None)
    ]
    assert wrong[1] < wrong[0] / 4
    assert wrong[1] < 0.04
