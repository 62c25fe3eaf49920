"""What may be done to a thresholded decision map before it fuses: functions of the map and both sources as they are."""

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from mfif.errors import InputError
from mfif.fusion.levels import colour, to_unit
from mfif.fusion.tiles import Raster, tiled
from mfif.guided import guided_filter
from mfif.pair import blend, luma

Refinement: TypeAlias = Callable[[Tensor, Any, Any], Tensor]
"""``(decision, a, b) -> decision``: of a map ``(B, 1, H, W)`` of zeros and ones, and the sources as they are.

The map is floating, or uint8 where the attribute ``takes_any_type`` is true. The sources are tensors, or where they
stay in files, `mfif.fusion.tiles.Raster`.
"""

_TILE = 1024  # side in pixels of what is filtered at once, in double precision


class RemoveSmallRegions:
    """Hands regions of the map that are too small to be believed to the other source.

    First the small regions of ones, then those of zeros, both 8-connected.

    Args:
        share: Smallest region kept, as a fraction of the image's area.

    Raises:
        ValueError: `share` is outside of [0, 1).

    Source: the verification step of Liu et al., Information Fusion 2017, who take 1 % of the area.
    """

    takes_any_type = True

    def __init__(self, share: float = 0.01) -> None:
        if not 0 <= share < 1:
            raise ValueError(f"Expected `share` to be in [0, 1), got {share}.")
        self.share = share

    def __call__(self, decision: Tensor, a: Raster, b: Raster) -> Tensor:
        """Cleaned map of the same shape ``(B, 1, H, W)``, dtype and device; zeros and ones in, zeros and ones out."""
        from mfif.regions import flip_small_regions  # SciPy, which is slow to import

        regions = (decision > 0.5).cpu().numpy()
        smallest_kept = math.ceil(self.share * (decision.shape[-2] * decision.shape[-1]))
        for (mask,) in regions:
            for value in (True, False):
                flip_small_regions(mask, value, smallest_kept)
        return torch.from_numpy(regions.view(np.uint8)).to(decision)


class GuidedFilter:
    """Softens the map's edges along those of the image that it fuses.

    Args:
        radius: Half the side of a window in pixels, without the middle.
        eps: Variance of the image below which a window counts as flat.

    Source: the last step of Liu et al., Information Fusion 2017; the filter is that of He et al., IEEE TPAMI 2013.
    """

    def __init__(self, radius: int = 8, eps: float = 0.1) -> None:
        self.radius = radius
        self.eps = eps

    def __call__(self, decision: Tensor, a: Raster, b: Raster) -> Tensor:
        """Continuous map in [0, 1] of a map of zeros and ones, both ``(B, 1, H, W)``, and the sources."""
        return tiled(self._smooth, (decision, a, b), side=_TILE, halo=2 * self.radius)

    def _smooth(self, decision: Tensor, a: Tensor, b: Tensor) -> Tensor:
        gray_a, gray_b = (luma(to_unit(colour(source))) for source in (a, b))
        guide = blend(gray_a, gray_b, decision)
        return guided_filter(guide, decision, self.radius, self.eps).clamp(0, 1)


class BlendSeam:
    """Mixes the sources near the seam: the map rises in a straight line across it, and is left as it was elsewhere.

    Args:
        width: How far the mix reaches into each side of the seam, in pixels from the edge that two pixels share.

    Raises:
        ValueError: `width` is not positive.
    """

    def __init__(self, width: float) -> None:
        if not 0 < width < math.inf:
            raise ValueError(f"Expected `width` to be positive, got {width}.")
        self.width = width

    def __call__(self, decision: Tensor, a: Raster, b: Raster) -> Tensor:
        """Continuous map in [0, 1] of a map of zeros and ones, both ``(B, 1, H, W)``.

        Raises:
            InputError: The map has other values.
        """
        return tiled(self._soften, (decision,), side=_TILE, halo=math.ceil(self.width) + 1)

    def _soften(self, decision: Tensor) -> Tensor:
        from scipy.ndimage import distance_transform_edt

        regions = (decision == 1).cpu().numpy()
        if not (regions | (decision == 0).cpu().numpy()).all():
            raise InputError("Expected a map of zeros and ones to blend at its seam, got one that is soft already.")
        soft = torch.empty_like(decision)
        for index, (inside,) in enumerate(regions):
            if inside.all() or not inside.any():
                soft[index] = decision[index]
                continue
            depth = np.where(inside, distance_transform_edt(inside) - 0.5, 0.5 - distance_transform_edt(~inside))
            soft[index, 0] = torch.from_numpy((0.5 + depth / (2 * self.width)).clip(0, 1))
        return soft


class InTurn:
    """Several steps, each on the map the one before gave.

    Args:
        steps: Steps by name, in their order.
    """

    takes_any_type = True

    def __init__(self, steps: Mapping[str, Refinement]) -> None:
        self.steps = tuple(steps.values())

    def __call__(self, decision: Tensor, a: Raster, b: Raster) -> Tensor:
        """Map ``(B, 1, H, W)`` after the last step."""
        for step in self.steps:
            decision = refined(decision, a, b, step)
        return decision


def refined(decision: Tensor, a: Raster, b: Raster, step: Refinement) -> Tensor:
    """What a step makes of a map ``(B, 1, H, W)`` of zeros and ones, in the type that the step takes."""
    takes_it = decision.is_floating_point() or getattr(step, "takes_any_type", False)
    return step(decision if takes_it else decision.float(), a, b)
