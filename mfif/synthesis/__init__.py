"""Partially focused pairs from sharp photographs: kernels, templates, composition. No files, no Lightning."""

from mfif.synthesis.compose import compose
from mfif.synthesis.kernels import GaussianKernels, PaperKernels, blur, gaussian_kernels
from mfif.synthesis.synthesizer import PairDraw, Synthesizer
from mfif.synthesis.templates import BlobTemplates, PaperTemplates, paper_templates

__all__ = [
    "BlobTemplates",
    "GaussianKernels",
    "PairDraw",
    "PaperKernels",
    "PaperTemplates",
    "Synthesizer",
    "blur",
    "compose",
    "gaussian_kernels",
    "paper_templates",
]
