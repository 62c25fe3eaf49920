"""Images in the type they are stored in, and in the [0, 1] that methods compute with."""

from collections.abc import Iterator

import torch
from torch import Tensor

from mfif.fusion.tiles import Raster, bands, whole
from mfif.pair import blend

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
