"""Read and write photographs: 8 and 16 bit, gray and RGB, with transparency, colour profile and camera data."""

from mfif.images.metadata import Metadata
from mfif.images.pages import Page, find_pages
from mfif.images.reading import Photo, find_images, image_size, is_deep, read_image, read_photo
from mfif.images.strips import Strips, open_strips
from mfif.images.writing import SUFFIXES, Pixels, check_writable, write_image, write_strips

__all__ = [
    "SUFFIXES",
    "Metadata",
    "Page",
    "Photo",
    "Pixels",
    "Strips",
    "check_writable",
    "find_images",
    "find_pages",
    "image_size",
    "is_deep",
    "open_strips",
    "read_image",
    "read_photo",
    "write_image",
    "write_strips",
]
