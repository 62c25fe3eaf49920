"""Methods without weights: sources in; the decision map of the first, or the fused image, out."""

from mfif.classical.boundary_finding import BoundaryFinding
from mfif.classical.dsift import DenseSift
from mfif.classical.guided_filter import GuidedFilterFusion
from mfif.classical.image_matting import ImageMatting
from mfif.classical.laplacian_pyramid import LaplacianPyramid
from mfif.classical.reference import ConstantMap, LaplacianEnergy

__all__ = [
    "BoundaryFinding",
    "ConstantMap",
    "DenseSift",
    "GuidedFilterFusion",
    "ImageMatting",
    "LaplacianEnergy",
    "LaplacianPyramid",
]
