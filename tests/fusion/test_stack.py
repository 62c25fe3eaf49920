import itertools
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage.data import immunohistochemistry
from torch import Tensor

from mfif.classical import ConstantMap, LaplacianEnergy
from mfif.errors import InputError
from mfif.evaluation.measure import measured
from mfif.fusion.fusers import Fuser
from mfif.fusion.image_fusers import ImageFuser
from mfif.fusion.refine import RemoveSmallRegions
from mfif.fusion.stack import Portrait, focus_order, fuse_stack, portray
from mfif.fusion.tiles import whole


def noise(count: int, *shape: int, kind: torch.dtype = torch.uint8) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return list(torch.randint(0, 256, (count, *shape), dtype=kind, generator=generator))


def slanted(count: int, height: int = 64, width: int = 160) -> list[Tensor]:
    """Frames of a scene whose depth grows to the right."""
    photo = immunohistochemistry()[:height, :width].astype(float)
    band = np.broadcast_to(np.arange(width) * count // width, (height, width))
    blurred = np.stack([gaussian_filter(photo, (step, step, 0)) for step in range(count)])
    frames = [np.take_along_axis(blurred, abs(band - number)[None, ..., None], 0)[0] for number in range(count)]
    return [torch.from_numpy(frame.round().astype(np.uint8)).movedim(-1, 0)[None] for frame in frames]


def portraits_of(frames: Sequence[Tensor]) -> dict[int, Portrait]:
    return {number: portray(frame) for number, frame in enumerate(frames)}


# Order.


@pytest.mark.parametrize("count", [2, 3, 7, 12])
def test_neighbours_in_focus_are_neighbours(count: int) -> None:
    frames = slanted(count)
    for seed in range(4):
        permutation = np.random.default_rng(seed).permutation(count).tolist()
        order = [permutation[number] for number in focus_order(portraits_of([frames[place] for place in permutation]))]
        assert order in ([*range(count)], [*reversed(range(count))]) or count == 2
        assert order == focus_order(portraits_of(frames))


@pytest.mark.parametrize("stack", ["bug", "kitchen", "toy", *(f"lytro-triple-0{number}" for number in range(1, 5))])
def test_real_stacks_are_in_the_order_of_their_depth(shared: Path, stack: str) -> None:
    files = sorted((shared / "data" / "stacks" / stack).glob("frame-*"))  # which are in that order
    assert len(files) >= 3
    frames = [torch.from_numpy(np.array(Image.open(file).convert("RGB"))).movedim(-1, 0)[None] for file in files]
    order = focus_order(portraits_of(frames))
    assert order in ([*range(len(files))], [*reversed(range(len(files)))])


def test_frames_that_nothing_tells_apart_have_an_order_all_the_same() -> None:
    flat = [torch.full((1, 1, 20, 20), level, dtype=torch.uint8) for level in (3, 1, 2)]
    for frames in (flat, [flat[0]] * 3, [torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1)]):
        levels = set()
        for permutation in itertools.permutations(range(len(frames))):
            portraits = portraits_of([frames[number] for number in permutation])
            levels.add(tuple(float(frames[permutation[number]].max()) for number in focus_order(portraits)))
        assert len(levels) == 1


def test_a_portrait_is_of_content() -> None:
    frame = noise(1, 1, 3, 40, 33)[0]
    as_photographs_lie = frame.contiguous(memory_format=torch.channels_last)
    assert portray(frame).digest == portray(as_photographs_lie).digest
    changed = frame.clone()
    changed[0, 2, 39, 32] ^= 1
    assert portray(changed).digest != portray(frame).digest
    assert portray(frame.reshape(1, 3, 33, 40)).digest != portray(frame).digest


def test_of_a_pair_the_digest_is_enough() -> None:
    pair = slanted(2)
    shorter = {number: portray(frame, of_pair=True) for number, frame in enumerate(pair)}
    assert [portrait.digest for portrait in shorter.values()] == [portray(frame).digest for frame in pair]
    assert focus_order(shorter) == focus_order(portraits_of(pair))
    assert focus_order({0: shorter[1], 1: shorter[0]}) == [1 - number for number in focus_order(shorter)]


