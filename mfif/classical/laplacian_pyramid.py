"""The Laplacian pyramid, the oldest way to fuse that needs no map. A reference point."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d, pad

_BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


class LaplacianPyramid:
    """Keeps at each level and pixel the largest detail of any source, and the average of what is coarser.

    Channels are fused independently of each other.

    Args:
        levels: Number of levels of detail, each half the size of the one before.

    Raises:
        ValueError: `levels` is under 1.

    Source: Burt, Adelson, "The Laplacian pyramid as a compact image code", IEEE Transactions on Communications 31(4),
    1983, with a = 0.375 in eq. (4); the choice of the largest detail is Burt's in "The pyramid as a structure for
    efficient computation", 1984.
    """

    def __init__(self, levels: int = 4) -> None:
        if levels < 1:
            raise ValueError(f"Expected `levels` to be at least 1, got {levels}.")
        self.levels = levels
        self.stride = 2**levels  # of the pixels of the coarsest level
        self.receptive_radius = 4 * self.stride  # twice the sum of the strides on the way down, and again up

    def __call__(self, sources: Sequence[Tensor]) -> Tensor:
        """Fuse two sources or more.

        Args:
            sources: Each ``(B, 1 or 3, H, W)`` in [0, 1], of one shape.

        Returns:
            ``(B, 1 or 3, H, W)`` in [0, 1].
        """
        images = torch.stack(tuple(sources))
        details = []
        for _ in range(self.levels):
            coarse = reduce(images)
            details.append(largest(images - expand(coarse, images.shape[-2:])))
            images = coarse
        fused = images.mean(0)
        for detail in reversed(details):
            fused = expand(fused, detail.shape[-2:]) + detail
        return fused.clamp(0, 1)


def largest(details: Tensor) -> Tensor:
    """Of ``(N, ...)`` the value of largest magnitude along the first dimension; of equal ones the first."""
    index = details.abs().argmax(0, keepdim=True)
    return details.gather(0, index)[0]


def reduce(images: Tensor) -> Tensor:
    """Smooth, then take every other pixel from the first on: ``(..., H, W)`` to ``(..., ceil(H / 2), ceil(W / 2))``."""
    planes = pad(_planes(images), (2, 2, 2, 2), mode="replicate")
    reduced = conv2d(planes, _kernel(images), stride=2)
    return reduced.reshape(*images.shape[:-2], *reduced.shape[-2:])


def expand(images: Tensor, size: Sequence[int]) -> Tensor:
    """Interpolate to the size ``(H, W)`` that `reduce` was given."""
    planes = pad(_planes(images), (1, 1, 1, 1), mode="replicate")
    expanded = conv_transpose2d(planes, 4 * _kernel(images), stride=2)
    height, width = size
    return expanded[..., 4 : 4 + height, 4 : 4 + width].reshape(*images.shape[:-2], height, width)


def _planes(images: Tensor) -> Tensor:
    return images.reshape(-1, 1, *images.shape[-2:])


def _kernel(images: Tensor) -> Tensor:
    row = images.new_tensor(_BINOMIAL)
    return torch.outer(row, row)[None, None]
