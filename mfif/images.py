"""Read and write photographs, 8 and 16 bit, gray and RGB."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from kornia_rs import io as kornia_io
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from mfif.errors import InputError
from mfif.files import replacing

Pixels = NDArray[np.uint8] | NDArray[np.uint16]

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".ppm", ".pgm"})
"""Endings by which a folder's images are found, in lower case."""

_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "PPM")
# What decoders raise on damage, each its own; found by feeding them damaged files.
_DAMAGE = (OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, AssertionError, EOFError)
_DEEP_SUFFIXES = (".png", ".tif", ".tiff")
_GRAY = ("1", "L", "LA", "La")
_BITS, _PHOTOMETRIC, _SAMPLES, _PLANAR_CONFIGURATION = 258, 262, 277, 284  # tags of TIFF

_ENCODING: dict[str, dict[str, Any]] = {
    ".jpg": {"quality": 95, "subsampling": 0},
    ".jpeg": {"quality": 95, "subsampling": 0},
    ".webp": {"lossless": True},
}

# What a viewer does for each value of the EXIF orientation, on rows and columns.
_ORIENTATIONS = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels[::-1].swapaxes(0, 1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: pixels[:, ::-1].swapaxes(0, 1),
}


def find_images(folder: Path) -> list[Path]:
    """All images directly in a folder, sorted by name.

    Args:
        folder: An existing folder; hidden files are passed over.

    Raises:
        InputError: The folder is missing, is a file, cannot be read, or holds no image.
    """
    try:
        files = [path for path in folder.iterdir() if path.is_file()]
    except FileNotFoundError as error:
        raise InputError(f"Expected a folder of images at {folder}, but it does not exist. Check the path.") from error
    except NotADirectoryError as error:
        raise InputError(f"Expected a folder of images at {folder}, but it is a file. Check the path.") from error
    except OSError as error:
        raise InputError(f"Could not read the folder {folder}: {error.strerror}. Check its permissions.") from error
    images = sorted(path for path in files if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))
    if not images:
        raise InputError(f"Found no image in {folder}. Files are taken by their ending: {', '.join(sorted(SUFFIXES))}.")
    return images


@contextmanager
def _opened(path: Path) -> Iterator[ImageFile]:
    """Open an image and word whatever goes wrong while it is read."""
    try:
        # Pillow maps a file it has opened by name, and then scrambles a gray TIFF whose orientation swaps the sides.
        with path.open("rb") as stream, Image.open(stream, formats=_FORMATS) as image:
            yield image
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"There is no image at {path}. Check the path.") from error
    except UnidentifiedImageError as error:
        raise InputError(
            f"{path} is no image of a kind that can be read, whatever its name says. Remove or replace it."
        ) from error
    except Image.DecompressionBombError as error:
        raise InputError(f"{path} is too large: {error}. Shrink it.") from error
    except _DAMAGE as error:
        if isinstance(error, OSError) and error.strerror:
            raise InputError(f"Could not read {path}: {error.strerror}. Check the path and its permissions.") from error
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise InputError(f"{path} is damaged and cannot be decoded ({reason}). Replace it.") from error


def image_size(path: Path) -> tuple[int, int]:
    """Height and width of an image file from its header alone, where the EXIF orientation may swap them.

    Raises:
        InputError: The file is missing or is no image.
    """
    with _opened(path) as image:
        return image.height, image.width


def read_image(path: Path | str) -> Pixels:
    """Decode one image as it is meant to be seen.

    The EXIF orientation is applied, a palette is resolved, CMYK becomes RGB, an alpha channel is dropped if it is
    opaque throughout. Of several pages the first is taken.

    Args:
        path: A PNG, JPEG, TIFF, BMP, WebP, PPM or PGM file, by its content whatever its ending.

    Returns:
        ``(H, W)`` for gray or ``(H, W, 3)`` for RGB, uint8 or uint16 as the file has it.

    Raises:
        InputError: The file is missing, is no image, is damaged, has transparent pixels or a type of pixel that
            fusion cannot keep (floating point, 32-bit integers).
    """
    path = Path(path)
    with _opened(path) as image:
        pixels = _deep_colour(path, image) if _is_deep_colour(image) else _pixels(path, image)
        # Where Pillow has loaded a TIFF, it has turned it and forgotten the orientation.
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        return np.ascontiguousarray(_ORIENTATIONS.get(orientation, lambda same: same)(pixels))


def write_image(path: Path | str, pixels: Pixels) -> None:
    """Encode an image, losslessly unless the ending asks for JPEG; the file appears whole or not at all.

    Args:
        path: Where to; the ending names the format. 16-bit pixels go to PNG or TIFF.
        pixels: ``(H, W)`` or ``(H, W, 3)``, uint8 or uint16.

    Raises:
        InputError: The ending is none of `SUFFIXES`, the format cannot hold the pixels, or the disk has no room.
        ValueError: `pixels` has another shape or type.
    """
    path, ending = Path(path), Path(path).suffix.lower()
    if pixels.dtype not in (np.uint8, np.uint16) or pixels.shape[2:] not in ((), (3,)) or pixels.ndim < 2:
        raise ValueError(
            "Expected `pixels` to be uint8 or uint16 of shape (H, W) or (H, W, 3), "
            f"got {pixels.dtype} of shape {pixels.shape}."
        )
    if ending not in SUFFIXES:
        raise InputError(f"Expected a name that ends in one of {', '.join(sorted(SUFFIXES))}, got {path}.")
    deep = pixels.dtype == np.uint16
    if deep and ending not in _DEEP_SUFFIXES:
        raise InputError(f"Expected a .png or .tif name for 16-bit pixels, got {path}.")
    with replacing(path) as temporary:
        if deep and pixels.ndim == 3:
            _write_deep_colour(temporary, pixels)
        else:
            try:
                Image.fromarray(pixels).save(temporary, **_ENCODING.get(ending, {}))
            except ValueError as error:  # WebP's limit on the size
                raise InputError(f"Could not write {path}: {error}. Choose another format.") from error


