"""The images of a TIFF file that has several, as microscopes write them: one of each depth."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import NamedTuple

import tifffile

from mfif.errors import InputError

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_OF_AN_IMAGE = "YXS"  # axes, as tifffile names them: rows, columns and the samples of a pixel
_CHANNELS = "C"
_NAME = re.compile(r"(?P<path>.+)\[(?P<number>\d+)\]")


class Page(NamedTuple):
    """One page of a file with several.

    Attributes:
        path: The file.
        number: Of the page, counted from 0.
    """

    path: Path
    number: int

    def __str__(self) -> str:
        return f"{self.path}[{self.number}]"


def find_pages(path: Path) -> list[Path | Page]:
    """The images of a file: its pages where it is a TIFF with several of one size and kind, else the file itself.

    Pages of another size, and those marked as such, are previews and are passed over. What cannot be opened is left to
    those who read it.

    Args:
        path: An image file; or the name of one of its pages, ``stack.tif[3]``.

    Raises:
        InputError: The pages differ in more than one way, such as depth and channel, or are channels.
    """
    named = _NAME.fullmatch(str(path))
    if named and not path.exists() and Path(named["path"]).exists():
        return [Page(Path(named["path"]), int(named["number"]))]
    try:
        with path.open("rb") as stream:
            if stream.read(4) not in _TIFF:
                return [path]
        with quiet_tifffile(), tifffile.TiffFile(path) as file:
            series = file.series[0]
            pages = [page for page in series.pages if page is not None and page.parent is file]
            if len(pages) < len(series.pages):  # a set of files that name each other, each an image
                return [path]
            numbers = [page.index for page in pages if page.keyframe is None or not page.keyframe.is_reduced]
            sizes = {axis: size for axis, size in zip(series.axes, series.shape, strict=True) if size > 1}
    except Exception:  # damage, as tifffile tells it
        return [path]
    sizes = {axis: size for axis, size in sizes.items() if axis not in _OF_AN_IMAGE}
    if len(sizes) > 1 or _CHANNELS in sizes:
        found = " x ".join(f"{size} of {axis}" for axis, size in sizes.items())
        raise InputError(
            f"Expected the pages of {path} to differ in depth alone, got {found} (C channels, T times, Z depths). "
            "Split it, in ImageJ by Image > Color > Split Channels, or say there what they are: Image > Properties."
        )
    if len(pages) == 1 < prod(sizes.values()):
        raise InputError(
            f"{path} keeps its {prod(sizes.values())} images in one page, as ImageJ does beyond 4 GB. "
            "Save them as an image sequence."
        )
    return [Page(path, number) for number in numbers] if len(numbers) > 1 else [path]


@contextmanager
def quiet_tifffile() -> Iterator[None]:
    """Spare people what tifffile writes of damage, which is worded elsewhere."""
    logger = logging.getLogger("tifffile")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
