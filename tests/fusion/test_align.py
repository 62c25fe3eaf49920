"""Alignment of frames: what moves is brought back, what does not stays bit for bit, nothing shown is invented."""

import cv2
import numpy as np
import pytest
from scipy import ndimage
from skimage import data

from mfif.fusion.align import Box, align, common_box, resample
from mfif.fusion.registration import FrameMotion


def motion(matrix: np.ndarray, gain: float = 1.0, bias: float = 0.0) -> FrameMotion:
    return FrameMotion((0.0, 0.0), 1.0, 0.0, 0.5, 0.1, None, matrix, gain, bias)


def turned(scale: float, degrees: float, x: float, y: float) -> np.ndarray:
    angle = np.radians(degrees)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.vstack([np.column_stack([turn, [x, y]]), [0, 0, 1]])


@pytest.fixture(scope="module")
def stack() -> list[np.ndarray]:
    """Three colour frames of one scene that drifts by whole pixels, each focused on another third."""
    photo = data.coffee()
    blurred = ndimage.gaussian_filter(photo, (2.5, 2.5, 0))
    frames = []
    for step in range(3):
        third = np.arange(photo.shape[1])[None, :, None] // 200 == step
        frames.append(np.where(third, photo, blurred)[60 + 2 * step : 320 + 2 * step, 80 + 5 * step : 480 + 5 * step])
    return frames


def test_shifted_frames_come_back(stack: list[np.ndarray]) -> None:
    result = align(stack)
    assert result.reference == 1
    for step in (0, 2):
        assert result.motions[step].shift == pytest.approx((5 - 5 * step, 2 - 2 * step), abs=0.1)
    top, left, bottom, right = result.box
    assert (bottom - top, right - left) == result.images[0].shape[:2]
    smooth = [ndimage.gaussian_filter(image.astype(float), (4, 4, 0)) for image in result.images]
    before = [ndimage.gaussian_filter(image.astype(float), (4, 4, 0)) for image in stack]
    for step in (0, 2):
        assert np.abs(smooth[step] - smooth[1]).mean() < 0.5 * np.abs(before[step] - before[1]).mean()


def test_fill_keeps_the_size_and_crop_is_a_part_of_it(stack: list[np.ndarray]) -> None:
    filled, cropped = align(stack, border="fill"), align(stack)
    top, left, bottom, right = cropped.box
    for whole, part in zip(filled.images, cropped.images, strict=True):
        assert whole.shape == stack[0].shape
        np.testing.assert_array_equal(whole[top:bottom, left:right], part)
    np.testing.assert_array_equal(filled.images[1], stack[1])


def test_order_does_not_matter(stack: list[np.ndarray]) -> None:
    result, other = align(stack), align([stack[index] for index in (2, 0, 1)])
    assert other.box == result.box
    for index, image in zip((2, 0, 1), other.images, strict=True):
        np.testing.assert_allclose(image.astype(int), result.images[index], atol=2)  # sums of threads differ a little


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("channels", [None, 3, 4])
def test_frames_that_lie_right_stay_bit_for_bit(kind: type, channels: int | None) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (70, 90) if channels is None else (70, 90, channels))
    frame = (frame.astype(kind) * 201) if kind is np.uint16 else frame.astype(np.uint8)
    frame = frame / kind(255) if np.issubdtype(kind, np.floating) else frame.astype(kind)
    result = align([frame, frame.copy(), frame.copy()], exposure=True)
    assert result.box == (0, 0, 70, 90)
    for image in result.images:
        assert image.dtype == kind
        np.testing.assert_array_equal(image, frame)


def test_refused_frames_stay_bit_for_bit(stack: list[np.ndarray]) -> None:
    flat = np.full_like(stack[0], 40)
    result = align([stack[0], flat], border="fill", exposure=True)
    assert result.motions[1].refused
    np.testing.assert_array_equal(result.images[1], flat)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("channels", [None, 3, 4])
