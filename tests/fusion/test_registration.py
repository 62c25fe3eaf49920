"""Registration against motions that are known because the frames were made with them."""

import numpy as np
import pytest
from scipy import ndimage
from skimage import data

from mfif.fusion import registration
from mfif.fusion.homography import corners, transform
from mfif.fusion.registration import FrameMotion, choose_reference, register

SIZE = (240, 320)


def known(scale: float, degrees: float, x: float, y: float) -> np.ndarray:
    """The motion that turns and scales about the centre of `SIZE` and shifts; reference to frame."""
    angle, centre = np.radians(degrees), np.array([(SIZE[1] - 1) / 2, (SIZE[0] - 1) / 2])
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.vstack([np.column_stack([turn, centre - turn @ centre + [x, y]]), [0, 0, 1]])


def frame(photo: np.ndarray, matrix: np.ndarray, sigmas: tuple[float, float], gain: float = 1.0) -> np.ndarray:
    """What a camera sees that moved by `matrix` and is focused differently left and right; uint8.

    The photo is larger than the frame, so nothing has to be invented at the borders.
    """
    margin = (np.array(photo.shape[:2]) - SIZE) // 2
    left = np.arange(photo.shape[1]) < photo.shape[1] / 2
    blurred = [ndimage.gaussian_filter(photo.astype(float), sigma) for sigma in sigmas]
    scene = np.where(left, *blurred)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    seen = transform(np.linalg.inv(matrix), np.column_stack([columns.ravel(), rows.ravel()]).astype(float))
    values = ndimage.map_coordinates(scene, (seen[:, ::-1] + margin).T, order=3).reshape(SIZE)
    noise = np.random.default_rng(0).normal(0, 1, SIZE)
    return np.clip(np.rint(values * gain + noise), 0, 255).astype(np.uint8)


def corner_error(motion: FrameMotion, truth: np.ndarray) -> float:
    points = corners(*SIZE)
    return float(np.linalg.norm(transform(motion.matrix, points) - transform(truth, points), axis=1).max())


@pytest.fixture(scope="module")
def photos() -> list[np.ndarray]:
    return [data.camera(), data.coffee()[..., 1], data.chelsea()[..., 1]]


@pytest.mark.parametrize(
    ("scale", "degrees", "x", "y", "gain"),
    [(0.98, 0.5, 6, -9, 0.85), (1.02, -1.0, -12, 4, 1.1), (1.01, 0.3, 15, 8, 1.0), (1.0, 0.0, 0.5, -0.4, 0.9)],
)
def test_finds_a_known_motion_across_defocus_and_exposure(
    photos: list[np.ndarray], scale: float, degrees: float, x: float, y: float, gain: float
) -> None:
    truth = known(scale, degrees, x, y)
    for photo in photos:
        reference = frame(photo * 0.85, np.eye(3), (0.6, 3))
        _, motion = register([reference, frame(photo * 0.85, truth, (3, 0.6), gain)], 0)
        assert motion.refused is None
        assert corner_error(motion, truth) < 0.2
        assert motion.residual_after < motion.residual_before
        assert motion.scale == pytest.approx(scale, abs=1e-3)
        assert motion.rotation_degrees == pytest.approx(degrees, abs=0.05)
        assert motion.shift == pytest.approx((x, y), abs=0.15)
        # How bright the frame's mean comes out, for gain and bias share what noise there is.
        assert motion.gain * 110 * gain + motion.bias * 255 == pytest.approx(110, abs=2)


@pytest.mark.parametrize("model", ["translation", "similarity", "affine", "homography"])
def test_every_model_finds_a_shift(photos: list[np.ndarray], model: registration.Model) -> None:
    truth = known(1, 0, 5.3, -7.6)
    pair = [frame(photos[1], np.eye(3), (0.6, 2)), frame(photos[1], truth, (2, 0.6))]
    motion = register(pair, 0, model)[1]
    assert corner_error(motion, truth) < (1 if model == "homography" else 0.4)
    if model == "translation":
        np.testing.assert_array_equal(motion.matrix[:2, :2], np.eye(2))


def test_auto_is_affine_only_where_that_fits_better(photos: list[np.ndarray]) -> None:
    stretched = known(1, 0, 3, 2) @ np.diag([1.03, 0.99, 1])
    reference = frame(photos[0], np.eye(3), (1, 2))
    affine = register([reference, frame(photos[0], stretched, (2, 1))], 0)[1]
    assert corner_error(affine, stretched) < 0.4
    assert not np.isclose(affine.matrix[0, 0], affine.matrix[1, 1], atol=0.01)
    plain = register([reference, frame(photos[0], known(1.02, 0.2, 3, 2), (2, 1))], 0)[1]
    assert plain.matrix[0, 0] == pytest.approx(plain.matrix[1, 1], abs=1e-12)


