"""IM: what is clearly in focus makes a trimap, and image matting decides the rest."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import convolve1d
from skimage.morphology import black_tophat, disk, thin, white_tophat
from torch import Tensor

from mfif.classical.closed_form_matting import Mask, Values, closed_form_matting
from mfif.classical.gray8 import gray8

Gray = NDArray[np.uint8]
Focus = NDArray[np.int_]

_LEVEL_SIDES = (256, 512, 768)  # a square image larger than each of these has another level
_UNMISTAKABLE = 127  # a difference of focus, in gray levels, that no filter takes back


class ImageMatting:
    """Takes the first source's focused regions for a foreground, whose opacity is the decision map.

    Args:
        radius: Radius in pixels of the disk of the top-hat filters that measure focus.
        window: Side in pixels of the median filter of the focused regions.
        iterations: How often the focused regions are thinned.

    Raises:
        ValueError: An argument is under 1.

    Source: Li, Kang, Hu, Yang, "Image matting for fusion of multi-focus images in dynamic scenes", Information Fusion
    14(2), 2013, with the closed-form matting of the authors' code. scikit-image's thinning stands in for MATLAB's
    skeleton of as many iterations.
    """

    takes_colour = True

    def __init__(self, radius: int = 2, window: int = 8, iterations: int = 5) -> None:
        for name, value in (("radius", radius), ("window", window), ("iterations", iterations)):
            if value < 1:
                raise ValueError(f"Expected `{name}` to be at least 1, got {value}.")
        self.radius = radius
        self.window = window
        self.iterations = iterations

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Decision map ``(B, 1, H, W)``, continuous, of sources ``(B, 1 or 3, H, W)`` in [0, 1]."""
        return self._opacity(a, b).clamp(0, 1)

    def fuse(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Fused image and decision map of sources ``(B, 1 or 3, H, W)`` in [0, 1], as in the authors' code.

        Matting leaves [0, 1] in places. There the code limits the weight of `b`, and rounds it to 8 bit, but not that
        of `a`, so that the image is too bright or too dark. The published scores have it.
        """
        opacity = self._opacity(a, b)
        rest = 1 - (255 * opacity).round().clamp(0, 255) / 255
        return (opacity * a + rest * b).clamp(0, 1), opacity.clamp(0, 1)

    def _opacity(self, a: Tensor, b: Tensor) -> Tensor:
        opacity = torch.empty_like(a[:, :1])
        colours = a.movedim(1, -1).double().cpu().numpy()
        for index, pair in enumerate(zip(gray8(a), gray8(b), strict=True)):
            known, foreground = self._trimap(*pair)
            alpha = closed_form_matting(colours[index], known, foreground, count_levels(known.size))
            opacity[index, 0] = torch.from_numpy(alpha)
        return opacity

    def _trimap(self, a: Gray, b: Gray) -> tuple[Mask, Mask]:
        """Where one source alone is in focus, and where that is `a`."""
        focus_a, focus_b = (self._focus_measure(image) for image in (a, b))
        in_focus_a = self._in_focus(focus_a, focus_b)
        in_focus_b = self._in_focus(focus_b, focus_a)
        only_a = (in_focus_a == 1) & (in_focus_b == 0)
        only_b = (in_focus_b == 1) & (in_focus_a == 0)
        return only_a | only_b, only_a

    def _focus_measure(self, image: Gray) -> Focus:
        footprint = disk(self.radius)
        measure: Focus = np.maximum(white_tophat(image, footprint), black_tophat(image, footprint)).astype(int)
        return measure

    def _in_focus(self, own: Focus, other: Focus) -> Values:
        """1 where the own focus is larger throughout, 0 where it is not, 0.5 where that is tied."""
        region = thin(binary_median(own > other, self.window) > 0, self.iterations)
        return np.where(own - other > _UNMISTAKABLE, 1.0, binary_median(region, self.window))


def count_levels(area: int) -> int:
    """Levels of the matting of an image with so many pixels."""
    return 1 + sum(area > side * side for side in _LEVEL_SIDES)


def binary_median(mask: Mask, side: int) -> Values:
    """Median of zeros and ones in square windows, with zeros around the image; 0.5 where there are as many of each.

    A window of even side has one more pixel after its centre than before it, as MATLAB's.
    """
    ones = mask.astype(int)
    for axis in (0, 1):
        ones = convolve1d(ones, np.ones(side, int), axis, mode="constant")
    median: Values = (1 + np.sign(2 * ones - side * side)) / 2
    return median
