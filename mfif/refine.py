"""What may be done to a thresholded decision map before it fuses."""

import math

import torch
from skimage.morphology import remove_small_holes, remove_small_objects
from torch import Tensor


class RemoveSmallRegions:
    """Hands regions of the map that are too small to be believed to the other source.

    First the small regions of ones, then those of zeros, both 8-connected.

    Args:
        share: Smallest region kept, as a fraction of the image's area.

    Raises:
        ValueError: `share` is outside of [0, 1).

    Source: the verification step of Liu et al., Information Fusion 2017, who take 1 % of the area.
    """

    def __init__(self, share: float = 0.01) -> None:
        if not 0 <= share < 1:
            raise ValueError(f"Expected `share` to be in [0, 1), got {share}.")
        self.share = share

    def __call__(self, decision: Tensor) -> Tensor:
        """Cleaned map of the same shape ``(B, 1, H, W)``, dtype and device; zeros and ones in, zeros and ones out."""
        cleaned = torch.empty_like(decision)
        smallest_kept = math.ceil(self.share * (decision.shape[-2] * decision.shape[-1]))
        largest = max(smallest_kept - 1, 0)
        for index, image in enumerate(decision):
            regions = (image[0] > 0.5).cpu().numpy()
            regions = remove_small_objects(regions, max_size=largest, connectivity=2)
            regions = remove_small_holes(regions, max_size=largest, connectivity=2)
            cleaned[index, 0] = torch.from_numpy(regions)
        return cleaned
