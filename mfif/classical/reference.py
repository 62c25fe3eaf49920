"""Reference points: maps that need no training and that every method should be measured against."""

import torch
from kornia.filters import gaussian_blur2d, laplacian
from torch import Tensor


class ConstantMap:
    """The same map for every pair: 1 is the first source, 0 the second, 0.5 their average.

    Args:
        value: The map's value, in [0, 1].

    Raises:
        ValueError: `value` is outside of [0, 1].
    """

    by_place = True
    receptive_radius = 0

    def __init__(self, value: float) -> None:
        if not 0 <= value <= 1:
            raise ValueError(f"Expected `value` to be in [0, 1], got {value}.")
        self.value = value

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Decision map ``(B, 1, H, W)`` of gray sources of that shape."""
        return torch.full_like(a, self.value)


class LaplacianEnergy:
    """Selects at each pixel the source with more energy of the Laplacian around it.

    The energy is the squared response of a 3x3 Laplacian, averaged by a Gaussian window (Nayar and Nakagawa, IEEE
    TPAMI 1994, with a window in place of the sum).

    Args:
        sigma: Standard deviation of the window in pixels.

    Raises:
        ValueError: `sigma` is not positive.
    """

    def __init__(self, sigma: float = 3.0) -> None:
        if not sigma > 0:
            raise ValueError(f"Expected `sigma` to be positive, got {sigma}.")
        self.sigma = float(sigma)
        self._size = 2 * round(3 * self.sigma) + 1
        self.receptive_radius = self._size // 2 + 1

    def focus(self, image: Tensor) -> Tensor:
        """Local energy ``(B, 1, H, W)`` of a gray image of that shape."""
        squared = laplacian(image, kernel_size=3, border_type="replicate", normalized=False) ** 2
        return gaussian_blur2d(squared, self._size, (self.sigma, self.sigma), border_type="constant")

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Decision map ``(B, 1, H, W)``, zeros and ones, of gray sources of that shape; ties go to `a`."""
        return (self.focus(a) >= self.focus(b)).to(a.dtype)
