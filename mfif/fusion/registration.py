"""Find how the frames of a focus stack lie against each other, and say how well each was found.

Between two frames of a stack the picture is shifted, turned and scaled a little (the hand, the rail, focus breathing),
may be brighter or darker, and is out of focus elsewhere. OpenCV's ECC (Evangelidis & Psarakis, "Parametric Image
Alignment Using Enhanced Correlation Coefficient Maximization", PAMI 30(10), 2008) maximises a correlation that ignores
gain and bias. Here it climbs a pyramid, whose coarse levels look alike however the frames are focused, from the shift
that phase correlation finds on the coarsest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from mfif.fusion.homography import Matrix, corners, nearest_similarity, resizing, transform

Image = NDArray[Any]
Luma = NDArray[np.float32]
Model = Literal["auto", "translation", "similarity", "affine", "homography"]

WORKING_SIDE = 1536
"""Longer side, in pixels, of the luma that is registered: larger frames are shrunk to it."""

UNTEXTURED = "there is no texture to go by"
"""Why no motion was looked for."""

_COARSEST_SIDE = 64  # pixels, at least, of the shorter side of a pyramid's last level
_EXPOSURE_SIDE = 16  # likewise of the level that exposures are compared on, where no defocus matters any more
_THUMBNAIL = (128, 128)
_STEPS = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-5)
_ECC_WINDOW = 5  # pixels of the Gaussian window that ECC smooths with
_RESIDUAL_SIGMA = 2.0  # pixels
_AFFINE_GAIN = 0.9  # "auto" takes the affine motion where it leaves less than this of the similarity's residual
_LEAST_GAIN = 0.98  # a motion has to leave less than this of the residual; what defocus alone feigns leaves more
_LEAST_MOTION = 0.1  # pixels at a corner; less is not worth an interpolation
_MAX_SHIFT, _MAX_ZOOM, _MAX_ROTATION, _MAX_DISTORTION = 0.1, 0.1, 5.0, 0.05  # of the side, of 1, degrees, of the side
_MIN_TEXTURE = 1e-4  # standard deviation of the smoothed luma
_MAX_RESIDUAL = 0.8  # a correlation of 0.6
_CLIPPED = 0.02  # distance from black and from white within which a pixel says nothing about exposure
_SOUND = 0.9  # share of the pixels beneath one of that level that have to be covered and not clipped


@dataclass(frozen=True)
class FrameMotion:
    """How a frame lies against the reference, and whether that was believed.

    A residual is ``sqrt(1 - r^2)`` with the correlation `r` between the smoothed lumas of frame and reference: the
    root mean square of what the best gain and bias leave, as a share of the standard deviation. 0 is equal, 1 is
    unrelated; what differs in focus stays in it, so it does not reach 0. Both residuals are taken over the same
    pixels, those that the moved frame covers.

    Attributes:
        shift: How far the scene at the reference's centre lies from there in the frame: (x, y) in pixels.
        scale: Size of the scene in the frame, relative to the reference.
        rotation_degrees: Turn of the scene in the frame, from the x towards the y axis.
        residual_before: Residual of the frame as it came.
        residual_after: Residual with the motion found undone.
        refused: Why the motion found is not to be applied, or None.
        matrix: ``(3, 3)``, takes homogeneous (x, y) of the reference to the frame, to be applied as it is: the
            identity for the reference, for a motion below a tenth of a pixel, and for one refused.
        gain: What to multiply the frame by to be as bright as the reference.
        bias: What to add after that, as a share of the full range.
    """

    shift: tuple[float, float]
    scale: float
    rotation_degrees: float
    residual_before: float
    residual_after: float
    refused: str | None
    matrix: Matrix
    gain: float = 1.0
    bias: float = 0.0

    @property
    def moved(self) -> bool:
        """Whether the frame has to be interpolated."""
        return not np.array_equal(self.matrix, np.eye(3))


def choose_reference(images: Sequence[Image]) -> int:
    """The frame most like all others by the correlation of thumbnails, usually one of the middle.

    It depends on the frames and not on their order, but for ties: of two frames it is the first.

    Args:
        images: As for `register`.

    Raises:
        ValueError: There are fewer than two frames, or one is of another type than `register` takes.
    """
    _require_several(images)
    thumbnails = np.stack([cv2.resize(_luma(image), _THUMBNAIL, interpolation=cv2.INTER_AREA) for image in images])
    flat = thumbnails.reshape(len(images), -1).astype(np.float64)
    flat -= flat.mean(axis=1, keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
    return int(np.argmax((flat @ flat.T).sum(axis=1).round(9)))


def register(images: Sequence[Image], reference: int, model: Model = "auto") -> list[FrameMotion]:
    """Find the motion of every frame against one of them.

    Each frame is registered with the reference directly: no error adds up along the stack, and a frame's motion does
    not depend on the others. Of large frames a luma of `WORKING_SIDE` is registered.

    Args:
        images: Two frames or more of one shape, ``(H, W)``, ``(H, W, 3)`` or ``(H, W, 4)``, uint8, uint16 or floating
            in [0, 1]. They are asked for one at a time, so a sequence that reads files needs the memory of one.
        reference: Index of the frame that stays where it is.
        model: What motions to allow. OpenCV's ECC knows no similarity, so that is the nearest one to the affine
            motion. "auto" is the similarity, or the affine motion where it leaves a tenth less of the residual.

    Raises:
        ValueError: There are fewer than two frames, a frame's shape or type is another, or `reference` or `model` is
            none of those there are.
    """
    _require_several(images)
    if model not in get_args(Model):
        raise ValueError(f"Expected `model` to be one of {', '.join(get_args(Model))}, got {model!r}.")
    if not 0 <= reference < len(images):
        raise ValueError(f"Expected `reference` to be an index below {len(images)}, got {reference}.")
    target = images[reference]
    shape, levels = target.shape, _pyramid(_luma(target))
    motions = []
    for index, image in enumerate(images):
        if image.shape != shape:
            raise ValueError(
                f"Expected all frames to have the reference's shape {shape}, got {image.shape} for frame {index}. "
                "Crop or resize it first."
            )
        motions.append(_STILL if index == reference else _register(levels, _pyramid(_luma(image)), model, shape))
    return motions


def _require_several(images: Sequence[Image]) -> None:
    if len(images) < 2:
        raise ValueError(f"Expected `images` to hold two frames or more, got {len(images)}. Name more frames.")


_STILL = FrameMotion((0.0, 0.0), 1.0, 0.0, 0.0, 0.0, None, np.eye(3))


def _luma(image: Image) -> Luma:
    """Luma in [0, 1], at most `WORKING_SIDE` long."""
    if image.dtype not in (np.uint8, np.uint16, np.float32, np.float64) or image.shape[2:] not in ((), (3,), (4,)):
        raise ValueError(
            "Expected a frame of shape (H, W), (H, W, 3) or (H, W, 4) and type uint8, uint16, float32 or float64, "
            f"got {image.dtype} of shape {image.shape}."
        )
    height, width = image.shape[:2]
    factor = WORKING_SIDE / max(height, width)
    if factor < 1:
        image = cv2.resize(image, (round(width * factor), round(height * factor)), interpolation=cv2.INTER_AREA)
    full = np.iinfo(image.dtype).max if np.issubdtype(image.dtype, np.integer) else 1
    luma = (image / full).astype(np.float32)
    return luma if luma.ndim == 2 else _float32(cv2.cvtColor(luma[..., :3].copy(), cv2.COLOR_RGB2GRAY))


def _float32(pixels: Image) -> Luma:
    """OpenCV's stubs leave the type of the result open."""
    return pixels.astype(np.float32, copy=False)


