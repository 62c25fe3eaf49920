"""The map of several orientations is the mean of theirs, in tiles as in the whole, and turns with the pair."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import mfif
from mfif.errors import InputError
from mfif.fusion.fusers import Fuser
from mfif.fusion.self_ensemble import ORIENTATIONS, mean_map
from mfif.models import ContextTwoStream, TwoStream


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    a, b = torch.rand(2, 2, 1, 45, 70, generator=torch.Generator().manual_seed(0))
    return a, b


class Lopsided(nn.Module):
    """Sees what lies to the left of a pixel, and above it, by weights that no turn gives back."""

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.conv = nn.Conv2d(1, 1, 3, padding=1)
        nn.init.normal_(self.conv.weight, generator=torch.Generator().manual_seed(1))
        self.seen: list[torch.Size] = []

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        self.seen.append(a.shape)
        score: Tensor = self.conv(a - b)
        return score.sigmoid()


@pytest.mark.parametrize("orientations", ORIENTATIONS)
@torch.no_grad()
def test_it_is_the_mean(pair: tuple[Tensor, Tensor], orientations: int) -> None:
    estimator = Lopsided()
    found = mean_map(estimator, *pair, orientations)
    assert len(estimator.seen) == orientations
    a, b = (image.numpy() for image in pair)
    turns = {1: [(0, 0)], 2: [(0, 0), (0, 2)], 4: [(0, 0), (0, 2), (1, 0), (1, 2)]}
    total = np.zeros(a.shape)
    every = turns.get(orientations, [(flip, turn) for flip in range(2) for turn in range(4)])
    for flip, turn in every:
        x, y = (np.rot90(np.swapaxes(image, 2, 3) if flip else image, turn, (2, 3)).copy() for image in (a, b))
        seen = estimator(torch.from_numpy(x), torch.from_numpy(y)).numpy()
        back = np.rot90(seen, 4 - turn, (2, 3))
        total += np.swapaxes(back, 2, 3) if flip else back
    np.testing.assert_allclose(found.numpy(), total / len(every), rtol=0, atol=1e-6)


@torch.no_grad()
def test_with_all_eight_the_map_turns_with_the_pair(pair: tuple[Tensor, Tensor]) -> None:
    estimator = Lopsided()
    for orientations, equal in ((1, False), (8, True)):
        plain = mean_map(estimator, *pair, orientations)
        turned = mean_map(estimator, *(image.rot90(1, (-2, -1)) for image in pair), orientations)
        assert torch.allclose(turned.rot90(-1, (-2, -1)), plain, rtol=0, atol=1e-6) is equal


@torch.no_grad()
def test_sides_are_continued_to_the_stride(pair: tuple[Tensor, Tensor]) -> None:
    estimator = Lopsided(stride=16)
    assert mean_map(estimator, *pair, 8, stride=16).shape == (2, 1, 45, 70)
    assert {tuple(shape[-2:]) for shape in estimator.seen} == {(48, 80), (80, 48)}


@pytest.mark.parametrize(
    "network", [TwoStream(4), ContextTwoStream(4, levels=2, detail=2)], ids=["two_stream", "context"]
)
def test_tiles_give_the_map_of_the_whole(network: nn.Module, pair: tuple[Tensor, Tensor]) -> None:
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(2)  # the untrained map is nearly one half everywhere
    a, b = (image.repeat(1, 1, 3, 3) for image in pair)
    whole, tiled, plain = (
        Fuser(network.eval(), threshold=None, tile=tile, self_ensemble=orientations).decision_map(a, b)
        for tile, orientations in ((None, 8), (64, 8), (None, 1))
    )
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-5)
    assert (whole - plain).abs().max() > 1e-3


def test_sources_that_change_places_give_the_complement(pair: tuple[Tensor, Tensor]) -> None:
    network = ContextTwoStream(4, levels=2, detail=2).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(2)
    a, b = pair
    soft = Fuser(network, threshold=None, self_ensemble=8).decision_map(a, b)
    assert (soft - 0.5).abs().min() > 1e-6  # where it is one half, neither source has it
    fuser = Fuser(network, self_ensemble=8)
    assert torch.equal(fuser.decision_map(a, b), 1 - fuser.decision_map(b, a))


@pytest.mark.parametrize(
    ("method", "orientations", "message"),
    [
        ("default", 3, "`self_ensemble` to be 1, 2, 4 or 8, got 3"),
        ("laplacian", 8, "`self_ensemble` to be 1 for a method without a network"),
        ("pyramid", 8, "`self_ensemble` to be 1 for a method that makes no map by a network"),
    ],
)
def test_what_has_no_orientations_is_said(method: str, orientations: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        mfif.fuse(list(torch.rand(2, 1, 32, 32)), method, self_ensemble=orientations)
