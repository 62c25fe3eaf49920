from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mfif.errors import InputError
from mfif.fusion.frames import Frames, to_batch

CPU = torch.device("cpu")


def levels(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 2), (5, 7, 3), (5, 7, 4)])
def test_arrays_there_and_back(shape: tuple[int, ...]) -> None:
    array = levels(*shape)
    frames = Frames({0: array, 1: array}, CPU)
    batch = to_batch(array)
    assert batch.shape == (1, *(shape[2:] or (1,)), 5, 7)
    assert np.array_equal(frames.image_like(0, batch), array)
    assert frames.map_like(0, batch[:, :1]).shape == (5, 7)
    assert frames.map_like(0, None) is None


@pytest.mark.parametrize("shape", [(3, 5, 7), (2, 5, 7), (6, 4, 5, 7)])
def test_tensors_there_and_back(shape: tuple[int, ...]) -> None:
    tensor = torch.from_numpy(levels(*shape))
    frames = Frames({0: tensor, 1: tensor}, CPU)
    assert torch.equal(frames.image_like(0, to_batch(tensor)), tensor)
    assert frames.map_like(0, to_batch(tensor)[:, :1]).shape == (*shape[:-3], 1, 5, 7)
    with pytest.raises(TypeError, match="got tensors"):
        frames.array(0)


def test_arrays_of_any_strides_and_without_the_right_to_write() -> None:
    array = levels(8, 6, 3)
    locked = array.copy()
    locked.flags.writeable = False
    for same in (np.asfortranarray(array), array[::-1][::-1], np.dstack([array, array])[..., :3], locked):
        assert torch.equal(to_batch(same), to_batch(array))
    writable = to_batch(array)
    assert np.shares_memory(writable.numpy(), array)


def test_paths_are_read_as_arrays(tmp_path: Path) -> None:
    rgb, rgba = levels(5, 7, 3), levels(5, 7, 4)
    for name, array in (("rgb", rgb), ("rgba", rgba)):
        Image.fromarray(array).save(tmp_path / f"{name}.png")
    frames = Frames({3: str(tmp_path / "rgb.png"), 8: tmp_path / "rgba.png"}, CPU)
    portraits, skipped = frames.survey("raise")
    assert (list(portraits), skipped) == ([3, 8], {})
    assert np.array_equal(frames.array(8), rgba)
    assert np.array_equal(frames.array(3), np.dstack([rgb, np.full((5, 7), 255, np.uint8)]))
    assert np.array_equal(frames.image_like(3, frames[3]), frames.array(3))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_opaque_is_white_of_any_type(kind: type) -> None:
    white = np.iinfo(kind).max if kind != np.float32 else 1
    frames = Frames({0: np.zeros((4, 4), kind), 1: np.zeros((4, 4, 2), kind)}, CPU)
    frames.survey("raise")
    assert frames.array(0)[..., 1].tolist() == [[white] * 4] * 4
    assert frames.array(1).max() == 0


def test_a_frame_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_text("no image")
    images = {0: levels(5, 7), 1: tmp_path / "bad.png", 2: levels(5, 7, seed=1)}
    with pytest.raises(InputError, match=r"bad\.png"):
        Frames(images, CPU).survey("raise")
    portraits, skipped = Frames(images, CPU).survey("skip")
    assert list(portraits) == [0, 2]
    assert list(skipped) == [1]
    assert "bad.png" in skipped[1]


def test_what_differs_is_never_skipped() -> None:
    for other, told in ((levels(5, 8), "8x5 pixels, gray"), (levels(5, 7, 3), "RGB"), (np.zeros((5, 7)), "float64")):
        with pytest.raises(ValueError, match=f"image 0 of 7x5 pixels, gray, uint8 and image 1 of .*{told}"):
            Frames({0: levels(5, 7), 1: other}, CPU).survey("skip")


def test_files_are_read_again_but_for_the_last_two(tmp_path: Path) -> None:
    paths = {number: tmp_path / f"{number}.png" for number in range(3)}
    for number, path in paths.items():
        Image.fromarray(levels(5, 7, seed=number)).save(path)
    frames = Frames(paths, CPU)
    frames.survey("raise")
    for path in paths.values():
        path.unlink()
    assert np.array_equal(frames.array(2), levels(5, 7, seed=2))
    with pytest.raises(InputError, match=r"0\.png"):
        frames[0]