def _pyramid(luma: Luma, coarsest_side: int = _COARSEST_SIDE) -> list[Luma]:
    levels = [luma]
    while min(levels[-1].shape) >= 2 * coarsest_side:
        levels.append(_float32(cv2.pyrDown(levels[-1])))
    return levels


def _register(target: list[Luma], frame: list[Luma], model: Model, shape: tuple[int, ...]) -> FrameMotion:
    """Motion of one frame given the pyramids; `shape` is that of the images."""
    smooth = [_float32(cv2.GaussianBlur(levels[0], (0, 0), _RESIDUAL_SIGMA)) for levels in (target, frame)]
    if min(float(luma.std()) for luma in smooth) < _MIN_TEXTURE:
        return replace(_STILL, residual_before=1.0, residual_after=1.0, refused=UNTEXTURED)
    try:
        matrix = _fit(target, frame, smooth, model)
    except cv2.error:
        before, _ = _residuals(smooth, np.eye(3))
        return replace(_STILL, residual_before=before, residual_after=before, refused="the registration got lost")
    before, after = _residuals(smooth, matrix)
    to_working = resizing(shape[:2], target[0].shape)
    found = _describe(np.linalg.inv(to_working) @ matrix @ to_working, before, after, shape)
    if not found.moved:
        matrix = np.eye(3)
    if (after if found.moved else before) > _MAX_RESIDUAL:
        return found
    gain, bias = _exposure(target[0], frame[0], matrix)
    return replace(found, gain=gain, bias=bias)


def _fit(target: list[Luma], frame: list[Luma], smooth: list[Luma], model: Model) -> Matrix:
    """The motion that the model allows, in pixels of the finest level."""
    if model == "translation":
        return _climb(target, frame, cv2.MOTION_TRANSLATION)
    affine = _climb(target, frame, cv2.MOTION_AFFINE)
    if model == "affine":
        return affine
    if model == "homography":
        return _ecc(target[0], frame[0], affine, cv2.MOTION_HOMOGRAPHY)
    similarity = nearest_similarity(affine, *target[0].shape)
    if model == "auto" and _residuals(smooth, affine)[1] < _AFFINE_GAIN * _residuals(smooth, similarity)[1]:
        return affine
    return similarity


