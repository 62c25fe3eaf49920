"""Gaussian kernels: the paper's, of a strength drawn, repeated, and stretched."""

import math
from collections.abc import Sequence

import torch
from kornia.filters import get_gaussian_kernel1d
from torch import Generator, Tensor
from torch.nn import functional as F

from mfif.synthesis.draws import LogUniform, draw_angle


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
        _check_sigma(sigma)
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
        self.sigma = LogUniform("sigma", sigma)
        self.truncate = truncate
        self.support = 2 * math.ceil(truncate * self.sigma.high) + 1

    def draw(self, variant: Tensor, generator: Generator) -> Tensor:
        """Size and deviation of each sample's filter, ``(B, 2)``."""
        sigma = self.sigma.draw(len(variant), generator)
        return torch.cat([2 * torch.ceil(self.truncate * sigma) + 1, sigma], dim=1)

    def render(self, parameters: Tensor) -> Tensor:
        """Filters ``(B, support)`` of the drawn parameters ``(B, 2)``."""
        return gaussian_kernels(parameters[:, 0], parameters[:, 1], self.support)


class CascadeKernels:
    """One Gaussian filter applied once, twice, and so on: levels of defocus, each used once for every crop.

    The filter of level n is the n-fold convolution of the first, so that one pass of it blurs as n passes do. With the
    defaults the deviations are 1.64 px times the square root of the level, up to 3.67.

    Args:
        levels: How often the filter is applied at most.
        size: Filter size in pixels, odd.
        sigma: Standard deviation in pixels.

    Raises:
        ValueError: A value is not positive, or `size` is even.

    Source: the training pairs of Liu et al., Information Fusion 2017: five levels of a 7x7 filter of deviation 2.
    """

    def __init__(self, levels: int = 5, size: int = 7, sigma: float = 2.0) -> None:
        if levels < 1:
            raise ValueError(f"Expected `levels` to be positive, got {levels}.")
        if size < 1 or size % 2 == 0:
            raise ValueError(f"Expected `size` to be odd and positive, got {size}.")
        _check_sigma(sigma)
        self.variants = levels
        once = gaussian_kernels(torch.tensor([size]), torch.tensor([sigma], dtype=torch.float64), size)
        rows = [once]
        for _ in range(levels - 1):  # symmetric, so that the correlation of conv1d is a convolution
            rows.append(F.conv1d(rows[-1][None], once[None], padding=size - 1)[0])
        longest = rows[-1].shape[1]
        self._rows = torch.cat([F.pad(row, [(longest - row.shape[1]) // 2] * 2) for row in rows]).float()

    def draw(self, variant: Tensor, generator: Generator) -> Tensor:
        """Level of each sample's filter, from 0, ``(B, 1)``."""
        return variant[:, None].float()

    def render(self, parameters: Tensor) -> Tensor:
        """Filters ``(B, levels * (size - 1) + 1)`` of the drawn levels ``(B, 1)``."""
        return self._rows.to(parameters.device)[parameters[:, 0].long()]


class AnisotropicKernels:
    """Gaussian blur stronger in one direction than across it: a stress for methods trained on round blur.

    Args:
        sigma: Smallest and largest standard deviation in pixels; both of a filter are drawn alike, uniformly in the
            logarithm, and its direction uniformly.
        truncate: Half the side of the filter's support, in largest standard deviations.

    Raises:
        ValueError: The bounds are not positive or not in order.
    """

    variants = 1

    def __init__(self, sigma: Sequence[float] = (0.6, 4.0), truncate: float = 3.0) -> None:
        self.sigma = LogUniform("sigma", sigma)
        self.radius = math.ceil(truncate * self.sigma.high)

    def draw(self, variant: Tensor, generator: Generator) -> Tensor:
        """Deviation along and across, and direction from x towards y in radians, ``(B, 3)``."""
        count = len(variant)
        along, across = (self.sigma.draw(count, generator) for _ in range(2))
        return torch.cat([along, across, draw_angle(count, generator)], dim=1)

    def render(self, parameters: Tensor) -> Tensor:
        """Filters ``(B, K, K)`` of the drawn parameters ``(B, 3)``."""
        along, across, angle = parameters[:, :, None, None].unbind(1)
        offset = torch.arange(-self.radius, self.radius + 1, device=parameters.device)
        y, x = torch.meshgrid(offset, offset, indexing="ij")
        u = (x * angle.cos() + y * angle.sin()) / along
        v = (y * angle.cos() - x * angle.sin()) / across
        return torch.softmax(-(u**2 + v**2).flatten(1) / 2, dim=1).view_as(u)


def _check_sigma(sigma: float) -> None:
    if not sigma > 0:
        raise ValueError(f"Expected `sigma` to be positive, got {sigma}.")