def test_frames_portrayed_in_parts_have_the_same_order(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = slanted(6)
    expected = focus_order(portraits_of(frames))
    monkeypatch.setattr("mfif.fusion.stack._PORTRAYED", 160)  # one row, of which two make a cell
    assert focus_order(portraits_of(frames)) in (expected, expected[::-1])


# Fusion.


@pytest.mark.parametrize("count", [3, 4, 7])
def test_focus_of_one_image_is_compared_over_all_at_once(count: int) -> None:
    frames = noise(count, 2, 3, 30, 41)
    method = Fuser(LaplacianEnergy(1.5), tile=16)
    result = fuse_stack(frames.__getitem__, portraits_of(frames), method)
    focus = torch.stack([whole(method.focus_bands(frame), 30) for frame in frames])
    index = focus.argmax(0)
    assert torch.equal(result.index, index.to(torch.int16))
    chosen = index.expand(2, 3, 30, 41)[None]
    assert torch.equal(result.image(), torch.stack(frames).gather(0, chosen)[0])
    assert result.decision is None


class Brighter:
    """Compares two images, and knows nothing of one; more than by any threshold where `soft`."""

    def __init__(self, soft: bool) -> None:
        self.soft = soft

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        return a / (a + b).clamp(min=1e-6) if self.soft else (a > b).float()


def test_pairs_are_fused_until_one_is_left() -> None:
    frames = noise(5, 1, 1, 16, 16)
    result = fuse_stack(frames.__getitem__, portraits_of(frames), Fuser(Brighter(soft=False)))
    stacked = torch.stack(frames)
    image = result.image()
    assert torch.equal(image, stacked.amax(0))
    assert torch.equal(stacked.gather(0, result.index[None].long())[0], image)


def test_the_index_of_soft_maps_is_the_frame_of_the_largest_weight() -> None:
    frames = [frame.float() / 255 for frame in noise(4, 1, 1, 12, 12)]
    portraits = portraits_of(frames)
    result = fuse_stack(frames.__getitem__, portraits, Fuser(Brighter(soft=True), threshold=None))
    a, b, c, d = (frames[number] for number in focus_order(portraits))
    first, second = a / (a + b), c / (c + d)
    ab, cd = first * a + (1 - first) * b, second * c + (1 - second) * d
    top = ab / (ab + cd)
    weights = torch.stack([top * first, top * (1 - first), (1 - top) * second, (1 - top) * (1 - second)])
    torch.testing.assert_close(result.image(), (weights * torch.stack([a, b, c, d])).sum(0))
    expected = torch.tensor(focus_order(portraits))[weights.argmax(0)]
    assert (result.index == expected).float().mean() > 0.99  # but for ties within rounding


def test_refinement_takes_part_in_every_step() -> None:
    """Of maps of noise no region is as large as nine tenths of the image, so that each hands all to the second."""
    frames = noise(5, 1, 1, 32, 32)
    portraits = portraits_of(frames)
    method = Fuser(LaplacianEnergy(1.0), refine=RemoveSmallRegions(0.9))
    result = fuse_stack(frames.__getitem__, portraits, method)
    last = focus_order(portraits)[-1]
    assert torch.equal(result.image(), frames[last])
    assert (result.index == last).all()


@pytest.mark.parametrize("numbers", [(0, 1), (5, 2)])
def test_two_frames_have_a_decision_map(numbers: tuple[int, int]) -> None:
    a, b = noise(2, 1, 3, 20, 20)
    frames = dict(zip(numbers, (a, b), strict=True))
    portraits = {number: portray(frame) for number, frame in frames.items()}
    result = fuse_stack(frames.__getitem__, portraits, Fuser(LaplacianEnergy(1.0)))
    first, second = min(numbers), max(numbers)
    assert torch.equal(result.image(), torch.where(result.decision == 1, frames[first], frames[second]))
    assert torch.equal(result.index, torch.where(result.decision == 1, first, second).to(torch.int16))


def test_methods_that_take_all_get_all() -> None:
    seen = []

    def mean(sources: Sequence[Tensor]) -> Tensor:
        seen.append(len(sources))
        return torch.stack(list(sources)).mean(0)

    frames = noise(5, 1, 1, 8, 8)
    result = fuse_stack(frames.__getitem__, portraits_of(frames), ImageFuser(mean))
    image = result.image()
    assert seen == [5]
    assert result.index is None
    assert (image.float() - torch.stack(frames).float().mean(0)).abs().max() <= 0.5


def test_images_of_pairs_are_fused_in_turn() -> None:
    def larger(sources: Sequence[Tensor]) -> Tensor:
        a, b = sources
        return torch.maximum(a, b)

    larger.pairwise = True
    frames = noise(5, 1, 3, 8, 8)
    result = fuse_stack(frames.__getitem__, portraits_of(frames), ImageFuser(larger))
    assert torch.equal(result.image(), torch.stack(frames).amax(0))
    assert result.index is None


def test_a_method_that_goes_by_place_gets_the_frames_as_numbered() -> None:
    frames = noise(3, 1, 1, 8, 8)
    for order in ([0, 1], [1, 0]):
        portraits = {number: portray(frames[number]) for number in order}
        result = fuse_stack(frames.__getitem__, portraits, Fuser(ConstantMap(1.0)))
        assert torch.equal(result.image(), frames[order[0]])
    with pytest.raises(InputError, match="takes two images, got 3"):
        fuse_stack(frames.__getitem__, portraits_of(frames), Fuser(ConstantMap(1.0)))


# Memory.


def test_few_frames_are_in_memory_at_a_time() -> None:
    frames = noise(32, 1, 1, 8, 8)
    alive: weakref.WeakSet[Tensor] = weakref.WeakSet()
    most = 0

    def load(number: int) -> Tensor:
        nonlocal most
        frame = frames[number].clone()
        alive.add(frame)
        most = max(most, len(alive))
        return frame

    fuse_stack(load, portraits_of(frames), Fuser(LaplacianEnergy(1.0))).image()
    assert most <= 6  # log2 of 32, and the one that is read


def test_tiles_bound_the_memory() -> None:
    frames = noise(2, 1, 3, 2000, 3000)
    portraits = portraits_of(frames)

    def peak(tile: int | None) -> float | None:
        method = Fuser(LaplacianEnergy(), tile=tile)
        return measured(lambda: fuse_stack(frames.__getitem__, portraits, method).image())[1].peak_mb

    tiled, whole = peak(256), peak(None)
    if tiled is None or whole is None:
        pytest.skip("the system does not tell the peak of a call")
    assert tiled < whole / 2
