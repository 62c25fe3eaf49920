"""What a photograph carries beside its pixels: the data of the camera and the profile of its colours."""

import struct
from typing import NamedTuple

from PIL import ExifTags, Image
from PIL.ImageFile import ImageFile

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
# What Pillow raises on damaged tags; they must not stop a good photograph.
_DAMAGE = (OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, struct.error)


class Metadata(NamedTuple):
    r"""What a file carries beside its pixels.

    Attributes:
        exif: The camera's data as a TIFF directory after ``Exif\0\0``, without orientation, size and thumbnail.
        icc_profile: The profile of the colours.
    """

    exif: bytes | None = None
    icc_profile: bytes | None = None


def read_metadata(image: ImageFile, in_colour: bool) -> Metadata:
    """Metadata of an opened file; what is damaged is left out.

    Args:
        image: What Pillow opened.
        in_colour: Whether its pixels were read as RGB: a profile of other colours is left out.
    """
    profile = image.info.get("icc_profile")
    if not isinstance(profile, bytes) or _SPACES.get(profile[16:20]) is not in_colour:
        profile = None
    try:
        return Metadata(_camera_data(image.getexif()), profile)
    except _DAMAGE:
        return Metadata(None, profile)


def _camera_data(source: Image.Exif) -> bytes | None:
    kept = Image.Exif()
    for tag in _CAMERA:
        if tag in source and not str(source[tag]).startswith(_LAYOUTS):
            kept[tag] = source[tag]
    for directory in _DIRECTORIES:
        content = {tag: value for tag, value in source.get_ifd(directory).items() if tag not in _SIZES}
        if content:
            kept[directory] = content
    return kept.tobytes() if len(kept) else None
