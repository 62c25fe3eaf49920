"""Images that stay in files and are read window by window, so that they need not fit into memory."""

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mfif.files import write_error
from mfif.fusion.tiles import Raster


class FileRaster:
    """An image that is read by rows when a window of it is asked for; the rows read last stay in memory.

    Args:
        read: Gives the rows from one to before another as an array ``(rows, W)`` or ``(rows, W, C)``.
        shape: Of all of them.
        dtype: Of their values.
        device: Where windows are wanted.
    """

    def __init__(
        self,
        read: Callable[[int, int], NDArray[Any]],
        shape: tuple[int, ...],
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        height, width, *channels = shape
        self.shape = torch.Size((1, *(channels or [1]), height, width))
        self.dtype = dtype
        self._read, self._device = read, device
        self._top, self._rows = 0, torch.empty(1, 1, 0, width)

    def __getitem__(self, window: Any) -> Tensor:
        """A window ``[..., rows, columns]`` as ``(1, C, h, w)``."""
        _, rows, columns = window
        top, bottom, _ = rows.indices(self.shape[-2])
        if top < self._top or bottom > self._top + self._rows.shape[-2]:
            self._rows = torch.empty(1, 1, 0, 1)  # before there are others
            array = np.require(self._read(top, bottom), requirements="W").reshape(bottom - top, self.shape[-1], -1)
            self._top, self._rows = top, torch.from_numpy(array).movedim(-1, 0)[None]
        return self._rows[..., top - self._top : bottom - self._top, columns].to(self._device)


class OpaqueRaster:
    """An image with an alpha channel that it does not have.

    Args:
        image: The image.
    """

    def __init__(self, image: Raster) -> None:
        batch, channels, *size = image.shape
        self.shape, self.dtype = torch.Size((batch, channels + 1, *size)), image.dtype
        self._image = image

    def __getitem__(self, window: Any) -> Tensor:
        """A window ``[..., rows, columns]``."""
        return with_alpha(self._image[window])


def with_alpha(image: Tensor) -> Tensor:
    """An image ``(B, C, H, W)`` with one more channel, of full opacity."""
    white = 1 if image.dtype.is_floating_point else torch.iinfo(image.dtype).max
    return torch.cat([image, torch.full_like(image[:, :1], white)], dim=1)


class Scratch:
    """Lays images down in temporary files, of which nothing is left when the images are no longer used.

    Args:
        folder: Where the files are; they need the room of the images.
        device: Where windows of the images are wanted.
    """

    def __init__(self, folder: Path, device: torch.device) -> None:
        self._folder, self._device = folder, device

    def __call__(self, bands: Iterable[Tensor], height: int) -> Raster:
        """Lay down an image ``(1, C, height, W)`` that comes in bands, see `mfif.fusion.tiles.Keep`.

        Raises:
            InputError: There is no room for it.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115  # has no name, and is closed with the image
            for band in bands:
                rows = np.ascontiguousarray(band[0].movedim(0, -1).cpu().numpy())
                file.write(rows.data)
            file.flush()
        except OSError as error:
            raise write_error(self._folder, error) from error
        _, width, channels = rows.shape
        kind, size = rows.dtype, width * channels  # so that what is returned holds no rows

        def read(top: int, bottom: int) -> NDArray[Any]:
            file.seek(top * size * kind.itemsize)
            return np.fromfile(file, kind, (bottom - top) * size)

        return FileRaster(read, (height, width, channels), band.dtype, self._device)
