"""Pictures made small enough to lie inside a page."""

import base64
import io
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mfif.images import image_size, read_image

LARGEST_SIDE = 4096
"""Pixels; browsers on small devices give up on larger pictures."""

_QUALITIES = (None, 90, 80)
_SMALLEST_SIDE = 16
_SAMPLE = 24


class Level(NamedTuple):
    """How much is left of pictures.

    Attributes:
        quality: That of WebP, 0 to 100; None is without loss.
        side: The longest side in pixels; larger pictures are reduced to it.
    """

    quality: int | None
    side: int


def embed(files: Sequence[Path], budget: int) -> tuple[list[str], Level]:
    """Encode pictures as data URIs that together keep within a budget.

    They are first kept without loss, then with less and less quality, and in the end reduced in size.

    Args:
        files: Pictures.
        budget: Characters that all of them may take.

    Returns:
        The data URIs, and what was done to all of them alike.

    Raises:
        InputError: A file cannot be read.
    """
    largest = max((side for file in files for side in image_size(file)), default=1)
    level = Level(None, min(largest, LARGEST_SIDE))
    stride = -(-len(files) // _SAMPLE) or 1
    # A map takes a small part of what a photograph takes: a sample has its share of both.
    sample = sorted(files, key=lambda file: file.stat().st_size)[::stride]
    allowance = 0.9 * budget * len(sample) / max(len(files), 1)
    for quality in _QUALITIES:
        level = level._replace(quality=quality)
        if _length(_encode(sample, level)) <= allowance:
            break
    while (length := _length(_encode(sample, level))) > allowance and level.side > _SMALLEST_SIDE:
        level = _reduced(level, allowance / length)
    encoded = _encode(files, level)
    while (length := _length(encoded)) > budget and level.side > _SMALLEST_SIDE:
        level = _reduced(level, budget / length)
        encoded = _encode(files, level)
    return encoded, level


def to_8_bit(file: Path) -> NDArray[np.uint8]:
    """Pixels ``(H, W)`` or ``(H, W, 3)`` of a picture as screens show them."""
    pixels = read_image(file)
    levels: NDArray[np.uint8] = (pixels if pixels.dtype == np.uint8 else (pixels / 257).round()).astype(np.uint8)
    return levels


def _reduced(level: Level, share: float) -> Level:
    """The level whose files take about this share of those of `level`, and certainly less than they do."""
    return Level(_QUALITIES[-1], max(int(0.95 * level.side * math.sqrt(min(share, 1))), _SMALLEST_SIDE))


def _length(encoded: Sequence[str]) -> int:
    return sum(map(len, encoded))


def _encode(files: Sequence[Path], level: Level) -> list[str]:
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda file: _data_uri(file, level), files))


def _data_uri(file: Path, level: Level) -> str:
    image = Image.fromarray(to_8_bit(file))
    # A selection stays one, and a photograph is compressed where a map of two levels has nothing to lose.
    binary = image.mode == "L" and len(image.getcolors() or ()) in (1, 2)
    scale = min(level.side / max(image.size), 1)
    if scale < 1:
        size = max(round(image.width * scale), 1), max(round(image.height * scale), 1)
        image = image.resize(size, Image.Resampling.NEAREST if binary else Image.Resampling.LANCZOS)
    lossless = binary or level.quality is None
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "WEBP", lossless=lossless, quality=50 if lossless else level.quality)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
