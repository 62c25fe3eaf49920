from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.data import astronaut

import mfif
from mfif.fusion.align import align
from mfif.fusion.aligned import AlignedFrames
from mfif.fusion.frames import Frames
from mfif.fusion.stack import focus_order

SHIFTS = [(0, 0), (3, -2), (-4, 1)]


@pytest.fixture(scope="module")
def stack() -> list[np.ndarray]:
    """One photograph, framed some pixels elsewhere each time."""
    photo = astronaut()
    return [photo[20 + y : 220 + y, 60 + x : 320 + x] for y, x in SHIFTS]


def test_frames_are_those_of_an_alignment_in_memory(stack: list[np.ndarray]) -> None:
    frames = Frames(dict(enumerate(stack)), torch.device("cpu"))
    order = focus_order(frames.survey("raise")[0])
    whole = align([stack[number] for number in order], border="fill", exposure=True)
    aligned = AlignedFrames(frames, order, "auto", border="fill", exposure=True)
    for number, image in zip(order, whole.images, strict=True):
        assert np.array_equal(aligned[number][0].movedim(0, -1).numpy(), image)


def test_a_shifted_stack_lies_on_one_grid(stack: list[np.ndarray], tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for path, image in zip(paths, stack, strict=True):
        Image.fromarray(image).save(path)
    result = mfif.fuse(paths, "laplacian", align="translation")
    (reference,) = (number for number, motion in result.motions.items() if not motion.moved)
    for number, motion in result.motions.items():
        y, x = np.subtract(SHIFTS[reference], SHIFTS[number])
        assert motion.shift == pytest.approx((x, y), abs=0.2)
    assert result.image.shape[0] < 200
    assert result.image.shape[1] < 260
    assert result.index.shape == result.image.shape[:2]
    filled = mfif.fuse(paths, "laplacian", align="translation", border="fill").image
    assert filled.shape == stack[0].shape
    inner = (slice(20, 180), slice(20, 240))
    moved = mfif.fuse(paths, "laplacian").image
    errors = [np.abs(image[inner].astype(int) - stack[reference][inner]).mean() for image in (filled, moved)]
    assert errors[0] < errors[1] / 4


@pytest.mark.parametrize("count", [2, 3])
def test_the_order_of_images_changes_nothing(stack: list[np.ndarray], count: int) -> None:
    first = mfif.fuse(stack[:count], "laplacian", align="auto")
    other = mfif.fuse(stack[:count][::-1], "laplacian", align="auto")
    assert np.array_equal(other.image, first.image)
    assert np.array_equal(count - 1 - other.index, first.index)


def test_tensors_are_not_aligned(stack: list[np.ndarray]) -> None:
    with pytest.raises(TypeError, match="got tensors"):
        mfif.fuse([torch.from_numpy(image).movedim(-1, 0) for image in stack], "laplacian", align="auto")
