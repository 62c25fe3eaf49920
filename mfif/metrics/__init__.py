"""How well an image is fused: per-image functions in `mfif.metrics.functional`, torchmetrics classes here."""

from mfif.metrics.collection import FusionMetrics, paper_metrics
from mfif.metrics.fusion import EN, PSNR, QG, QMI, VIFF, FusionMetric
from mfif.metrics.gradient import AG, EI, QM, QSF, SD, SF
from mfif.metrics.information import CE, FMI, QNCIE, QTE, SCD
from mfif.metrics.maps import BoundaryAccuracy, Islands, MapAccuracy
from mfif.metrics.perception import QCB, QCV
from mfif.metrics.phase import QP
from mfif.metrics.structure import QC, QE, QS, QW, QY, SSIM, SourcePSNR, SourceSSIM

__all__ = [
    "AG",
    "CE",
    "EI",
    "EN",
    "FMI",
    "PSNR",
    "QC",
    "QCB",
    "QCV",
    "QE",
    "QG",
    "QM",
    "QMI",
    "QNCIE",
    "QP",
    "QS",
    "QSF",
    "QTE",
    "QW",
    "QY",
    "SCD",
    "SD",
    "SF",
    "SSIM",
    "VIFF",
    "BoundaryAccuracy",
    "FusionMetric",
    "FusionMetrics",
    "Islands",
    "MapAccuracy",
    "SourcePSNR",
    "SourceSSIM",
    "paper_metrics",
]
