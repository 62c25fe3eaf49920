"""How well an image is fused: per-image functions in `mfif.metrics.functional`, torchmetrics classes here."""

from mfif.metrics.fusion import EN, PSNR, QG, QMI, VIFF, FusionMetric, MapAccuracy, paper_metrics

__all__ = ["EN", "PSNR", "QG", "QMI", "VIFF", "FusionMetric", "MapAccuracy", "paper_metrics"]
