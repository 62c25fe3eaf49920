"""Large images in tiles, so that memory stays bounded and the result is that of the whole image."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor


class Raster(Protocol):
    """What tiles are cut from: a tensor ``(..., H, W)``, or an image in a file, see `mfif.fusion.rasters`."""

    @property
    def shape(self) -> torch.Size:
        """As of a tensor."""

    @property
    def dtype(self) -> torch.dtype:
        """As of a tensor."""

    def __getitem__(self, window: Any, /) -> Tensor:
        """The tensor of a window ``[..., rows, columns]``, both slices."""


Keep = Callable[[Iterable[Tensor], int], Raster]
"""What is done with an image that comes in bands, given their height together: `whole`, or to lay it down in a file."""


Watch = Callable[[float], None]
"""What is told the number of pixels that were done since it was told last."""


def bands(
    call: Callable[..., Tensor],
    images: Sequence[Raster],
    side: int | None,
    halo: int | None,
    stride: int = 1,
    watch: Watch | None = None,
) -> Iterator[Tensor]:
    """Call a function on windows of images, and give what it makes of them band by band.

    Args:
        call: Takes as many images as there are, ``(..., H, W)``, and gives one of the same height and width.
        images: The images, of one height and width.
        side: Side of a tile in pixels; None takes the images whole.
        halo: Pixels that a result depends on to each side; None takes the images whole, too.
        stride: Tiles and their surroundings begin at multiples of it; sides and halos are rounded up to them.
        watch: Is told of every tile when it is done.

    Yields:
        Bands ``(..., side, W)`` from the top, the last one of what is left; or all at once.
    """
    height, width = images[0].shape[-2:]
    if side is not None and halo is not None:
        side, halo = (-(-length // stride) * stride for length in (side, halo))
    if side is None or halo is None or max(height, width) <= side + 2 * halo:  # what a tile and its surroundings take
        result = call(*map(as_tensor, images))
        if watch is not None:
            watch(height * width)
        yield result
        return
    for top in range(0, height, side):
        band = torch.empty(0)
        for left in range(0, width, side):
            # The halo ends at the border of the image, where the whole image would be padded just the same.
            above, before = max(top - halo, 0), max(left - halo, 0)
            rows, columns = slice(above, min(top + side + halo, height)), slice(before, left + side + halo)
            part = call(*(image[..., rows, columns] for image in images))
            own = part[..., top - above : top - above + side, left - before : left - before + side]
            if not band.numel():
                band = own.new_empty((*own.shape[:-1], width))
            band[..., left : left + side] = own
            if watch is not None:
                watch(own.shape[-2] * own.shape[-1])
        yield band


def tiled(
    call: Callable[..., Tensor], images: Sequence[Raster], side: int | None, halo: int | None, stride: int = 1
) -> Tensor:
    """What a function makes of images, computed in tiles: `bands`, put together.

    Returns:
        ``(..., H, W)``, in the type that the function gives.

    Example:
        >>> torch.equal(tiled(lambda image: 2 * image, [torch.eye(9)], side=4, halo=0), 2 * torch.eye(9))
        True
    """
    return whole(bands(call, images, side, halo, stride), images[0].shape[-2])


def whole(parts: Iterable[Tensor], height: int) -> Tensor:
    """Bands ``(..., h, W)`` as the image that they make, ``(..., height, W)``."""
    image, top = torch.empty(0), 0
    for part in parts:
        rows = part.shape[-2]
        if rows == height:
            return part
        if top == 0:
            image = part.new_empty((*part.shape[:-2], height, part.shape[-1]))
        image[..., top : top + rows, :] = part
        top += rows
    return image


def as_tensor(image: Raster) -> Tensor:
    """All of an image in memory; a tensor as it is."""
    return image if isinstance(image, Tensor) else image[..., :, :]
