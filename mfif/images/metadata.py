"""What a photograph carries beside its pixels: the data of the camera, what people said of it, its colours' profile."""

import re
import struct
from collections.abc import Callable
from typing import NamedTuple

from PIL import ExifTags, Image
from PIL.ImageFile import ImageFile
from PIL.IptcImagePlugin import getiptcinfo

# Tags that say how the pixels lie in the file, or that speak of the thumbnail, are not among them, nor is the
# orientation: pixels are turned when they are read.
_CAMERA = (
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.XResolution,
    ExifTags.Base.YResolution,
    ExifTags.Base.ResolutionUnit,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.HostComputer,
    ExifTags.Base.Rating,
    ExifTags.Base.Copyright,
)
_DIRECTORIES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
_SIZES = (ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight, ExifTags.Base.ExifInteroperabilityOffset)
_LAYOUTS = ("{", "ImageJ=", "<?xml")  # how descriptions begin by which programs tell themselves of a TIFF's pages
_SPACES = {b"GRAY": False, b"RGB ": True}
# What an XMP packet says of the pixels in the file, written as an attribute or as an element.
_XMP_LAYOUT = rb"(?:tiff:(?:Orientation|ImageWidth|ImageLength)|exif:Pixel[XY]Dimension)"
_XMP_ATTRIBUTE = re.compile(rb"\s" + _XMP_LAYOUT + rb"\s*=\s*(?:\"[^\"]*\"|'[^']*')")
_XMP_ELEMENT = re.compile(rb"<(" + _XMP_LAYOUT + rb")>[^<]*</\1>")
_IPTC_LONGEST = 32767  # bytes of a value, beyond which its length is written otherwise
# What Pillow raises on damaged tags; they must not stop a good photograph.
_DAMAGE = (OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, struct.error)


class Metadata(NamedTuple):
    r"""What a file carries beside its pixels.

    Attributes:
        exif: The camera's data as a TIFF directory after ``Exif\0\0``, without orientation, size and thumbnail.
        icc_profile: The profile of the colours.
        xmp: What programs know of it, as an XMP packet: ratings, keywords, edits; without orientation and size.
        iptc: What agencies know of it, as records of IPTC's Information Interchange Model: captions, rights.
    """

    exif: bytes | None = None
    icc_profile: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None


def read_metadata(image: ImageFile, in_colour: bool) -> Metadata:
    """Metadata of an opened file; what is damaged is left out.

    Args:
        image: What Pillow opened.
        in_colour: Whether its pixels were read as RGB: a profile of other colours is left out.
    """
    profile = image.info.get("icc_profile")
    if not isinstance(profile, bytes) or _SPACES.get(profile[16:20]) is not in_colour:
        profile = None
    return Metadata(_undamaged(_camera_data, image), profile, _undamaged(_xmp, image), _undamaged(_iptc, image))


def _undamaged(read: Callable[[ImageFile], bytes | None], image: ImageFile) -> bytes | None:
    try:
        return read(image)
    except _DAMAGE:
        return None


def _camera_data(image: ImageFile) -> bytes | None:
    source = image.getexif()
    kept = Image.Exif()
    for tag in _CAMERA:
        if tag in source and not str(source[tag]).startswith(_LAYOUTS):
            kept[tag] = source[tag]
    for directory in _DIRECTORIES:
        content = {tag: value for tag, value in source.get_ifd(directory).items() if tag not in _SIZES}
        if content:
            kept[directory] = content
    return kept.tobytes() if len(kept) else None


def _xmp(image: ImageFile) -> bytes | None:
    packet = image.info.get("xmp")
    if not isinstance(packet, bytes) or b"<rdf:RDF" not in packet:
        return None
    return _XMP_ELEMENT.sub(b"", _XMP_ATTRIBUTE.sub(b"", packet))


def _iptc(image: ImageFile) -> bytes | None:
    """The records, written anew from what Pillow reads of them."""
    records = b""
    for (record, dataset), values in (getiptcinfo(image) or {}).items():
        for value in values if isinstance(values, list) else [values]:
            if len(value) <= _IPTC_LONGEST:
                records += struct.pack(">BBBH", 0x1C, record, dataset, len(value)) + value
    return records or None
