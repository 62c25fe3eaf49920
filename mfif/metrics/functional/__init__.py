"""One formula, one function: images in, one score per image out."""

from mfif.metrics.functional.ag import ag
from mfif.metrics.functional.boundary_accuracy import boundary_accuracy
from mfif.metrics.functional.ce import ce
from mfif.metrics.functional.compiling import compiled
from mfif.metrics.functional.ei import ei
from mfif.metrics.functional.en import en
from mfif.metrics.functional.fmi import fmi
from mfif.metrics.functional.islands import islands
from mfif.metrics.functional.map_accuracy import map_accuracy
from mfif.metrics.functional.precision import computing_in
from mfif.metrics.functional.psnr import psnr
from mfif.metrics.functional.q_c import q_c
from mfif.metrics.functional.q_cb import q_cb
from mfif.metrics.functional.q_cv import q_cv
from mfif.metrics.functional.q_e import q_e
from mfif.metrics.functional.q_g import q_g
from mfif.metrics.functional.q_m import q_m
from mfif.metrics.functional.q_mi import q_mi
from mfif.metrics.functional.q_ncie import q_ncie
from mfif.metrics.functional.q_p import q_p
from mfif.metrics.functional.q_s import q_s
from mfif.metrics.functional.q_sf import q_sf
from mfif.metrics.functional.q_te import q_te
from mfif.metrics.functional.q_w import q_w
from mfif.metrics.functional.q_y import q_y
from mfif.metrics.functional.scd import scd
from mfif.metrics.functional.sd import sd
from mfif.metrics.functional.sf import sf
from mfif.metrics.functional.shared_work import computing_once
from mfif.metrics.functional.source_psnr import source_psnr
from mfif.metrics.functional.source_ssim import source_ssim
from mfif.metrics.functional.ssim import ssim
from mfif.metrics.functional.viff import viff

__all__ = [
    "ag",
    "boundary_accuracy",
    "ce",
    "compiled",
    "computing_in",
    "computing_once",
    "ei",
    "en",
    "fmi",
    "islands",
    "map_accuracy",
    "psnr",
    "q_c",
    "q_cb",
    "q_cv",
    "q_e",
    "q_g",
    "q_m",
    "q_mi",
    "q_ncie",
    "q_p",
    "q_s",
    "q_sf",
    "q_te",
    "q_w",
    "q_y",
    "scd",
    "sd",
    "sf",
    "source_psnr",
    "source_ssim",
    "ssim",
    "viff",
]
