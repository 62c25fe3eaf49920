"""What is fused to a file of any size, strip by strip."""

from pathlib import Path

import tifffile
import torch

from mfif.errors import InputError
from mfif.fusion.stack import StackFusion
from mfif.images import Metadata, Pixels, write_strips

SUFFIXES = frozenset({".tif", ".tiff"})
"""Endings of the format that is written strip by strip."""


def tiff_name(path: str | Path) -> Path:
    """The name, if it is one of a TIFF.

    Raises:
        InputError: It is not.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"Expected a .tif name to write strip by strip, got {path}.")
    return path


def write_bands(path: Path, fusion: StackFusion, metadata: Metadata) -> Pixels:
    """Write what is fused, band by band as it is computed; the file appears whole or not at all.

    Args:
        path: Where to; an existing file is replaced.
        fusion: What is fused, of one image.
        metadata: What the file carries beside.

    Returns:
        The file as an array ``(H, W)`` or ``(H, W, C)`` that is read where it is looked at.

    Raises:
        InputError: The images are several, are floats, or cannot be written.
    """
    batch, channels, height, width = fusion.shape
    if batch != 1 or fusion.dtype not in (torch.uint8, torch.uint16):
        raise InputError(f"Expected one image of 8 or 16 bit to write, got {batch} of {fusion.dtype}.")
    shape = (height, width) if channels == 1 else (height, width, channels)
    strips = (band[0].movedim(0, -1).reshape(-1, *shape[1:]).cpu().numpy() for band in fusion.bands)
    kind = torch.empty(0, dtype=fusion.dtype).numpy().dtype
    write_strips(path, strips, shape, kind, metadata)
    pixels: Pixels = tifffile.memmap(path, mode="r")
    return pixels