def _climb(target: list[Luma], frame: list[Luma], motion: int) -> Matrix:
    """Coarse to fine: phase correlation on the coarsest level, ECC on every level from the last one's result."""
    window = cv2.createHanningWindow(target[-1].shape[::-1], cv2.CV_32F)
    shift, _ = cv2.phaseCorrelate(target[-1], frame[-1], window)
    matrix: Matrix = np.eye(3)
    matrix[:2, 2] = shift
    for level in reversed(range(len(target))):
        matrix = _ecc(target[level], frame[level], matrix, motion)
        if level:  # `cv2.pyrDown` keeps every second pixel, the first included
            matrix[:2, 2] *= 2
    return matrix


def _ecc(target: Luma, frame: Luma, start: Matrix, motion: int) -> Matrix:
    rows = 3 if motion == cv2.MOTION_HOMOGRAPHY else 2
    _, found = cv2.findTransformECC(
        target, frame, start[:rows].astype(np.float32), motion, _STEPS, np.ones_like(frame, np.uint8), _ECC_WINDOW
    )
    return np.vstack([found, np.eye(3)[rows:]]).astype(np.float64)


def _warped(luma: Luma, matrix: Matrix) -> Luma:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return _float32(cv2.warpPerspective(luma, matrix, luma.shape[::-1], flags=flags))


def _covered(shape: tuple[int, ...], matrix: Matrix) -> NDArray[np.bool_]:
    return _warped(np.ones(shape, np.float32), matrix) > 0.999


def _residuals(smooth: list[Luma], matrix: Matrix) -> tuple[float, float]:
    """Residual of the second luma against the first as it is, and with the motion undone."""
    target, frame = smooth
    covered = _covered(target.shape, matrix)
    if np.count_nonzero(covered) < 2:
        return 1.0, 1.0
    before, after = (_residual(target[covered], luma[covered]) for luma in (frame, _warped(frame, matrix)))
    return before, after


def _residual(first: Luma, second: Luma) -> float:
    first, second = first - first.mean(), second - second.mean()
    scale = float(np.linalg.norm(first)) * float(np.linalg.norm(second))
    correlation = float(first @ second) / scale if scale else 0.0
    return float(np.sqrt(1 - np.clip(correlation, 0, 1) ** 2))


def _describe(matrix: Matrix, before: float, after: float, shape: tuple[int, ...]) -> FrameMotion:
    """Word a motion in pixels of the images, and leave the frame as it is where that is better."""
    height, width = shape[:2]
    similarity = nearest_similarity(matrix, height, width)
    points = corners(height, width)
    centre = points.mean(axis=0, keepdims=True)
    x, y = (transform(matrix, centre) - centre)[0]
    distortion = np.abs(transform(matrix, points) - transform(similarity, points)).max()
    along, across = similarity[:2, 0]
    scale, rotation = float(np.hypot(along, across)), float(np.degrees(np.arctan2(across, along)))
    plausible = (
        max(abs(x) / width, abs(y) / height) <= _MAX_SHIFT
        and abs(scale - 1) <= _MAX_ZOOM
        and abs(rotation) <= _MAX_ROTATION
        and distortion <= _MAX_DISTORTION * max(height, width)
    )
    tiny = np.linalg.norm(transform(matrix, points) - points, axis=1).max() < _LEAST_MOTION
    refused = None
    if not plausible:
        refused = "no plausible motion between frames of one stack"
    elif after > _MAX_RESIDUAL:
        refused = "the frames look unrelated"
    elif after >= _LEAST_GAIN * before and not tiny:
        refused = "the frame fits no better for it"
    applied = np.eye(3) if refused or tiny else matrix
    return FrameMotion((float(x), float(y)), scale, rotation, before, after, refused, applied)


def _exposure(target: Luma, frame: Luma, matrix: Matrix) -> tuple[float, float]:
    """Gain and bias that take the frame to the reference, by least squares over what both cover and neither clips."""
    levels = [_pyramid(luma, _EXPOSURE_SIDE) for luma in (target, frame)]
    sound = [
        _pyramid(_float32((luma > _CLIPPED) & (luma < 1 - _CLIPPED)), _EXPOSURE_SIDE)[-1] for luma in (target, frame)
    ]
    shrinking = np.diag([0.5 ** (len(levels[0]) - 1)] * 2 + [1.0])
    matrix = shrinking @ matrix @ np.linalg.inv(shrinking)
    usable = (sound[0] > _SOUND) & (_warped(sound[1], matrix) > _SOUND)
    wanted, given = (luma[usable].astype(np.float64) for luma in (levels[0][-1], _warped(levels[1][-1], matrix)))
    if wanted.size < _EXPOSURE_SIDE or given.std() < _MIN_TEXTURE:
        return 1.0, 0.0
    gain, bias = np.polyfit(given, wanted, 1)
    return float(gain), float(bias)
