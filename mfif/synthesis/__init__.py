"""Partially focused pairs from sharp photographs: kernels, templates, composition. No files, no Lightning."""

from mfif.synthesis.compose import compose
from mfif.synthesis.kernels import (
    AnisotropicKernels,
    CascadeKernels,
    DiscKernels,
    GaussianKernels,
    MixtureKernels,
    MotionKernels,
    PaperKernels,
    blur,
    disc_kernels,
    gaussian_kernels,
)
from mfif.synthesis.synthesizer import PairDraw, Synthesizer
from mfif.synthesis.templates import (
    BlobTemplates,
    ConstantTemplates,
    HalfplaneTemplates,
    MixtureTemplates,
    PaperTemplates,
    ShapeTemplates,
    StripTemplates,
    SuperposedTemplates,
    paper_templates,
)

__all__ = [
    "AnisotropicKernels",
    "BlobTemplates",
    "CascadeKernels",
    "ConstantTemplates",
    "DiscKernels",
    "GaussianKernels",
    "HalfplaneTemplates",
    "MixtureKernels",
    "MixtureTemplates",
    "MotionKernels",
    "PairDraw",
    "PaperKernels",
    "PaperTemplates",
    "ShapeTemplates",
    "StripTemplates",
    "SuperposedTemplates",
    "Synthesizer",
    "blur",
    "compose",
    "disc_kernels",
    "gaussian_kernels",
    "paper_templates",
]
