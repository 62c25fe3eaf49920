"""FMI: feature mutual information in small windows."""

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from mfif.metrics.functional.gray import gray8
from mfif.metrics.functional.validation import check_choice, check_images, check_size

Feature = Literal["pixel", "gradient", "dct"]

_SIDE = 3
_AT_A_TIME = 2**12  # windows: their joint tables then stay in a CPU's cache


class _Windows(NamedTuple):
    """Windows ``(9, N)`` read as distributions over their nine positions, down the columns first."""

    share: Tensor  # (9, N)
    cumulated: Tensor  # (10, N), from 0
    entropy: Tensor  # (N,), bits
    deviation: Tensor  # (N,), of the position
    flat: Tensor  # (N,), boolean


def fmi(
    fused: Tensor, source_a: Tensor, source_b: Tensor, data_range: float = 1.0, feature: Feature = "pixel"
) -> Tensor:
    """Mutual information of a feature of the fused image and its sources in 3x3 windows; higher is better.

    A window, scaled to 0..1, is read as a distribution over its nine positions. Two of them get the joint distribution
    that mixes independence with the Frechet bound, by their correlation; the score of a window is
    ``2 I(X, F) / (H(X) + H(F))``, averaged over windows and sources.

    Args:
        fused: ``(B, 1, H, W)`` or ``(B, 3, H, W)`` in [0, data_range]; colour is scored on its gray.
        source_a: First source, same shape.
        source_b: Second source, same shape.
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        feature: "pixel": the gray levels. "gradient": their horizontal derivative. "dct": the cosine transform of the
            whole image.

    Returns:
        ``(B,)`` in 0..1. NaN where a pixel is not finite.

    Raises:
        TypeError: An image is not a real tensor.
        ValueError: Shapes are wrong or differ, images are under 3 pixels high or wide, an image does not fit
            `data_range`, or `feature` is unknown.

    Source: Haghighat et al., Computers and Electrical Engineering 37(5), 2011; Fast-FMI, AICT 2014, and its ``fmi.m``
    (also ``analysis_fmi.m``), whose quirks are kept: flat windows are scaled to ones, and a fused window that differs
    from that of A meets that of B scaled, so that fused equal to B does not count as 1 unless it equals A too. Two flat
    windows of different levels score 1 here; there rounding decides between 0 and 1. The DCT of patterns with many zero
    coefficients (a checkerboard) is rounding noise in every implementation. The reference's features "edge" (MATLAB's
    ``edge``) and "wavelet" are left out.

    Example:
        >>> import torch
        >>> image = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        >>> fmi(image, image, image)
        tensor([1.], dtype=torch.float64)
    """
    check_images(data_range, fused=fused, source_a=source_a, source_b=source_b)
    check_choice("feature", feature, ("pixel", "gradient", "dct"))
    check_size(_SIDE, fused=fused)
    grays = (gray8(image, data_range).detach() for image in (fused, source_a, source_b))
    features = torch.stack([_feature(gray, feature) for gray in grays])
    batch, height, width = features.shape[1:]
    rows = max(1, _AT_A_TIME // (batch * width))
    bands = (features[:, :, top : top + rows + _SIDE - 1] for top in range(0, height - _SIDE + 1, rows))
    return torch.cat([_score(*_windows(band)).view(batch, -1) for band in bands], dim=1).mean(1)


def _feature(gray: Tensor, feature: Feature) -> Tensor:
    if feature == "gradient":
        return torch.gradient(gray, dim=2)[0]
    if feature == "dct":
        with torch.autocast(gray.device.type, enabled=False):
            return _cosines(gray.shape[1], gray) @ gray @ _cosines(gray.shape[2], gray).T
    return gray


def _cosines(size: int, like: Tensor) -> Tensor:
    """Matrix of the orthonormal DCT-II of that size."""
    order = torch.arange(size, dtype=like.dtype, device=like.device)
    basis = torch.cos(math.pi / size * order.unsqueeze(1) * (order + 0.5)) * math.sqrt(2 / size)
    basis[0] *= math.sqrt(0.5)
    return basis


def _windows(images: Tensor) -> Tensor:
    """All 3x3 windows of ``(3, B, H, W)``, ``(3, 9, N)``, each down its columns."""
    height, width = images.shape[2] - _SIDE + 1, images.shape[3] - _SIDE + 1
    views = [images[:, :, y : y + height, x : x + width] for x in range(_SIDE) for y in range(_SIDE)]
    return torch.stack(views, dim=1).flatten(2)


def _score(fused: Tensor, source_a: Tensor, source_b: Tensor) -> Tensor:
    """Mean score of windows ``(9, N)`` over both sources, ``(N,)``."""
    scaled = _scale(fused)
    distribution = _distribution(scaled)
    equal_a = (source_a == fused).all(0)
    equal_b = (source_b == torch.where(equal_a, fused, scaled)).all(0)
    with_a = _shared_information(_distribution(_scale(source_a)), distribution).masked_fill(equal_a, 1)
    with_b = _shared_information(_distribution(_scale(source_b)), distribution).masked_fill(equal_b, 1)
    return (with_a + with_b) / 2


def _scale(windows: Tensor) -> Tensor:
    """Stretch each window to 0..1; ones where it is flat."""
    low, high = windows.amin(0), windows.amax(0)
    flat = low == high
    return ((windows - low) / (high - low).masked_fill(flat, 1)).masked_fill(flat, 1)


def _distribution(scaled: Tensor) -> _Windows:
    share = scaled / scaled.sum(0)
    cumulated = torch.cat([torch.zeros_like(share[:1]), share.cumsum(0)])
    position = torch.arange(1.0, len(share) + 1, dtype=share.dtype, device=share.device).unsqueeze(1)
    mean = (position * share).sum(0)
    deviation = ((position - mean).square() * share).sum(0).sqrt()
    return _Windows(share, cumulated, _entropy(share, 0), deviation, (scaled == 1).all(0))


def _shared_information(x: _Windows, f: _Windows) -> Tensor:
    """2 I(X, F) / (H(X) + H(F)) of each window, ``(N,)``."""
    from_x, from_f = x.share - 1 / len(x.share), f.share - 1 / len(f.share)
    power = from_x.square().sum(0) * from_f.square().sum(0)
    correlation = (from_x * from_f).sum(0) / power.sqrt()
    correlation = correlation.masked_fill(x.flat | f.flat, 0)

    below_f, below_x = f.cumulated.unsqueeze(1), x.cumulated
    bound = torch.where(correlation >= 0, torch.minimum(below_f, below_x), (below_f + below_x - 1).clamp(min=0))
    covariance = (bound - below_f * below_x).sum((0, 1))
    mixing = correlation * x.deviation * f.deviation / covariance
    mixing = mixing.masked_fill((correlation == 0) | (x.deviation == 0) | (f.deviation == 0), 0)

    product = f.share.unsqueeze(1) * x.share
    joint = product + mixing * (bound.diff(dim=0).diff(dim=1) - product)
    marginal = x.entropy + f.entropy
    shared = marginal - _entropy(joint, (0, 1))
    ratio = (2 * shared / marginal).masked_fill(shared == 0, 0)
    return ratio.masked_fill(x.flat & f.flat, 1)


def _entropy(share: Tensor, dim: int | tuple[int, ...]) -> Tensor:
    """Sum of -p log2 |p|: mixing may leave a share below 0, of whose logarithm the reference takes the real part."""
    return torch.xlogy(share, share.abs()).sum(dim) / -math.log(2)
