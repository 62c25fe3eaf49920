"""Find and decode photographs as they are meant to be seen."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from kornia_rs import io as kornia_io
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from mfif.errors import InputError
from mfif.images.metadata import Metadata, read_metadata
from mfif.images.pages import Page
from mfif.images.writing import SUFFIXES, Pixels, drop_opaque, has_alpha

_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "PPM")
# What decoders raise on damage, each its own; found by feeding them damaged files.
_DAMAGE = (OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, AssertionError, EOFError)
_GRAY = ("1", "L", "LA", "La")
# Endings of raw photographs, many of which are TIFFs that begin with a preview.
# fmt: off
_RAW = (
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".erf", ".iiq", ".kdc", ".mrw", ".nef",
    ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
)
# fmt: on

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


class Photo(NamedTuple):
    """What a file holds.

    Attributes:
        pixels: ``(H, W)`` for gray, ``(H, W, 3)`` for RGB, or ``(H, W, 2)`` and ``(H, W, 4)`` with an alpha channel if
            the file has one; uint8 or uint16 as the file has it.
        metadata: What the file carries beside.
    """

    pixels: Pixels
    metadata: Metadata


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
def worded(path: Path | Page) -> Iterator[None]:
    """Word whatever goes wrong while an image is read.

    Raises:
        InputError: Something does.
    """
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"There is no image at {path}. Check the path.") from error
    except UnidentifiedImageError as error:
        raise InputError(
            f"{path} is no PNG, JPEG, TIFF, BMP, WebP or PPM, whatever its name says. Convert, remove or replace it."
        ) from error
    except Image.DecompressionBombError as error:
        raise InputError(f"{path} is too large: {error}. Shrink it, or lift the limit: --max-pixels.") from error
    except _DAMAGE as error:
        if isinstance(error, OSError) and error.strerror:
            raise InputError(f"Could not read {path}: {error.strerror}. Check the path and its permissions.") from error
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise InputError(f"{path} is damaged and cannot be decoded ({reason}). Replace it.") from error


@contextmanager
def opened(source: Path | Page) -> Iterator[ImageFile]:
    """Open an image, and word whatever goes wrong while it is read, see `worded`."""
    path, page = located(source)
    # Pillow maps a file it has opened by name, and then scrambles a gray TIFF whose orientation swaps the sides.
    with worded(source), path.open("rb") as stream:
        if path.suffix.lower() in _RAW:
            raise InputError(
                f"{path} is a raw photograph, which cannot be read. Develop it to a 16-bit TIFF, for example with "
                "darktable or RawTherapee."
            )
        with Image.open(stream, formats=_FORMATS) as image:
            if page:
                image.seek(page)
            yield image


def located(source: Path | Page) -> tuple[Path, int]:
    """A file, and which of its pages is meant."""
    return source if isinstance(source, Page) else (source, 0)


def image_size(path: Path) -> tuple[int, int]:
    """Height and width of an image file from its header alone, where the EXIF orientation may swap them.

    Raises:
        InputError: The file is missing or is no image.
    """
    with opened(path) as image:
        return image.height, image.width


def is_deep(path: Path | Page) -> bool:
    """Whether an image has more than 8 bit a channel, from its header alone.

    Raises:
        InputError: The file is missing or is no image.
    """
    with opened(path) as image:
        return _depth(image) > 8


def read_image(path: Path | str) -> Pixels:
    """Decode one image that is opaque throughout, as it is meant to be seen: the pixels of `read_photo`.

    Args:
        path: An image file.

    Returns:
        ``(H, W)`` for gray or ``(H, W, 3)`` for RGB, uint8 or uint16 as the file has it.

    Raises:
        InputError: The file cannot be read, or has transparent pixels.
    """
    pixels = drop_opaque(read_photo(path).pixels)
    if has_alpha(pixels):
        raise InputError(f"{path} has transparent pixels, which cannot be kept here. Flatten it onto a background.")
    return pixels


def read_photo(path: Path | str | Page) -> Photo:
    """Decode one image as it is meant to be seen, with its transparency and metadata.

    The EXIF orientation is applied, a palette is resolved, CMYK becomes RGB. Of several pages the first is taken,
    unless a `Page` names another. Pillow's limit on the number of pixels holds: an image of more than twice
    ``PIL.Image.MAX_IMAGE_PIXELS`` is refused.

    Args:
        path: A PNG, JPEG, TIFF, BMP, WebP, PPM or PGM file, by its content whatever its ending.

    Raises:
        InputError: The file is missing, is no image, is damaged, is too large or has a type of pixel that fusion cannot
            keep (floating point, 32-bit integers).
    """
    source = Path(path) if isinstance(path, str) else path
    with opened(source) as image:
        samples = _deep_colour(source, image) if _is_deep_colour(image) else _samples(source, image)
        # Where Pillow has loaded a TIFF, it has turned it and forgotten the orientation.
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        samples = _ORIENTATIONS.get(orientation, lambda same: same)(samples)
        return Photo(np.ascontiguousarray(samples), read_metadata(image, in_colour=samples.shape[2:] in ((3,), (4,))))


def _depth(image: ImageFile) -> int:
    """Bits per channel in the file; Pillow opens colour of 16 as 8-bit RGB and loses half of them without a word."""
    if image.format == "PNG" and image.fp is not None:
        image.fp.seek(24)  # in IHDR
        depth = image.fp.read(1)[0]
        image.fp.seek(0)
        return depth
    if image.format == "TIFF":
        return max(image.tag_v2.get(ExifTags.Base.BitsPerSample, (1,)))  # type: ignore[attr-defined, no-any-return]
    if image.format == "PPM":
        arguments = image.tile[0].args
        return 16 if isinstance(arguments, tuple) and arguments[-1] > 255 else 8
    return 8


def _is_deep_colour(image: ImageFile) -> bool:
    return _depth(image) > 8 and image.mode[0] not in "IF"


def _deep_colour(path: Path | Page, image: ImageFile) -> Pixels:
    gray_alpha = image.format == "PNG" and image.tile[0].args == "LA;16B"
    if image.mode not in ("RGB", "RGBA") or gray_alpha or image.format == "PPM":
        kind = "gray-alpha" if gray_alpha else image.mode
        raise InputError(
            f"{path} has 16-bit {kind} pixels, which cannot be read from a {image.format} file. "
            "Convert it to a 16-bit RGB PNG or TIFF."
        )
    try:
        pixels = _decode_deep_png(located(path)[0], image) if image.format == "PNG" else _decode_deep_tiff(path, image)
    except Exception as error:  # a decoder written in Rust raises bare exceptions
        raise ValueError(error) from error
    _refuse_transparency(path, "transparency" in image.info)
    premultiplied = image.format == "TIFF" and image.tag_v2.get(ExifTags.Base.ExtraSamples) == (1,)  # type: ignore[attr-defined]
    _refuse_transparency(path, premultiplied and bool((pixels[..., 3] < 65535).any()))
    return pixels if image.mode == "RGBA" else pixels[..., :3]


def _decode_deep_png(path: Path, image: ImageFile) -> NDArray[np.uint16]:
    return np.asarray(kornia_io.read_image_png_u16(str(path), mode=image.mode.lower()))


def _decode_deep_tiff(path: Path | Page, image: ImageFile) -> NDArray[np.uint16]:
    tags = image.tag_v2  # type: ignore[attr-defined]
    path, page = located(path)
    in_planes = tags.get(ExifTags.Base.PlanarConfiguration, 1) == 2
    if tags[ExifTags.Base.SamplesPerPixel] == 3 and not in_planes and not page:
        return np.asarray(kornia_io.read_image_tiff_u16(str(path), mode="rgb"))
    import tifffile  # few files need it, and it takes a while

    # kornia reads LZW, tifffile only where imagecodecs is installed; kornia gets planes wrong, refuses alpha, and sees
    # the first page alone.
    pixels: NDArray[np.uint16] = tifffile.imread(path, key=page).astype(np.uint16)
    return np.moveaxis(pixels, 0, -1) if in_planes else pixels


def _samples(path: Path | Page, image: ImageFile) -> Pixels:
    if image.mode == "F":
        raise InputError(f"{path} has floating-point pixels; expected 8 or 16 bit. Convert it first.")
    if image.mode.startswith("I"):
        return _deep_gray(path, image)
    mode = "L" if image.mode in _GRAY else "RGB"
    return np.asarray(image.convert(f"{mode}A" if image.has_transparency_data else mode))


def _deep_gray(path: Path | Page, image: ImageFile) -> NDArray[np.uint16]:
    is_tiff = image.format == "TIFF"
    if is_tiff and (image.mode == "I" or _depth(image) != 16):
        raise InputError(f"{path} has signed, 12- or 32-bit pixels; expected unsigned 8 or 16 bit. Convert it first.")
    _refuse_transparency(path, image.has_transparency_data)
    pixels = np.asarray(image).astype(np.uint16)
    white_is_zero = is_tiff and image.tag_v2.get(ExifTags.Base.PhotometricInterpretation) == 0  # type: ignore[attr-defined]
    return 65535 - pixels if white_is_zero else pixels


def _refuse_transparency(path: Path | Page, transparent: bool) -> None:
    if transparent:
        raise InputError(
            f"{path} has 16-bit transparency that cannot be kept: a single colour, or multiplied in. "
            "Save it with a straight alpha channel, or flatten it onto a background."
        )
