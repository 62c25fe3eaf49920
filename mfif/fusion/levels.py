"""Images in the type they are stored in, and in the [0, 1] that methods compute with."""

from collections.abc import Iterator
from math import floor, log2

import torch
from torch import Tensor

from mfif.fusion.tiles import Raster, bands, whole
from mfif.pair import blend

_AT_ONCE = 2**20  # pixels that are looked at at once
_TILE = 512  # side in pixels of what is blended at once, in double precision


def colour(image: Tensor) -> Tensor:
    """The one or three channels of an image ``(B, C, H, W)`` that are seen: all but an alpha channel."""
    return image[:, : 3 if image.shape[1] > 2 else 1]


def to_unit(image: Tensor) -> Tensor:
    """Image in [0, 1], float32, of one of integers of full range, or of floats that lie there.

    Raises:
        ValueError: Floats lie elsewhere.
    """
    if not image.dtype.is_floating_point:
        return image.float() / torch.iinfo(image.dtype).max
    low, high = image.aminmax()
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"Expected floating-point `images` to lie in [0, 1], got values from {low:g} to {high:g}. "
            "Divide by their white level, or pass integers."
        )
    return image.float()


def from_unit(image: Tensor, kind: torch.dtype) -> Tensor:
    """Image of a type, of one in [0, 1]; integers have their full range and are rounded, halves up."""
    return image.to(kind) if kind.is_floating_point else _round(image.double() * torch.iinfo(kind).max, kind)


def gain_of(image: Raster) -> float:
    """What the levels of an image ``(B, C, H, W)`` are multiplied by so that methods see the range that it uses.

    Cameras of 12 bit fill a sixteenth of the 16 that files have, where methods take texture for none. It is a power of
    two, which rounds nothing, and leaves integers 64 levels at least: fewer show steps in place of texture.
    """
    height, width = image.shape[-2:]
    rows = max(_AT_ONCE // width, 1)
    return min(gain_of_part(image[..., top : min(top + rows, height), :]) for top in range(0, height, rows))


def gain_of_part(image: Tensor) -> float:
    """The gain of an image in memory; that of a larger one is the least of its parts."""
    seen = colour(image)
    if seen.dtype.is_floating_point:
        largest, most = float(seen.amax()), 2.0**10
    else:
        full = torch.iinfo(seen.dtype).max
        # Maxima of uint16 are not implemented; as int32 it has the same values.
        largest = int((seen.to(torch.int32) if seen.dtype == torch.uint16 else seen).amax()) / full
        most = (full + 1) / 64
    if not 0 < largest <= 1:
        return most if largest == 0 else 1.0
    return min(2.0 ** floor(-log2(largest)), most)


def blend_levels(a: Tensor, b: Tensor, alpha: Tensor) -> Tensor:
    """Fuse sources ``(B, C, H, W)`` in their own type by a map ``(B, 1, H, W)``, see `mfif.pair.blend`.

    Integers are rounded, halves up as MATLAB does, and exact wherever the map is 0 or 1.
    """
    return whole(blend_bands(a, b, alpha), a.shape[-2])


def blend_bands(a: Raster, b: Raster, alpha: Raster) -> Iterator[Tensor]:
    """The same band by band, from the top; see `mfif.fusion.tiles.bands`."""
    return bands(_blend, (a, b, alpha), side=_TILE, halo=0)


def _blend(a: Tensor, b: Tensor, alpha: Tensor) -> Tensor:
    if a.dtype.is_floating_point:
        return blend(a, b, alpha.to(a.dtype))
    return _round(blend(a.double(), b.double(), alpha.double()), a.dtype)


def _round(values: Tensor, kind: torch.dtype) -> Tensor:
    return (values + 0.5).floor().to(kind)
