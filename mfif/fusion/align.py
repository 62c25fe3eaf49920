"""Bring the frames of a focus stack onto one grid of pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import cv2
import numpy as np

from mfif.fusion.homography import corners, transform
from mfif.fusion.registration import FrameMotion, Image, Model, choose_reference, register

Border = Literal["crop", "fill"]

_LANCZOS_REACH = 4  # pixels that the interpolation reads on either side of a position, at most
_SAME_GAIN, _SAME_BIAS = 0.01, 0.004  # nearer than this to 1 and to 0 the exposures count as equal


class Box(NamedTuple):
    """A rectangle of pixels; bottom and right are exclusive."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True)
class Alignment:
    """Aligned frames, all of one size and on one grid of pixels.

    Attributes:
        images: The frames in the order given, of the type given.
        motions: What was found for each.
        reference: Index of the frame that the others were aligned to.
        box: The part of the reference's grid that the frames show.
    """

    images: list[Image]
    motions: list[FrameMotion]
    reference: int
    box: Box


def align(
    images: Sequence[Image],
    reference: int | None = None,
    model: Model = "auto",
    border: Border = "crop",
    exposure: bool = False,
) -> Alignment:
    """Align frames to one of them.

    A frame that needs no motion and no change of exposure keeps its pixels bit for bit. Repeated runs agree to about a
    hundredth of a pixel, for OpenCV's threads add in no fixed order. For a stack that does not fit
    into memory call `choose_reference`, `register`, `common_box` and `resample` yourself, frame by frame.

    Args:
        images: Two frames or more of one shape, ``(H, W)``, ``(H, W, 3)`` or ``(H, W, 4)``, uint8, uint16 or floating
            in [0, 1].
        reference: Index of the frame that stays where it is; by default the one most like all others. With the
            default, the order of three or more frames does not matter.
        model: What motions to allow, see `register`.
        border: "crop" every frame alike to what all of them cover, or "fill" with the nearest pixel of the frame.
        exposure: Bring every frame to the brightness of the reference, too.

    Raises:
        ValueError: As for `register`, `border` is none of those two, or there is nothing that all frames cover.

    Example:
        >>> import numpy as np
        >>> frames = [np.random.default_rng(0).random((64, 64))] * 3
        >>> align(frames).motions[1].moved
        False
    """
    if border not in get_args(Border):
        raise ValueError(f"Expected `border` to be one of {', '.join(get_args(Border))}, got {border!r}.")
    if reference is None:
        reference = choose_reference(images)
    motions = register(images, reference, model)
    height, width = images[0].shape[:2]
    box = common_box(motions, height, width) if border == "crop" else Box(0, 0, height, width)
    aligned = [resample(image, motion, box, exposure) for image, motion in zip(images, motions, strict=True)]
    return Alignment(aligned, motions, reference, box)


def common_box(motions: Sequence[FrameMotion], height: int, width: int) -> Box:
    """The rectangle of the reference in which no frame needs an invented pixel.

    A moved frame's edge is taken at its innermost point. For the small turns between frames this is the largest such
    rectangle but for a few rows or columns.

    Args:
        motions: Of all frames.
        height: Of the frames, in pixels.
        width: Likewise.

    Raises:
        ValueError: There is no such rectangle.
    """
    top, left, bottom, right = 0, 0, height, width
    # Positions from which the interpolation reads no pixel outside the frame.
    inside = corners(height - 2 * _LANCZOS_REACH, width - 2 * _LANCZOS_REACH) + _LANCZOS_REACH
    for motion in motions:
        if motion.moved:
            tl, tr, bl, br = transform(np.linalg.inv(motion.matrix), inside)
            left, right = max(left, _ceil(tl[0], bl[0])), min(right, -_ceil(-tr[0], -br[0]) + 1)
            top, bottom = max(top, _ceil(tl[1], tr[1])), min(bottom, -_ceil(-bl[1], -br[1]) + 1)
    if top >= bottom or left >= right:
        raise ValueError("Expected `motions` to leave something that all frames cover, got none. Fill the borders.")
    return Box(top, left, bottom, right)


def _ceil(*positions: float) -> int:
    return int(np.ceil(max(positions)))


def resample(image: Image, motion: FrameMotion, box: Box, exposure: bool = False) -> Image:
    """A frame as it would be on the reference's grid of pixels.

    Args:
        image: The frame, as given to `register`.
        motion: What was found for it.
        box: The part of the reference's grid to show. What lies outside the frame gets its nearest pixel.
        exposure: Apply `motion.gain` and `motion.bias` to all but an alpha channel, unless they change next to nothing.

    Returns:
        ``(bottom - top, right - left[, C])`` of the type of `image`, interpolated (Lanczos, 8 x 8 pixels) and clipped
        to the range if the frame moves. A view of `image` if it neither moves nor changes.
    """
    shown = _moved(image, motion, box) if motion.moved else image[box.top : box.bottom, box.left : box.right]
    if exposure and (abs(motion.gain - 1) > _SAME_GAIN or abs(motion.bias) > _SAME_BIAS):
        return _exposed(shown, motion.gain, motion.bias)
    return shown


def _moved(image: Image, motion: FrameMotion, box: Box) -> Image:
    from_box = np.array([[1.0, 0, box.left], [0, 1, box.top], [0, 0, 1]])
    moved = cv2.warpPerspective(
        image,
        motion.matrix @ from_box,
        (box.right - box.left, box.bottom - box.top),
        flags=cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    # Lanczos overshoots at edges; OpenCV clips whole numbers itself.
    return np.clip(moved, image.min(), image.max()) if np.issubdtype(image.dtype, np.floating) else moved


def _exposed(image: Image, gain: float, bias: float) -> Image:
    exposed = image.copy()
    colour = exposed[..., :3] if exposed.ndim == 3 else exposed
    if np.issubdtype(image.dtype, np.floating):
        colour[...] = np.clip(gain * colour + bias, 0, 1)
    else:
        full = np.iinfo(image.dtype).max
        levels = np.clip(np.rint(gain * np.arange(full + 1) + bias * full), 0, full).astype(image.dtype)
        colour[...] = levels[colour]
    return exposed