def _write_deep_colour(path: Path, pixels: Pixels) -> None:
    write = kornia_io.write_image_png_u16 if path.suffix.lower() == ".png" else kornia_io.write_image_tiff_u16
    try:
        write(str(path), np.ascontiguousarray(pixels), mode="rgb")
    except Exception as error:  # the encoder is written in Rust and raises bare exceptions
        code = re.search(r"\(os error (\d+)\)", str(error))
        raise (OSError(int(code[1]), os.strerror(int(code[1]))) if code else OSError(str(error))) from error


def _depth(image: ImageFile) -> int:
    """Bits per channel in the file; Pillow opens colour of 16 as 8-bit RGB and loses half of them without a word."""
    if image.format == "PNG" and image.fp is not None:
        image.fp.seek(24)  # in IHDR
        depth = image.fp.read(1)[0]
        image.fp.seek(0)
        return depth
    if image.format == "TIFF":
        return max(image.tag_v2.get(_BITS, (1,)))  # type: ignore[attr-defined, no-any-return]
    if image.format == "PPM":
        arguments = image.tile[0].args
        return 16 if isinstance(arguments, tuple) and arguments[-1] > 255 else 8
    return 8


def _is_deep_colour(image: ImageFile) -> bool:
    return _depth(image) > 8 and image.mode[0] not in "IF"


def _deep_colour(path: Path, image: ImageFile) -> Pixels:
    gray_alpha = image.format == "PNG" and image.tile[0].args == "LA;16B"
    if image.mode not in ("RGB", "RGBA") or gray_alpha or image.format == "PPM":
        kind = "gray-alpha" if gray_alpha else image.mode
        raise InputError(
            f"{path} has 16-bit {kind} pixels, which cannot be read from a {image.format} file. "
            "Convert it to a 16-bit RGB PNG or TIFF."
        )
    try:
        pixels = _decode_deep_png(path, image) if image.format == "PNG" else _decode_deep_tiff(path, image)
    except Exception as error:  # a decoder written in Rust raises bare exceptions
        raise ValueError(error) from error
    _refuse_transparency(path, "transparency" in image.info)
    _refuse_transparency(path, image.mode == "RGBA" and bool((pixels[..., 3] < 65535).any()))
    return pixels[..., :3]


def _decode_deep_png(path: Path, image: ImageFile) -> NDArray[np.uint16]:
    return np.asarray(kornia_io.read_image_png_u16(str(path), mode=image.mode.lower()))


def _decode_deep_tiff(path: Path, image: ImageFile) -> NDArray[np.uint16]:
    tags = image.tag_v2  # type: ignore[attr-defined]
    in_planes = tags.get(_PLANAR_CONFIGURATION, 1) == 2
    if tags[_SAMPLES] == 3 and not in_planes:
        return np.asarray(kornia_io.read_image_tiff_u16(str(path), mode="rgb"))
    # kornia reads LZW, tifffile only where imagecodecs is installed; kornia gets planes wrong and refuses alpha.
    pixels: NDArray[np.uint16] = tifffile.imread(path, key=0).astype(np.uint16)
    return np.moveaxis(pixels, 0, -1) if in_planes else pixels


def _pixels(path: Path, image: ImageFile) -> Pixels:
    if image.mode == "F":
        raise InputError(f"{path} has floating-point pixels; expected 8 or 16 bit. Convert it first.")
    if image.mode.startswith("I"):
        return _deep_gray(path, image)
    if image.has_transparency_data:
        alpha = image.convert("LA" if image.mode in _GRAY else "RGBA").getchannel("A")
        _refuse_transparency(path, alpha.getextrema() != (255, 255))
    return np.asarray(image.convert("L" if image.mode in _GRAY else "RGB"))


def _deep_gray(path: Path, image: ImageFile) -> NDArray[np.uint16]:
    is_tiff = image.format == "TIFF"
    if is_tiff and (image.mode == "I" or _depth(image) != 16):
        raise InputError(f"{path} has signed, 12- or 32-bit pixels; expected unsigned 8 or 16 bit. Convert it first.")
    _refuse_transparency(path, image.has_transparency_data)
    pixels = np.asarray(image).astype(np.uint16)
    white_is_zero = is_tiff and image.tag_v2.get(_PHOTOMETRIC) == 0  # type: ignore[attr-defined]
    return 65535 - pixels if white_is_zero else pixels


def _refuse_transparency(path: Path, transparent: bool) -> None:
    if transparent:
        raise InputError(f"{path} has transparent pixels, which fusion cannot keep. Flatten it onto a background.")
