import numpy as np
from matplotlib import colormaps

from mfif.fusion.depth import depth_preview


def test_places_are_coloured_evenly() -> None:
    index = np.array([[3, 0], [1, 9]], np.int16)
    picture = depth_preview(index, order=[9, 1, 0, 3], smoothing=0)
    expected = [[colormaps["viridis"](place)[:3] for place in row] for row in ((1.0, 2 / 3), (1 / 3, 0.0))]
    assert np.abs(picture - 255 * np.array(expected)).max() <= 2
    assert picture.dtype == np.uint8


def test_smoothing_keeps_regions_and_spares_the_index() -> None:
    index = np.zeros((40, 200), np.int16)
    index[:, 100:] = 1
    index[20, 30] = 1
    before = index.copy()
    sharp, smooth = (depth_preview(index, [0, 1], smoothing).astype(int) for smoothing in (0, 0.02))
    assert np.abs(sharp[20, 30] - sharp[0, 0]).max() > 100
    assert np.abs(smooth[20, 30] - smooth[0, 0]).max() < 20
    assert np.array_equal(smooth[0, [0, -1]], sharp[0, [0, -1]])
    assert np.array_equal(index, before)
