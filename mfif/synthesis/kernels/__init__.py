"""Blur kernels: one per sample, built from drawn parameters.

A kernel set is an object with three members, which is all the synthesizer knows of it:

- ``variants``: how many kernels the enumeration of training pairs runs through for every crop and template;
- ``draw(variant, generator)``: the parameters of one kernel per sample, ``(B, P)``, on the CPU;
- ``render(parameters)``: the kernels, on the device of the parameters, ``(B, K)`` where the blur is separable and
  isotropic, else ``(B, K, K)``. They sum to one.
"""

from mfif.synthesis.kernels.blur import blur
from mfif.synthesis.kernels.disc import DiscKernels, disc_kernels
from mfif.synthesis.kernels.gaussian import (
    AnisotropicKernels,
    CascadeKernels,
    GaussianKernels,
    PaperKernels,
    gaussian_kernels,
)
from mfif.synthesis.kernels.mixture import MixtureKernels
from mfif.synthesis.kernels.motion import MotionKernels

__all__ = [
    "AnisotropicKernels",
    "CascadeKernels",
    "DiscKernels",
    "GaussianKernels",
    "MixtureKernels",
    "MotionKernels",
    "PaperKernels",
    "blur",
    "disc_kernels",
    "gaussian_kernels",
]
