"""TIFF files row by row, so that they need not fit into memory."""

from pathlib import Path
from typing import BinaryIO

import numpy as np
import tifffile
from PIL import ExifTags
from PIL.ImageFile import ImageFile

from mfif.images.metadata import Metadata, read_metadata
from mfif.images.pages import Page, quiet_tifffile
from mfif.images.reading import located, opened, worded
from mfif.images.writing import Pixels

_LOSSLESS = frozenset({1, 5, 8, 32946, 32773})  # none, LZW, Deflate by both its numbers, PackBits
_BLACK_IS_ZERO, _RGB = 1, 2
_STRAIGHT_ALPHA = 2
_LARGEST_SEGMENT = 2**26  # bytes of a compressed strip or tile, decoded, beyond which there is little to gain


class Strips:
    """A TIFF file that is read by rows; they are those that `mfif.images.read_photo` gives of it.

    Args:
        source: The file, or one of its pages.
        page: The page that is meant.
        metadata: What it carries beside its pixels.

    Attributes:
        shape: ``(H, W)``, or ``(H, W, C)`` with 2 to 4 channels.
        dtype: Of the samples, uint8 or uint16.
        metadata: As given.
    """

    def __init__(self, source: Path | Page, page: tifffile.TiffPage, metadata: Metadata) -> None:
        self.shape: tuple[int, ...] = tuple(page.shape)
        self.dtype = np.dtype(page.dtype)
        self.metadata = metadata
        self._source, self._page = source, page

    def read(self, top: int, bottom: int) -> Pixels:
        """The rows from `top` to before `bottom`.

        Raises:
            InputError: The file is damaged or gone.
        """
        path, _ = located(self._source)
        with worded(self._source), path.open("rb") as stream:
            if self._page.is_contiguous:
                return self._stored(stream, top, bottom)
            return self._decoded(stream, top, bottom)

    def _stored(self, stream: BinaryIO, top: int, bottom: int) -> Pixels:
        row = int(np.prod(self.shape[1:]))
        size = row * self.dtype.itemsize
        content = _exactly(stream, self._page.dataoffsets[0] + top * size, (bottom - top) * size)
        samples = np.frombuffer(content, self.dtype.newbyteorder(self._page.parent.byteorder))
        return samples.astype(self.dtype).reshape(bottom - top, *self.shape[1:])

    def _decoded(self, stream: BinaryIO, top: int, bottom: int) -> Pixels:
        page, width = self._page, self.shape[1]
        side, length = (page.tilewidth, page.tilelength) if page.is_tiled else (width, page.rowsperstrip)
        across = -(-width // side)
        samples = np.empty((bottom - top, *self.shape[1:]), self.dtype)
        for segment in range(top // length * across, -(-bottom // length) * across):
            above, before = segment // across * length, segment % across * side
            part = self._segment(stream, segment).reshape(-1, side, *self.shape[2:])[: self.shape[0] - above]
            rows = slice(max(top - above, 0), bottom - above)
            own = part[rows, : width - before]
            start = max(above - top, 0)
            samples[start : start + len(own), before : before + side] = own
        return samples

    def _segment(self, stream: BinaryIO, number: int) -> Pixels:
        content = _exactly(stream, self._page.dataoffsets[number], self._page.databytecounts[number])
        try:
            decoded = self._page.decode(content, number, _fullsize=False)[0]
        except Exception as error:  # each codec raises its own
            raise ValueError(error) from error
        if decoded is None:
            raise OSError("image file is truncated")
        pixels: Pixels = decoded
        return pixels


def _exactly(stream: BinaryIO, start: int, size: int) -> bytes:
    stream.seek(start)
    content = stream.read(size)
    if not 0 < size == len(content):
        raise OSError("image file is truncated")
    return content


def open_strips(source: Path | Page) -> Strips | None:
    """Open a TIFF file to read it by rows; None for what `mfif.images.read_photo` has to decode as a whole.

    That is every other format, a TIFF whose pixels do not lie as they are seen (turned, in planes, a palette, white as
    zero, multiplied with opacity), and one in a compression that loses or that cannot be read by parts.

    Args:
        source: An image file, or a page of one.

    Raises:
        InputError: It is missing, is no image, is damaged or is too large.
    """
    path, number = located(source)
    with opened(source) as image:
        if image.format != "TIFF" or image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
            return None
        try:
            with quiet_tifffile(), tifffile.TiffFile(path) as file:
                page = file.pages.get(number)
                if not isinstance(page, tifffile.TiffPage) or not _lies_as_seen(page, image):
                    return None
        except Exception:  # damage, as tifffile tells it
            return None
        strips = Strips(source, page, read_metadata(image, in_colour=page.samplesperpixel > 2))
    return strips if page.is_contiguous or _decodes(strips) else None


def _lies_as_seen(page: tifffile.TiffPage, image: ImageFile) -> bool:
    channels = page.samplesperpixel
    photometric = _RGB if channels > 2 else _BLACK_IS_ZERO
    extra = (_STRAIGHT_ALPHA,) if channels in (2, 4) else ()
    return (
        page.dtype in (np.uint8, np.uint16)
        and page.shape == (image.height, image.width, channels)[: 2 if channels == 1 else 3]
        and 0 < channels <= 4
        and not (channels == 2 and page.dtype == np.uint16)  # which is refused
        and page.bitspersample == 8 * np.dtype(page.dtype).itemsize
        and (page.photometric, tuple(page.extrasamples), page.fillorder) == (photometric, extra, 1)
        and (channels == 1 or page.planarconfig == 1)
        and page.compression in _LOSSLESS
    )


def _decodes(strips: Strips) -> bool:
    """Whether the compressed parts of a file are small, and of a kind that tifffile can read here."""
    page = strips._page
    length, side = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, page.imagewidth)
    if length * side * page.samplesperpixel * strips.dtype.itemsize > _LARGEST_SEGMENT:
        return False
    try:
        strips.read(0, 1)
    except Exception:  # a missing codec raises what it likes, and damage is told by who reads the whole
        return False
    return True
