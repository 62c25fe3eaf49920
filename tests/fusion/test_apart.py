"""Images that do not lie on each other are noticed, by as many pixels as they were moved; those that do are not."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage import data
from torch import Tensor

from mfif.fusion import apart
from mfif.fusion.apart import Apart
from mfif.images import read_photo


def batch(image: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(image.reshape(*image.shape[:2], -1))).movedim(-1, 0)[None]


def found(*images: np.ndarray) -> dict[int, float | None]:
    watch = Apart()
    for number, image in enumerate(images):
        watch.look(number, batch(image))
    return watch.found


def focused(photo: np.ndarray, left: bool, sigma: float) -> np.ndarray:
    """A photograph whose other half is blurred."""
    blurred = ndimage.gaussian_filter(photo, (sigma, sigma, 0))
    sharp = (np.arange(photo.shape[1]) < photo.shape[1] // 2) == left
    return np.where(sharp[None, :, None], photo, blurred)


@pytest.fixture(scope="module")
def near() -> np.ndarray:
    return focused(data.coffee(), True, 3)


@pytest.fixture(scope="module")
def far() -> np.ndarray:
    return focused(data.coffee(), False, 3)


@pytest.mark.parametrize(("right", "down"), [(6, 0), (-3, 4), (2, 20)])
def test_as_many_pixels_as_it_was_moved(near: np.ndarray, far: np.ndarray, right: int, down: int) -> None:
    first, other = near[25:-25, 25:-25], far[25 - down : -25 - down, 25 - right : -25 - right]
    assert found(first, other) == {1: pytest.approx(np.hypot(right, down), abs=0.5)}


def test_the_scale_counts_at_the_corners(near: np.ndarray, far: np.ndarray) -> None:
    height, width = near.shape[:2]
    scale = 1.02
    centre = np.array([(height - 1) / 2, (width - 1) / 2, 0])
    matrix = np.diag([1 / scale, 1 / scale, 1])
    grown = ndimage.affine_transform(far.astype(float), matrix, centre - matrix @ centre, order=1, mode="nearest")
    expected = (scale - 1) * np.hypot(height - 1, width - 1) / 2
    assert found(near, grown.astype(np.uint8)) == {1: pytest.approx(expected, abs=0.5)}


@pytest.mark.parametrize("sigma", [1.5, 3, 6])
@pytest.mark.parametrize("name", ["coffee", "astronaut", "cat"])
def test_defocus_alone_is_nothing(name: str, sigma: float) -> None:
    photo = getattr(data, name)()
    assert found(focused(photo, True, sigma), focused(photo, False, sigma)) == {}


def test_another_scene_is_told(near: np.ndarray) -> None:
    height, width = near.shape[:2]
    other = data.astronaut()[:height, :width]
    assert found(near[:, : other.shape[1]], other, near[:, : other.shape[1]]) == {1: None}


def test_large_images_part_by_part(monkeypatch: pytest.MonkeyPatch, near: np.ndarray, far: np.ndarray) -> None:
    large = [np.kron(image, np.ones((3, 3, 1), np.uint8)) for image in (near[4:], far[:-4])]
    whole = found(*large)
    assert whole == {1: pytest.approx(12, abs=1)}
    monkeypatch.setattr(apart, "_AT_ONCE", 5000)
    assert found(*large) == pytest.approx(whole)


@pytest.mark.parametrize("kind", ["16 bit", "float", "half", "gray", "gray with alpha", "with alpha"])
def test_every_kind_of_image(near: np.ndarray, far: np.ndarray, kind: str) -> None:
    def of_kind(image: np.ndarray) -> np.ndarray:
        opaque = np.full((*image.shape[:2], 1), 255, np.uint8)
        return {
            "16 bit": image.astype(np.uint16) * 257,
            "float": image / 255,
            "half": (image / 255).astype(np.float16),
            "gray": image[..., 1],
            "gray with alpha": np.concatenate([image[..., 1:2], opaque], axis=2),
            "with alpha": np.concatenate([image, opaque], axis=2),
        }[kind]

    assert found(of_kind(near[:, 8:]), of_kind(far[:, :-8])) == {1: pytest.approx(8, abs=0.5)}


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (31, 40), (20, 3000), (50, 50)])
def test_where_there_is_nothing_to_go_by_nothing_is_said(shape: tuple[int, int]) -> None:
    assert found(np.zeros(shape, np.uint8), np.full(shape, 9, np.uint8)) == {}
    if min(shape) < 50:
        generator = np.random.default_rng(0)
        assert found(*generator.integers(0, 256, (2, *shape), dtype=np.uint8)) == {}


def test_real_pairs(shared: Path) -> None:
    def of(scene: str) -> dict[int, float | None]:
        return found(*(read_photo(shared / "data" / f"{scene}-{side}.png").pixels for side in "AB"))

    # By eye: the first two breathe, the others lie on each other.
    assert of("grayscale/temple") == {1: pytest.approx(22.8, abs=1)}
    assert of("grayscale/seascape") == {1: pytest.approx(9.9, abs=0.5)}
    assert not any(of(scene) for scene in ("grayscale/toy", "grayscale/leopard", "lytro/lytro-01", "lytro/lytro-17"))
