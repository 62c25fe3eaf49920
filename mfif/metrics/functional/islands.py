"""Islands of a decision map: regions too small to be believed."""

import numpy as np
import torch
from scipy.ndimage import label
from torch import Tensor

from mfif.metrics.functional.precision import working_dtype
from mfif.metrics.functional.validation import check_shapes
from mfif.pair import binarize

_EIGHT_CONNECTED = np.ones((3, 3), bool)


def islands(alpha: Tensor, share: float = 0.001) -> Tensor:
    """Number of small regions of the decision map, of either source; lower is better.

    A region is 8-connected, as for `mfif.fusion.refine.RemoveSmallRegions`, which gives such regions to the other
    source.

    Args:
        alpha: Decision map, ``(B, 1, H, W)`` in [0, 1], thresholded at 0.5 as for the fused image.
        share: A region is small below this fraction of the image's area, in (0, 1).

    Returns:
        ``(B,)``, 0 and more. NaN for a map with a value that is not finite.

    Raises:
        TypeError: The map is not a real tensor.
        ValueError: The map is not ``(B, 1, H, W)`` or is empty, or `share` is outside of (0, 1).

    Source: ours; that such regions are errors is the premise of the verification step of Liu et al., Information Fusion
    2017.

    Example:
        >>> import torch
        >>> alpha = torch.zeros(1, 1, 30, 30)
        >>> alpha[..., 10:], alpha[..., 20, 20], alpha[..., 5, 5] = 1, 0, 1
        >>> islands(alpha, share=0.01)
        tensor([2.], dtype=torch.float64)
    """
    check_shapes((1,), alpha=alpha)
    if not 0 < share < 1:
        raise ValueError(f"Expected `share` to be in (0, 1), got {share}.")
    known = alpha.isfinite().all((1, 2, 3))
    smallest = share * alpha.shape[-2] * alpha.shape[-1]
    masks = (binarize(alpha) == 1).cpu().numpy()
    counts = [sum(_small_regions(region, smallest) for region in (mask, ~mask)) for (mask,) in masks]
    found = torch.tensor(counts, dtype=working_dtype(alpha.device), device=alpha.device)
    return found.masked_fill(~known, torch.nan)


def _small_regions(region: np.ndarray, smallest: float) -> int:
    labels, _ = label(region, _EIGHT_CONNECTED)
    return int((np.bincount(labels.ravel())[1:] < smallest).sum())
