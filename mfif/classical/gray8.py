"""The 8-bit gray that morphological methods start from."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mfif.pair import luma


def gray8(image: Tensor) -> NDArray[np.uint8]:
    """Gray levels as MATLAB's ``rgb2gray`` rounds them.

    Args:
        image: ``(B, 1 or 3, H, W)`` in [0, 1].

    Returns:
        ``(B, H, W)``.
    """
    levels: NDArray[np.uint8] = (255 * luma(image)[:, 0] + 0.5).to(torch.uint8).cpu().numpy()
    return levels