def test_large_frames_are_registered_small_and_reported_large(
    photos: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = known(1.01, 0.4, 7, -5)
    pair = [frame(photos[0], np.eye(3), (0.6, 2)), frame(photos[0], truth, (2, 0.6))]
    monkeypatch.setattr(registration, "WORKING_SIDE", 203)  # no whole factor, and both sides are rounded
    assert corner_error(register(pair, 0)[1], truth) < 0.4


def test_residual_is_what_the_best_gain_and_bias_leave(photos: list[np.ndarray]) -> None:
    pair = [frame(photos[0], np.eye(3), (0.5, 4)), frame(photos[0], np.eye(3), (4, 0.5), 0.8)]
    motion = register(pair, 0)[1]
    smooth = [ndimage.gaussian_filter(image / 255, 2, mode="mirror").ravel() for image in pair]
    _, (left,), *_ = np.linalg.lstsq(np.column_stack([smooth[1], np.ones(smooth[1].size)]), smooth[0], rcond=None)
    inner = np.sqrt(left / smooth[0].size) / smooth[0].std()
    assert motion.residual_before == pytest.approx(inner, rel=0.03)  # a border may be left out


def test_a_frame_that_lies_right_is_not_moved(photos: list[np.ndarray]) -> None:
    for photo in photos:
        pair = [frame(photo, np.eye(3), (0.6, 3)), frame(photo, np.eye(3), (3, 0.6), 0.9)]
        motion = register(pair, 0)[1]
        assert not motion.moved
        assert motion.gain == pytest.approx(1 / 0.9, abs=0.03)


def test_refuses_what_shows_something_else(photos: list[np.ndarray]) -> None:
    frames = [frame(photo, np.eye(3), (1, 1)) for photo in photos]
    for reference in range(3):
        for index, motion in enumerate(register(frames, reference)):
            assert not motion.moved
            assert (motion.refused is None) == (index == reference)
            assert (motion.gain, motion.bias) == (1, 0)


def test_refuses_a_flat_frame_in_either_place(photos: list[np.ndarray]) -> None:
    pair = [frame(photos[0], np.eye(3), (1, 1)), np.full(SIZE, 90, np.uint8)]
    for reference in (0, 1):
        motion = register(pair, reference)[1 - reference]
        assert motion.refused == "there is no texture to go by"
        assert not motion.moved


def test_refuses_a_motion_no_stack_has(photos: list[np.ndarray]) -> None:
    truth = known(1, 0, 45, 0)
    pair = [frame(photos[0], np.eye(3), (1, 1)), frame(photos[0], truth, (1, 1))]
    motion = register(pair, 0)[1]
    assert motion.refused is not None
    assert not motion.moved


def test_faint_frames_of_16_bit_are_enough(photos: list[np.ndarray]) -> None:
    truth = known(1.01, 0.4, 7, -5)
    # Eight bits of content in a file of sixteen: nearly black, but all there.
    pair = [frame(photos[0], matrix, (1, 1)).astype(np.uint16) for matrix in (np.eye(3), truth)]
    assert corner_error(register(pair, 0)[1], truth) < 0.2


@pytest.mark.parametrize(
    "convert", [lambda x: x.astype(np.uint16) * 257, lambda x: x / 255, lambda x: np.float32(x / 255)]
)
def test_type_of_pixel_does_not_matter(photos: list[np.ndarray], convert) -> None:
    pair = [frame(photos[1], np.eye(3), (1, 2)), frame(photos[1], known(1.01, 0.4, 7, -5), (2, 1))]
    expected = register(pair, 0)[1]
    assert corner_error(register([convert(x) for x in pair], 0)[1], expected.matrix) < 0.05


def test_alpha_does_not_matter(photos: list[np.ndarray]) -> None:
    pair = [frame(photos[1], np.eye(3), (1, 2)), frame(photos[1], known(1.01, 0.4, 7, -5), (2, 1))]
    colour = [np.repeat(x[..., None], 3, axis=2) for x in pair]
    alpha = np.random.default_rng(0).integers(0, 255, (*SIZE, 1), np.uint8)
    with_alpha = [np.concatenate([x, alpha], axis=2) for x in colour]
    assert corner_error(register(with_alpha, 0)[1], register(colour, 0)[1].matrix) < 0.05  # threads add in no order


def test_reference_is_the_middle_of_a_drifting_stack_in_any_order(photos: list[np.ndarray]) -> None:
    frames = [frame(photos[0], known(1 + 0.01 * step, 0, 3 * step, 0), (1, 1)) for step in (-2, -1, 0, 1, 2)]
    assert choose_reference(frames) == 2
    order = [3, 2, 0, 4, 1]
    assert order[choose_reference([frames[index] for index in order])] == 2
    assert choose_reference([frames[0], frames[3]]) == 0


def test_motion_of_a_frame_does_not_depend_on_the_others(photos: list[np.ndarray]) -> None:
    frames = [frame(photos[0], known(1, 0, 3 * step, 0), (1, 1)) for step in range(3)]
    together = register(frames, 0)
    assert corner_error(register([frames[2], frames[0]], 1)[0], together[2].matrix) < 0.05  # threads add in no order


@pytest.mark.parametrize(
    ("images", "arguments", "message"),
    [
        ([np.zeros((8, 8))], {}, "two frames or more, got 1"),
        ([np.zeros((8, 8)), np.zeros((8, 9))], {}, r"shape \(8, 8\), got \(8, 9\) for frame 1"),
        ([np.zeros((8, 8), int)] * 2, {}, "got int64 of shape"),
        ([np.zeros((8, 8, 2))] * 2, {}, r"got float64 of shape \(8, 8, 2\)"),
        ([np.zeros((8, 8))] * 2, {"model": "rigid"}, "`model` to be one of auto"),
        ([np.zeros((8, 8))] * 2, {"reference": 2}, "index below 2, got 2"),
    ],
)
def test_errors(images: list[np.ndarray], arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        register(images, **{"reference": 0, **arguments})


def test_choose_reference_wants_a_choice() -> None:
    with pytest.raises(ValueError, match="two frames or more, got 0"):
        choose_reference([])
