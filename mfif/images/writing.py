"""Write images with their metadata: losslessly unless the ending asks for JPEG, whole or not at all."""

import os
import re
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from kornia_rs import io as kornia_io
from numpy.typing import NDArray
from PIL import ExifTags, Image, TiffTags
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from mfif.errors import InputError
from mfif.files import replacing
from mfif.images.metadata import Metadata

Pixels = NDArray[np.uint8] | NDArray[np.uint16]

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".ppm", ".pgm"})
"""Endings by which a folder's images are found and by which images are written, in lower case."""

_DEEP = frozenset({".png", ".tif", ".tiff"})
_TRANSPARENT = _DEEP | {".webp"}
_TIFF = frozenset({".tif", ".tiff"})
_JPEG = frozenset({".jpg", ".jpeg"})
_JPEG_ROOM = 2**16 - 64  # bytes of a segment of a JPEG, beside its heading
_PNG_HEADER = 33  # bytes of the signature and IHDR
_PNG_XMP = b"XML:com.adobe.xmp" + bytes(5)  # keyword, then neither compressed nor in a language
_TIFF_XMP, _TIFF_IPTC = 700, 33723
_TIFF_ROOM = 2**32 - 2**24  # bytes of pixels that 32-bit offsets reach, beside metadata
_TIFF_HEADER, _BIG_TIFF_HEADER = b"II\x2a\0" + bytes(4), b"II\x2b\0\x08\0\0\0" + bytes(8)


def check_writable(path: Path, deep: bool = False, transparent: bool = False) -> None:
    """Raise unless a name's ending is one of a format that can hold the pixels.

    Args:
        path: Name of the image.
        deep: Whether the pixels have 16 bit.
        transparent: Whether there is an alpha channel.

    Raises:
        InputError: It is not.
    """
    ending = path.suffix.lower()
    if ending not in SUFFIXES:
        raise InputError(f"Expected a name that ends in one of {', '.join(sorted(SUFFIXES))}, got {path}.")
    if deep and ending not in _DEEP:
        raise InputError(f"Expected a .png or .tif name for 16-bit pixels, got {path}.")
    if transparent and ending not in _TRANSPARENT:
        raise InputError(f"Expected a .png, .tif or .webp name for transparent pixels, got {path}.")


def has_alpha(pixels: Pixels) -> bool:
    """Whether the last channel is an alpha channel."""
    return pixels.shape[2:] in ((2,), (4,))


def drop_opaque(pixels: Pixels) -> Pixels:
    """The pixels without an alpha channel that is opaque throughout; all others as they are."""
    if not has_alpha(pixels) or bool((pixels[..., -1] < np.iinfo(pixels.dtype).max).any()):
        return pixels
    colours: Pixels = pixels[..., 0] if pixels.shape[2] == 2 else pixels[..., :3]
    return colours.copy()


def write_image(path: Path | str, pixels: Pixels, metadata: Metadata | None = None, quality: int = 95) -> None:
    """Encode an image, losslessly unless the ending asks for JPEG; the file appears whole or not at all.

    Args:
        path: Where to; the ending names the format. 16-bit pixels go to PNG or TIFF.
        pixels: ``(H, W)`` or ``(H, W, 3)``, or ``(H, W, 2)`` or ``(H, W, 4)`` with an alpha channel, uint8 or uint16.
            Transparent ones go to PNG, TIFF or WebP; where all are opaque, other formats leave the channel out.
        metadata: What the file carries beside the pixels; BMP, PPM and PGM carry none, PNG and WebP no IPTC records,
            JPEG no XMP packet or IPTC records of more than 64 KiB.
        quality: Of JPEG, 1 to 100.

    Raises:
        InputError: The ending is none of `SUFFIXES`, the format cannot hold the pixels, or the disk has no room.
        ValueError: `pixels` has another shape or type.
    """
    path, metadata = Path(path), metadata or Metadata()
    if pixels.dtype not in (np.uint8, np.uint16) or pixels.shape[2:] not in ((), (2,), (3,), (4,)) or pixels.ndim < 2:
        raise ValueError(
            "Expected `pixels` to be uint8 or uint16 of shape (H, W) or (H, W, 2 to 4), "
            f"got {pixels.dtype} of shape {pixels.shape}."
        )
    ending, deep = path.suffix.lower(), pixels.dtype == np.uint16
    samples = pixels if ending in _TRANSPARENT else drop_opaque(pixels)
    check_writable(path, deep, has_alpha(samples))
    if ending == ".webp" and samples.shape[2:] in (
        (),
        (2,),
    ):  # it stores gray as RGB, which a gray profile does not fit
        metadata = metadata._replace(icc_profile=None)
    with replacing(path) as temporary:
        if ending in _TIFF:
            _write_tiff(temporary, [samples], samples.shape, samples.dtype, metadata)
        elif deep and samples.ndim == 3:
            _write_deep_png(temporary, samples, metadata)
        else:
            try:
                Image.fromarray(samples).save(temporary, **_encoding(ending, metadata, quality))
            except ValueError as error:  # a format's limit on the size, or JPEG's on its metadata
                raise InputError(f"Could not write {path}: {error}. Choose another format.") from error