def test_resample_is_interpolation_at_the_matrix_positions(kind: type, channels: int | None) -> None:
    # A product of slow waves is known between the pixels, too.
    rows, columns = np.mgrid[:60, :80].astype(float)

    def wave(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        return 0.5 + 0.4 * np.sin(y / 7) * np.cos(x / 9)

    full = np.iinfo(kind).max if np.issubdtype(kind, np.integer) else 1
    image = wave(rows, columns) * full
    image = (np.rint(image) if full > 1 else image).astype(kind)
    if channels is not None:
        image = np.repeat(image[..., None], channels, axis=2)
    matrix = turned(1.01, 0.7, 2.3, -1.6)
    box = Box(10, 12, 50, 60)
    shown = resample(image, motion(matrix), box)
    assert shown.dtype == kind
    assert shown.shape == (40, 48, *image.shape[2:])
    y, x = np.mgrid[10:50, 12:60]
    wanted = wave(*(matrix[[1, 0], :2] @ [x.ravel(), y.ravel()] + matrix[[1, 0], 2:])).reshape(40, 48)
    shown = shown if channels is None else shown[..., -1]
    np.testing.assert_allclose(shown / full, wanted, atol=0.006)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_resample_does_not_overshoot_the_range(kind: type) -> None:
    full = np.iinfo(kind).max if np.issubdtype(kind, np.integer) else 1
    edges = (np.indices((64, 64)).sum(axis=0) // 8 % 2 * full).astype(kind)
    shown = resample(edges, motion(turned(1, 0.5, 0.4, 0.3)), Box(0, 0, 64, 64))
    assert shown.min() >= 0
    assert shown.max() <= full
    assert len(np.unique(shown)) > 2


@pytest.mark.parametrize("seed", range(20))
def test_common_box_invents_no_pixel_and_wastes_few(seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = 90, 120
    motions = [motion(np.eye(3))]
    for _ in range(3):
        matrix = turned(rng.uniform(0.97, 1.03), rng.uniform(-1.5, 1.5), *rng.uniform(-6, 6, 2))
        matrix[2, :2] = rng.uniform(-5e-5, 5e-5, 2)
        motions.append(motion(matrix))
    box = common_box(motions, height, width)
    # Brute force: a frame of ones within zeros; a pixel that reads one zero with any weight is not all one.
    sound = np.ones((height, width), bool)
    for each in motions[1:]:
        flags = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
        ones = cv2.warpPerspective(np.ones((height, width)), each.matrix, (width, height), flags=flags)
        sound &= np.abs(ones - 1) < 1e-6
    assert sound[box.top : box.bottom, box.left : box.right].all()
    largest = max_rectangle(sound)
    assert (box.bottom - box.top) * (box.right - box.left) > 0.9 * largest


def max_rectangle(mask: np.ndarray) -> int:
    """Area of the largest rectangle of ones, over every pair of rows."""
    best = 0
    for top in range(len(mask)):
        run = np.ones(mask.shape[1], bool)
        for bottom in range(top, len(mask)):
            run &= mask[bottom]
            edges = np.flatnonzero(np.diff(np.concatenate([[0], run.astype(np.int8), [0]])))
            widest = (edges[1::2] - edges[::2]).max(initial=0)
            best = max(best, int(widest) * (bottom - top + 1))
    return best


def test_common_box_without_motion_is_everything() -> None:
    assert common_box([motion(np.eye(3))] * 3, 7, 9) == (0, 0, 7, 9)


def test_common_box_refuses_to_show_nothing() -> None:
    with pytest.raises(ValueError, match="all frames cover"):
        common_box([motion(turned(1, 0, 30, 0)), motion(turned(1, 0, -30, 0))], 40, 50)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_exposure_is_gain_then_bias_clipped_and_spares_alpha(kind: type) -> None:
    full = np.iinfo(kind).max if np.issubdtype(kind, np.integer) else 1
    image = (np.random.default_rng(0).random((6, 7, 4)) * full).astype(kind)
    shown = resample(image, motion(np.eye(3), 1.3, -0.1), Box(0, 0, 6, 7), exposure=True)
    wanted = np.clip(image[..., :3] * 1.3 - 0.1 * full, 0, full)
    np.testing.assert_allclose(shown[..., :3], np.rint(wanted) if full > 1 else wanted, atol=1e-6)
    np.testing.assert_array_equal(shown[..., 3], image[..., 3])
    assert shown.dtype == kind


def test_exposure_is_applied_by_choice_only() -> None:
    photo = data.camera()[:200, :260]
    darker = np.rint(photo * 0.8).astype(np.uint8)
    np.testing.assert_array_equal(align([photo, darker]).images[1], darker)
    shown = align([photo, darker], exposure=True).images[1]
    assert np.abs(shown.astype(float) - photo).mean() < 1.5


def test_errors() -> None:
    frames = [np.zeros((8, 8)), np.zeros((8, 8))]
    with pytest.raises(ValueError, match="`border` to be one of crop, fill, got 'wrap'"):
        align(frames, border="wrap")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="two frames or more, got 1"):
        align(frames[:1])
    with pytest.raises(ValueError, match="reference's shape"):
        align([*frames, np.zeros((8, 9))])


def test_kitchen_is_aligned(shared) -> None:
    from mfif.images import read_image

    folder = shared / "data" / "stacks" / "kitchen"
    first, middle, last = (read_image(folder / f"frame-{index:02d}.jpg") for index in (0, 6, 11))
    motions = align([first, middle, last], reference=1).motions
    for found in (motions[0], motions[2]):
        assert found.refused is None
        assert found.residual_after < 0.1 < 0.2 < found.residual_before
