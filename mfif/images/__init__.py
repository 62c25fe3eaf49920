"""Read and write photographs: 8 and 16 bit, gray and RGB, with transparency, colour profile and camera data."""

from mfif.images.metadata import Metadata
from mfif.images.reading import Photo, find_images, image_size, read_image, read_photo
from mfif.images.writing import SUFFIXES, Pixels, check_writable, write_image

__all__ = [
    "SUFFIXES",
    "Metadata",
    "Photo",
    "Pixels",
    "check_writable",
    "find_images",
    "image_size",
    "read_image",
    "read_photo",
    "write_image",
]