def _encoding(ending: str, metadata: Metadata, quality: int) -> dict[str, Any]:
    exif, profile, xmp, iptc = metadata
    options: dict[str, Any] = {"exif": exif, "icc_profile": profile}
    if ending in _JPEG:
        options |= {"quality": quality, "subsampling": 0}
        options |= {"xmp": xmp if xmp and len(xmp) <= _JPEG_ROOM else None}
        options |= {"extra": _photoshop_segment(iptc) if iptc and len(iptc) <= _JPEG_ROOM else None}
    if ending == ".webp":
        options |= {"lossless": True, "exact": True, "xmp": xmp}
    if ending == ".png" and xmp:
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add(b"iTXt", _PNG_XMP + xmp)
    return {key: value for key, value in options.items() if value is not None}


def _photoshop_segment(iptc: bytes) -> bytes:
    """IPTC records as the resource of Photoshop's that JPEG files carry them in."""
    body = b"Photoshop 3.0\0" + struct.pack(">4sHHL", b"8BIM", 0x0404, 0, len(iptc)) + iptc + bytes(len(iptc) % 2)
    return struct.pack(">HH", 0xFFED, 2 + len(body)) + body


def _write_deep_png(path: Path, samples: Pixels, metadata: Metadata) -> None:
    mode = {3: "rgb", 4: "rgba"}.get(samples.shape[2])
    if mode is None:
        raise InputError("16-bit gray pixels with transparency go to TIFF only. Choose a .tif name.")
    try:
        kornia_io.write_image_png_u16(str(path), np.ascontiguousarray(samples), mode=mode)
    except Exception as error:  # the encoder is written in Rust and raises bare exceptions
        code = re.search(r"\(os error (\d+)\)", str(error))
        raise (OSError(int(code[1]), os.strerror(int(code[1]))) if code else OSError(str(error))) from error
    chunks = b""
    if metadata.icc_profile:
        chunks += _chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(metadata.icc_profile))
    if metadata.exif:
        chunks += _chunk(b"eXIf", metadata.exif.removeprefix(b"Exif\0\0"))
    if metadata.xmp:
        chunks += _chunk(b"iTXt", _PNG_XMP + metadata.xmp)
    if chunks:
        content = path.read_bytes()
        path.write_bytes(content[:_PNG_HEADER] + chunks + content[_PNG_HEADER:])


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def write_strips(
    path: Path, strips: Iterable[Pixels], shape: tuple[int, ...], dtype: np.dtype[Any], metadata: Metadata
) -> None:
    """Write a TIFF whose rows come strip by strip; it appears whole or not at all, and equals that of `write_image`.

    Args:
        path: Where to; a .tif or .tiff name.
        strips: Of so many rows as there are left, from the top; types and channels as for `write_image`.
        shape: Of all of them: ``(H, W)`` or ``(H, W, C)``.
        dtype: Of the samples, uint8 or uint16.
        metadata: What the file carries beside the pixels.

    Raises:
        InputError: The disk has no room, or the folder cannot be written to.
    """
    with replacing(path) as temporary:
        _write_tiff(temporary, strips, shape, dtype, metadata)


def _write_tiff(
    path: Path, strips: Iterable[Pixels], shape: tuple[int, ...], dtype: np.dtype[Any], metadata: Metadata
) -> None:
    """An uncompressed TIFF of one strip; Pillow writes its directory, but no colour of 16 bit."""
    height, width, channels = (*shape, 1)[:3]
    size = height * width * channels * dtype.itemsize
    directory = ImageFileDirectory_v2(_TIFF_HEADER if size <= _TIFF_ROOM else _BIG_TIFF_HEADER)
    exif = Image.Exif()
    if metadata.exif:
        exif.load(metadata.exif)
    for tag in exif:
        directory[tag] = exif.get_ifd(tag) if tag in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo) else exif[tag]
    if metadata.icc_profile:
        directory[ExifTags.Base.InterColorProfile] = metadata.icc_profile
    for number, content in ((_TIFF_XMP, metadata.xmp), (_TIFF_IPTC, metadata.iptc)):
        if content:
            directory[number] = content
    directory[ExifTags.Base.ImageWidth], directory[ExifTags.Base.ImageLength] = width, height
    directory[ExifTags.Base.BitsPerSample] = (8 * dtype.itemsize,) * channels
    directory[ExifTags.Base.Compression] = 1  # none
    directory[ExifTags.Base.PhotometricInterpretation] = 2 if channels >= 3 else 1  # RGB, or gray with black zero
    directory[ExifTags.Base.SamplesPerPixel] = channels
    directory[ExifTags.Base.PlanarConfiguration] = 1  # samples of a pixel lie together
    directory.tagtype[ExifTags.Base.StripByteCounts] = TiffTags.LONG if size <= _TIFF_ROOM else TiffTags.LONG8
    directory[ExifTags.Base.RowsPerStrip], directory[ExifTags.Base.StripByteCounts] = height, size
    directory[ExifTags.Base.StripOffsets] = 0  # counted by Pillow from the end of the directory
    if channels in (2, 4):
        directory[ExifTags.Base.ExtraSamples] = 2  # straight alpha
    with path.open("wb") as stream:
        stream.seek(directory.save(stream))
        for strip in strips:
            stream.write(np.ascontiguousarray(strip, dtype.newbyteorder("<")).data)
