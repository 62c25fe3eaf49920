"""GF: fine weights by guided filters, one pair of scales."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from mfif.guided import box_mean, guided_filter
from mfif.pair import luma

_SALIENCY_RADIUS, _SALIENCY_SIGMA = 5, 5.0
_BASE_RADIUS = 15
_LEAST_WEIGHT = 1e-12  # so that weights can be normalized where all are zero


class GuidedFilterFusion:
    """Fuses any number of images by smoothing, for each of them, the map of where it has the most contrast.

    The map is smoothed by a guided filter, widely for the image's base (its local mean) and finely for its detail (the
    rest). It is computed from gray, and applied to every channel.

    Args:
        base_radius: Radius of the filter for the base, in pixels.
        base_eps: Its `eps`, a variance of gray in [0, 1].
        detail_radius: Radius of the filter for the detail.
        detail_eps: Its `eps`.

    Source: Li, Kang, Hu, Image Fusion with Guided Filtering, IEEE TIP 2013, and the authors' code, which smooths the
        saliency with sigma 5 in 11 x 11 pixels and keeps gray and weights in 8 bit. The colours keep their depth here.
    """

    def __init__(
        self,
        base_radius: int = 45,
        base_eps: float = 0.3,
        detail_radius: int = 7,
        detail_eps: float = 1e-6,
    ) -> None:
        self.base_radius, self.base_eps = base_radius, base_eps
        self.detail_radius, self.detail_eps = detail_radius, detail_eps
        # A weight sees two windows of its filter, whose margin sees the saliency's.
        self.receptive_radius = max(2 * max(base_radius, detail_radius) + _SALIENCY_RADIUS + 1, _BASE_RADIUS)

    def __call__(self, sources: Sequence[Tensor]) -> Tensor:
        """Fuse.

        Args:
            sources: At least two images of one shape ``(B, 1 or 3, H, W)``, in [0, 1].

        Returns:
            The fused image, shape and dtype of the sources, in [0, 1].

        Raises:
            ValueError: There are fewer than two sources, or their shapes differ.
        """
        if len(sources) < 2 or any(source.shape != sources[0].shape for source in sources):
            shapes = ", ".join(str(tuple(source.shape)) for source in sources)
            raise ValueError(f"Expected `sources` to be at least two images of one shape, got {shapes or 'none'}.")
        images = [source.double() for source in sources]
        grays = [_to_levels(luma(image)) for image in images]
        sharpest = torch.stack([_saliency(gray) for gray in grays]).argmax(0)  # the first where several are
        base_weights = _weights(grays, sharpest, self.base_radius, self.base_eps)
        detail_weights = _weights(grays, sharpest, self.detail_radius, self.detail_eps)
        fused = torch.zeros_like(images[0])
        for image, base_weight, detail_weight in zip(images, base_weights, detail_weights, strict=True):
            base = box_mean(pad(image, (_BASE_RADIUS,) * 4, mode="replicate"), _BASE_RADIUS)
            base = base[..., _BASE_RADIUS:-_BASE_RADIUS, _BASE_RADIUS:-_BASE_RADIUS]
            fused += base_weight * base + detail_weight * (image - base)
        return fused.clamp(0, 1).to(sources[0].dtype)


def _saliency(gray: Tensor) -> Tensor:
    """Contrast around each pixel: the magnitude of the Laplacian of the four neighbours, smoothed.

    Where sources are equally contrasted but for rounding, the order of the sums decides which of them wins: it is the
    one that comes nearest to the authors' images, and written out because that of a convolution differs by machine.
    """
    height, width = gray.shape[-2:]
    framed = pad(gray, (1, 1, 1, 1), mode="replicate")
    up, down = framed[..., :height, 1:-1], framed[..., 2:, 1:-1]
    left, right = framed[..., 1:-1, :width], framed[..., 1:-1, 2:]
    smoothed = (up + left + down - 4 * gray + right).abs()
    offsets = torch.arange(-_SALIENCY_RADIUS, _SALIENCY_RADIUS + 1, dtype=gray.dtype)
    weights = torch.exp(-(offsets**2) / (2 * _SALIENCY_SIGMA**2))
    weights /= weights.sum()
    for dim, size, frame in ((-2, height, (0, 0, 1, 1)), (-1, width, (1, 1, 0, 0))):
        framed = pad(smoothed, [_SALIENCY_RADIUS * side for side in frame], mode="replicate")
        smoothed = torch.zeros_like(gray)
        for start, weight in enumerate(weights.tolist()):
            smoothed = smoothed + weight * framed.narrow(dim, start, size)
    return smoothed


def _weights(grays: list[Tensor], sharpest: Tensor, radius: int, eps: float) -> Tensor:
    """Weight of each image, ``(N, B, 1, H, W)``; they sum to one at every pixel."""
    selected = [
        guided_filter(gray, (sharpest == index).to(gray.dtype), radius, eps) for index, gray in enumerate(grays)
    ]
    weights = _to_levels(torch.stack(selected).clamp(0, 1)) + _LEAST_WEIGHT
    return weights / weights.sum(0)


def _to_levels(values: Tensor) -> Tensor:
    """Values in [0, 1] to the nearest of 256 levels, halves up as in MATLAB."""
    return torch.floor(255 * values + 0.5) / 255
