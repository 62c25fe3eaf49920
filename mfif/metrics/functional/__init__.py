"""One formula, one function: images in, one score per image out."""

from mfif.metrics.functional.en import en
from mfif.metrics.functional.map_accuracy import map_accuracy
from mfif.metrics.functional.psnr import psnr
from mfif.metrics.functional.q_g import q_g
from mfif.metrics.functional.q_mi import q_mi
from mfif.metrics.functional.viff import viff

__all__ = ["en", "map_accuracy", "psnr", "q_g", "q_mi", "viff"]
