"""Notice that images do not lie on each other, while they are read: coarsely, at a cost that fusing does not feel."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mfif.fusion.homography import corners, transform
from mfif.fusion.registration import UNTEXTURED, FrameMotion, register
from mfif.fusion.tiles import Raster

_SIDE = 384  # pixels, at most, of the longer side of what is compared
_SMALLEST = 32  # pixels, at least, of its shorter side: with fewer there is too little to go by
_AT_ONCE = 2**20  # pixels of an image that are reduced at once
_LEAST = 1.5  # pixels at a corner; on real pairs defocus feigns less than that, or what `_CLEAR` tells apart
_LEAST_COMPARED = 0.15  # likewise of what is compared
_CLEAR = 0.9  # a motion has to leave less than this of the residual
_UNLIKE = 0.8  # residual of images that have little in common: a correlation of 0.6


class Apart:
    """Compares images with the first one that it is shown.

    Attributes:
        first: Number of that image; None before there is one.
        found: By how many pixels others lie off it, at the corner where it is most, by their numbers: those for which
            it is enough to be sure; None for those that hardly resemble it and were not brought onto it.
    """

    def __init__(self) -> None:
        self.first: int | None = None
        self.found: dict[int, float | None] = {}
        self._reference: NDArray[Any] = np.empty(0)

    def look(self, number: int, image: Raster) -> None:
        """Compare an image ``(B, C, H, W)``, the first of a batch, all of one shape and type."""
        factor = -(-max(image.shape[-2:]) // _SIDE)
        if min(image.shape[-2:]) // factor < _SMALLEST:
            return
        reduced = _reduced(image, factor)
        if self.first is None:
            self.first, self._reference = number, reduced
            return
        motion = register([self._reference, reduced], 0, "similarity")[1]
        if motion.refused == UNTEXTURED:
            return
        if motion.refused and motion.residual_before > _UNLIKE:
            self.found[number] = None
        elif motion.residual_after < _CLEAR * motion.residual_before:
            pixels = _largest(motion, *reduced.shape[:2])
            if pixels >= _LEAST_COMPARED and factor * pixels >= _LEAST:
                self.found[number] = factor * pixels


def _largest(motion: FrameMotion, height: int, width: int) -> float:
    points = corners(height, width)
    return float(np.linalg.norm(transform(motion.matrix, points) - points, axis=1).max())


def _reduced(image: Raster, factor: int) -> NDArray[Any]:
    """Means of blocks, part by part; gray without an alpha channel."""
    channels, height, width = image.shape[1:]
    columns = width // factor
    rows = factor * max(_AT_ONCE // (factor * width), 1)
    parts = []
    for top in range(0, height // factor * factor, rows):
        bottom = min(top + rows, height // factor * factor)
        part = image[..., top:bottom, : columns * factor][0].movedim(0, -1).cpu()
        pixels = np.ascontiguousarray((part.float() if part.is_floating_point() else part).numpy())
        small = cv2.resize(pixels, (columns, (bottom - top) // factor), interpolation=cv2.INTER_AREA)
        parts.append(small if channels > 2 else small.reshape(*small.shape[:2], -1)[..., 0])
    return np.concatenate(parts)
