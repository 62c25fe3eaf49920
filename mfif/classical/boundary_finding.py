"""BF: the boundary between the focused regions is found first, and what lies on either side follows from it."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, find_objects, label, prewitt, uniform_filter
from skimage.morphology import dilation, disk, erosion, octagon, remove_small_objects, thin
from skimage.segmentation import watershed
from torch import Tensor

from mfif.classical.gray8 import gray8

Gray = NDArray[np.uint8]
Focus = NDArray[np.float64]
Mask = NDArray[np.bool_]
Labels = NDArray[np.uint8]  # 1 where the first source is in focus, 2 where the second is, 0 where that is open

_EIGHT_CONNECTED = np.ones((3, 3), bool)
_DECIDED = 0.8  # from this share of the largest difference possible on, a window decides for a source
_LONGEST = 0.2  # share of the lines, the longest, that say how long a line must be
_SMALLEST_REGION = 1 / 40  # of the image's area
_MARGIN = 2  # pixels by which the bounding box of an open region is larger where its surroundings are counted


class BoundaryFinding:
    """Finds the boundary between the focused regions, and mixes the sources near to it.

    Args:
        window: Side in pixels of the windows in which focus is compared.
        scales: Number of scales of the focus measure.
        band: Radius in pixels of the band around the first boundary within which a better one is searched.
        blend_radius: Radius in pixels of the band around the last boundary within which the sources are mixed.

    Raises:
        ValueError: An argument is under 1, or `window` is even.

    Source: Zhang, Bai, Wang, "Boundary finding based multi-focus image fusion through multi-scale morphological
    focus-measure", Information Fusion 35, 2017, and the authors' code. scikit-image's thinning and watershed stand in
    for MATLAB's. Where one source is nowhere in focus the other has all the weight, and where none is each has half;
    the authors' code divides by zero there.
    """

    def __init__(self, window: int = 7, scales: int = 5, band: int = 20, blend_radius: int = 3) -> None:
        for name, value in (("window", window), ("scales", scales), ("band", band), ("blend_radius", blend_radius)):
            if value < 1:
                raise ValueError(f"Expected `{name}` to be at least 1, got {value}.")
        if window % 2 == 0:
            raise ValueError(f"Expected `window` to be odd, got {window}.")
        self.window = window
        self.scales = scales
        self.band = band
        self.blend_radius = blend_radius

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Decision map ``(B, 1, H, W)``, continuous near the boundary, of gray sources of that shape in [0, 1]."""
        alpha = torch.empty_like(a)
        for index, pair in enumerate(zip(gray8(a), gray8(b), strict=True)):
            alpha[index, 0] = torch.from_numpy(self._decide(*pair))
        return alpha

    def _decide(self, a: Gray, b: Gray) -> Focus:
        focus = [focus_measure(image, self.scales) for image in (a, b)]
        labels = label_regions(long_lines(self._undecided(*focus)), *focus)
        labels = reconstruct(labels, boundary=labels == 0)
        # The two watersheds find their ways along the edges of one source each; the sharper result is better.
        markers = erode(labels, self.band) > 0
        ridges = [watershed_ridges(measure, markers) for measure in focus]
        regions = [label_regions(ridge, *focus) for ridge in ridges]
        first, second = (focus_measure(select(a, b, labels), self.scales).mean() for labels in regions)
        best = 0 if first > second else 1
        labels = reconstruct(regions[best], boundary=ridges[best])
        return distance_weights(erode(labels, self.blend_radius))

    def _undecided(self, focus_a: Focus, focus_b: Focus) -> Mask:
        """Where the windows of neither source have clearly more focus."""
        sum_a, sum_b, sum_max = (
            self.window**2 * uniform_filter(focus, self.window, mode="constant")
            for focus in (focus_a, focus_b, np.maximum(focus_a, focus_b))
        )
        difference = np.abs(sum_a - sum_b)
        largest = sum_max - (sum_a + sum_b - sum_max)
        decided: Mask = (difference >= _DECIDED * largest) & (difference >= self.window**2)
        return ~decided


def matlab_disk(radius: int) -> Sequence[tuple[NDArray[np.uint8], int]]:
    """MATLAB's ``strel("disk", radius)``, from a radius of 3 on an octagon ``2 * radius - 1`` wide.

    Returns:
        Footprints and how often each is applied, as scikit-image takes them.
    """
    if radius < 3:
        return ((disk(radius), 1),)
    reach = 2 * radius / (1 / math.tan(math.pi / 8) + 1 / math.sin(math.pi / 8))
    corner = 2 * math.floor(reach / math.sqrt(2))
    footprints: Sequence[tuple[NDArray[np.uint8], int]] = octagon(
        2 * (radius - corner) - 1, corner, decomposition="sequence"
    )
    return footprints


