"""Blur kernels: one per sample, built from drawn parameters.

A kernel set is an object with three members, which is all the synthesizer knows of it:

- ``variants``: how many kernels the enumeration of training pairs runs through for every crop and template;
- ``draw(variant, generator)``: the parameters of one kernel per sample, on the CPU;
- ``render(parameters)``: the kernels, on the device of the parameters, ``(B, K)`` where the blur is separable and
  isotropic, else ``(B, K, K)``.
"""

import math
from collections.abc import Sequence

import torch
from kornia.filters import filter2d, filter2d_separable, get_gaussian_kernel1d
from torch import Generator, Tensor


def gaussian_kernels(size: Tensor, sigma: Tensor, support: int) -> Tensor:
    """Gaussian filters of each sample's own size and width, padded with zeros to a common support.

    Args:
        size: Filter sizes, odd, ``(B,)``; taps beyond are zero and the rest sums to one.
        sigma: Standard deviations in pixels, ``(B,)``.
        support: Length of every row, odd, at least the largest size.

    Returns:
        ``(B, support)``, dtype of `sigma`; the outer product of a row with itself is the two-dimensional filter.

    Example:
        >>> gaussian_kernels(torch.tensor([3, 5]), torch.tensor([1.0, 1.0]), 5).shape
        torch.Size([2, 5])
    """
    rows = get_gaussian_kernel1d(support, sigma[:, None])
    offset = torch.arange(support, device=sigma.device) - support // 2
    rows = rows * (offset.abs() <= (size // 2)[:, None])
    return rows / rows.sum(-1, keepdim=True)


def blur(image: Tensor, kernel: Tensor) -> Tensor:
    """Filter every sample with its own kernel, mirroring at the border.

    Args:
        image: ``(B, C, H, W)``; each side longer than half the kernel.
        kernel: ``(B, K)``, applied along both axes, or ``(B, K, K)``.

    Returns:
        Blurred image, shape of `image`.

    Raises:
        ValueError: The image is too small for the kernel.
    """
    if min(image.shape[-2:]) <= kernel.shape[-1] // 2:
        raise ValueError(
            f"Expected `image` to be larger than half the blur kernel ({kernel.shape[-1] // 2} px), "
            f"got {tuple(image.shape[-2:])}. Take larger crops (data.crop) or a smaller kernel."
        )
    if kernel.ndim == 2:
        return filter2d_separable(image, kernel, kernel)
    return filter2d(image, kernel)


class PaperKernels:
    """The paper's four: Gaussian filters of one standard deviation, cut off at several sizes.

    With a standard deviation of 1 the sizes 3, 7, 11 and 15 act like deviations of .740, .998, 1.000 and 1.000.

    Args:
        sizes: Filter sizes in pixels, odd.
        sigma: Standard deviation in pixels.

    Raises:
        ValueError: A size is even or not positive, or `sigma` is not positive.

    Source: sec. 3.1 of Zeng et al., ICASSP 2020.
    """

    def __init__(self, sizes: Sequence[int] = (3, 7, 11, 15), sigma: float = 1.0) -> None:
        if not sizes or any(size < 1 or size % 2 == 0 for size in sizes):
            raise ValueError(f"Expected `sizes` to be odd and positive, got {list(sizes)}.")
        if not sigma > 0:
            raise ValueError(f"Expected `sigma` to be positive, got {sigma}.")
        self.sizes = tuple(sizes)
        self.sigma = float(sigma)
        self.variants = len(self.sizes)

    def draw(self, variant: Tensor, generator: Generator) -> Tensor:
        """Size and deviation of each sample's filter, ``(B, 2)``; the variant is the index of the size."""
        size = torch.tensor(self.sizes, dtype=torch.float32)[variant]
        return torch.stack([size, torch.full_like(size, self.sigma)], dim=1)

    def render(self, parameters: Tensor) -> Tensor:
        """Filters ``(B, largest size)`` of the drawn parameters ``(B, 2)``."""
        return gaussian_kernels(parameters[:, 0], parameters[:, 1], max(self.sizes))


class GaussianKernels:
    """Gaussian blur of a strength drawn for every pair, uniformly in the logarithm.

    Defocus measured on the Lytro pairs needs a deviation of 2.5 px (median; 1.5 to 4.0 from the 10th to the 90th
    percentile), far more than the paper's 1.

    Args:
        sigma: Smallest and largest standard deviation in pixels.
        truncate: Radius of the filter in standard deviations.

    Raises:
        ValueError: The bounds are not positive or not in order.
    """

    variants = 1

    def __init__(self, sigma: Sequence[float] = (0.6, 4.0), truncate: float = 3.0) -> None:
        if len(sigma) != 2 or not 0 < sigma[0] <= sigma[1]:
            raise ValueError(f"Expected `sigma` to be two bounds, 0 < low <= high, got {list(sigma)}.")
        self.low, self.high = (float(bound) for bound in sigma)
        self.truncate = truncate
        self.support = 2 * math.ceil(truncate * self.high) + 1

    def draw(self, variant: Tensor, generator: Generator) -> Tensor:
        """Size and deviation of each sample's filter, ``(B, 2)``."""
        position = torch.rand(len(variant), generator=generator)
        sigma = self.low * (self.high / self.low) ** position
        return torch.stack([2 * torch.ceil(self.truncate * sigma) + 1, sigma], dim=1)

    def render(self, parameters: Tensor) -> Tensor:
        """Filters ``(B, support)`` of the drawn parameters ``(B, 2)``."""
        return gaussian_kernels(parameters[:, 0], parameters[:, 1], self.support)
