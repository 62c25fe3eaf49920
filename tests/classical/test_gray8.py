import numpy as np
import torch

from mfif.classical.gray8 import gray8


def test_levels_come_back():
    levels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    assert np.array_equal(gray8(levels / 255), levels[:, 0].numpy())


def test_colour_is_mixed_as_in_matlab():
    # What MATLAB's rgb2gray gives for pure red, green and blue, and for a mixture.
    colours = torch.tensor([[255, 0, 0], [0, 255, 0], [0, 0, 255], [10, 200, 90]]) / 255
    assert gray8(colours.T.reshape(1, 3, 1, 4)).tolist() == [[[76, 150, 29, 131]]]
