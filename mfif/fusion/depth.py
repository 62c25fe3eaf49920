"""Depth from focus: what an index map tells of how far the scene is, as a picture."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter


def depth_preview(index: NDArray[np.int16], order: Sequence[int], smoothing: float = 0.003) -> NDArray[np.uint8]:
    """Colour each pixel by the place of its frame in the order of focus.

    Frames count as equally spaced in depth. Which end is near cannot be told from the frames. A pixel without texture
    has no focus to go by, and the colour of what the method took it from.

    Args:
        index: Number of the frame that each pixel came from, ``(H, W)``.
        order: Numbers of the frames, by the depth they are focused at.
        smoothing: Standard deviation of the Gaussian that smooths the picture, of its longer side.

    Returns:
        ``(H, W, 3)``, from the dark blue of the first frame to the yellow of the last.

    Example:
        >>> depth_preview(np.array([[7, 4]], np.int16), order=[4, 7], smoothing=0)
        array([[[253, 231,  36],
                [ 68,   1,  84]]], dtype=uint8)
    """
    place = np.zeros(max(order) + 1, np.float32)
    place[list(order)] = np.linspace(0, 1, len(order))
    depth = place[index]
    if smoothing:
        gaussian_filter(depth, smoothing * max(depth.shape), output=depth)
    levels = (255 * colormaps["viridis"](np.arange(256))[:, :3]).astype(np.uint8)
    return levels[(255 * depth).round().astype(np.uint8)]
