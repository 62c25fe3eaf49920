"""Small regions of a map, found strip by strip, so that there is no number for each of its pixels."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

_EIGHT_CONNECTED = np.ones((3, 3), bool)
_STRIP = 2**20  # pixels that are labelled at once


def flip_small_regions(mask: NDArray[np.bool_], value: bool, smallest_kept: int) -> None:
    """Turn the 8-connected regions of a value that have too few pixels to the other value, in place.

    Args:
        mask: ``(H, W)``.
        value: Of the regions.
        smallest_kept: Pixels of the smallest region that stays.
    """
    height, width = mask.shape
    rows = max(_STRIP // max(width, 1), 1)
    strips = [mask[top : top + rows] for top in range(0, height, rows)]
    sizes, seams = [np.zeros(1, np.int64)], [np.zeros((0, 2), np.int64)]  # number 0 is that of the other value
    above, count = np.zeros(width, np.int64), 0
    for strip in strips:
        labels, found = label(strip == value, _EIGHT_CONNECTED)
        sizes.append(np.bincount(labels.ravel(), minlength=found + 1)[1:])
        seams.append(_touching(above, _numbered(labels[0], count)))
        above = _numbered(labels[-1], count)
        count += found
    pairs = np.concatenate(seams)
    links = coo_array((np.ones(len(pairs), bool), pairs.T), shape=(count + 1, count + 1))
    parts, region_of = connected_components(links, directed=False)
    region_sizes = np.zeros(parts, np.int64)
    np.add.at(region_sizes, region_of, np.concatenate(sizes))
    small = region_sizes[region_of] < smallest_kept
    small[0] = False
    count = 0
    for strip in strips:
        labels, found = label(strip == value, _EIGHT_CONNECTED)
        strip[np.append(False, small[count + 1 : count + 1 + found])[labels]] = not value
        count += found


def _numbered(labels: NDArray[np.int32], before: int) -> NDArray[np.int64]:
    """Labels of a row, counted on from those of the strips before."""
    return np.where(labels > 0, labels.astype(np.int64) + before, 0)


def _touching(above: NDArray[np.int64], below: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pairs of labels that meet between two rows, over corners too, each once."""
    shifted = [(above, below), (above[1:], below[:-1]), (above[:-1], below[1:])]
    pairs = np.concatenate([np.stack(pair, 1) for pair in shifted])
    return np.unique(pairs[(pairs > 0).all(1)], axis=0)