def erode(labels: Labels, radius: int) -> Labels:
    """Labels with a disk's radius taken from every region, open ones excepted."""
    eroded: Labels = erosion(labels, matlab_disk(radius))
    return eroded


def focus_measure(image: Gray, scales: int) -> Focus:
    """Sum of the morphological gradients by disks of radius 3, 5, 7, ..., each divided by its radius."""
    measure = np.zeros(image.shape)
    for radius in range(3, 2 * scales + 2, 2):
        footprint = matlab_disk(radius)
        measure += (dilation(image, footprint) - erosion(image, footprint)) / radius
    return measure


def long_lines(undecided: Mask) -> Mask:
    """Lines of one pixel along the middle of regions; those no shorter than the longest fifth is on average."""
    padded = np.pad(undecided, 2, constant_values=True)  # lines shall run to the border of the image
    lines, count = label(thin(padded)[2:-2, 2:-2], _EIGHT_CONNECTED)
    if count == 0:
        return np.zeros_like(undecided)
    lengths = np.bincount(lines.ravel())[1:]
    longest = np.sort(lengths)[-math.ceil(_LONGEST * count) :]
    kept = np.append(False, lengths >= longest.mean())
    long: Mask = kept[lines]
    return long


def label_regions(boundary: Mask, focus_a: Focus, focus_b: Focus) -> Labels:
    """Gives each 4-connected region between boundaries to the source with more focus in it; a tie stays open."""
    regions, count = label(~boundary)
    sum_a, sum_b = (np.bincount(regions.ravel(), focus.ravel(), count + 1) for focus in (focus_a, focus_b))
    choice = np.select([sum_a > sum_b, sum_b > sum_a], [1, 2]).astype(np.uint8)
    choice[0] = 0  # the boundary
    labels: Labels = choice[regions]
    return labels


def reconstruct(labels: Labels, boundary: Mask) -> Labels:
    """Gives small regions to what is around them, and each pixel of a boundary to the only label next to it.

    Args:
        labels: Regions, ``(H, W)``.
        boundary: Open pixels between them; they stay open where both labels are next to them, or none.
    """
    labels = fill_open_regions(remove_small_regions(labels), boundary)
    near_a, near_b = (dilation(labels == source, _EIGHT_CONNECTED) for source in (1, 2))
    only = np.select([near_a & ~near_b, near_b & ~near_a], [1, 2])
    return np.where(boundary, only, labels).astype(np.uint8)


def remove_small_regions(labels: Labels) -> Labels:
    """Opens the 4-connected regions of one label that are under a fortieth of the image."""
    smallest_kept = math.floor(labels.size * _SMALLEST_REGION + 0.5)
    kept = [remove_small_objects(labels == source, max_size=max(smallest_kept - 1, 0)) for source in (1, 2)]
    return np.select(kept, [1, 2]).astype(np.uint8)


def fill_open_regions(labels: Labels, boundary: Mask) -> Labels:
    """Gives each 8-connected open region to the label that is more frequent around it.

    Around it means in its bounding box and a little more. Boundaries, and regions where that is tied, stay open.
    """
    filled = labels.copy()
    regions, _ = label((labels == 0) & ~boundary, _EIGHT_CONNECTED)
    for index, box in enumerate(find_objects(regions), start=1):
        around = labels[tuple(slice(max(side.start - _MARGIN, 0), side.stop + _MARGIN) for side in box)]
        count_a, count_b = ((around == source).sum() for source in (1, 2))
        filled[regions == index] = np.select([count_a > count_b, count_b > count_a], [1, 2])
    return filled


def watershed_ridges(focus: Focus, markers: Mask) -> Mask:
    """Where basins that grow from 8-connected markers over the slopes of a focus measure meet."""
    basins, count = label(markers, _EIGHT_CONNECTED)
    if count == 0:
        return np.zeros_like(markers)
    slope = np.hypot(prewitt(focus, 0, mode="nearest"), prewitt(focus, 1, mode="nearest"))
    ridges: Mask = watershed(slope, basins, connectivity=2, watershed_line=True) == 0
    return ridges


def select(a: Gray, b: Gray, labels: Labels) -> Gray:
    """Each pixel from the source that its label names; where it is open, the average."""
    average = ((a.astype(int) + b + 1) // 2).astype(np.uint8)
    return np.select([labels == 1, labels == 2], [a, b], average)


def distance_weights(labels: Labels) -> Focus:
    """Weights of the first source: 1 and 0 in the regions of the labels, between them by the distances to both."""
    found_a, found_b = (int((labels == source).any()) for source in (1, 2))
    if not (found_a and found_b):
        return np.full(labels.shape, (1 + found_a - found_b) / 2)
    to_a, to_b = (distance_transform_edt(labels != source) for source in (1, 2))
    weights: Focus = to_b / (to_a + to_b)
    return weights
