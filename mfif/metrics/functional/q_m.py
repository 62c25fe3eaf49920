"""Q_M: edges kept at two scales of a Haar wavelet."""

import torch
from torch import Tensor

from mfif.metrics.functional.gray import gray8
from mfif.metrics.functional.validation import check_images, check_size

_EXPONENTS = (2 / 3, 1 / 3)  # of the fine and the coarse scale
_SMALLEST_SIDE = 2 ** len(_EXPONENTS)


def q_m(fused: Tensor, source_a: Tensor, source_b: Tensor, data_range: float = 1.0) -> Tensor:
    """How exactly the fused image keeps its sources' wavelet details; higher is better, differentiable.

    Per scale, each pixel's details H, V, D count ``exp(-|H_X - H_F|) + exp(-|V_X - V_F|) + exp(-|D_X - D_F|)``,
    weighted by their energy in source X; the score is the product of the scales' means to the powers 2/3 (fine) and 1/3
    (coarse).

    Args:
        fused: ``(B, 1, H, W)`` or ``(B, 3, H, W)`` in [0, data_range]; colour is scored on its gray.
        source_a: First source, same shape.
        source_b: Second source, same shape.
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.

    Returns:
        ``(B,)`` in 0..3; equal images score 3. NaN, as the reference (0/0), where both sources are flat at a scale;
        also where a pixel is not finite.

    Raises:
        TypeError: An image is not a real tensor.
        ValueError: Shapes are wrong or differ, images are under 4 pixels high or wide, or an image does not fit
            `data_range`.

    Source: Wang and Liu, ICSP 2008; ``metricPWW.m`` of zhengliu6699/imageFusionMetrics, which adds the three directions
    where the paper averages them. Of an odd row or column the last one is dropped.

    Example:
        >>> import torch
        >>> image = torch.arange(16).view(1, 1, 4, 4) / 15
        >>> q_m(image, image, image).round(decimals=4)
        tensor([3.], dtype=torch.float64)
    """
    check_images(data_range, fused=fused, source_a=source_a, source_b=source_b)
    check_size(_SMALLEST_SIDE, fused=fused)
    smooth = torch.stack([gray8(image, data_range) for image in (fused, source_a, source_b)])
    score = torch.ones_like(smooth[0, :, 0, 0])
    for exponent in _EXPONENTS:
        smooth, details = _haar(smooth)
        kept = torch.exp(-(details[:, 1:] - details[:, :1]).abs()).sum(0)
        energy = details[:, 1:].square().sum(0)
        score = score * ((kept * energy).sum((0, 2, 3)) / energy.sum((0, 2, 3))) ** exponent
    return score


def _haar(images: Tensor) -> tuple[Tensor, Tensor]:
    """One orthonormal level of ``(..., H, W)``: the smooth half, and the three details stacked in front."""
    height, width = images.shape[-2] // 2 * 2, images.shape[-1] // 2 * 2
    top, bottom = images[..., 0:height:2, :width], images[..., 1:height:2, :width]
    total, change = (top + bottom) / 2, (top - bottom) / 2
    left, right = slice(0, None, 2), slice(1, None, 2)
    smooth = total[..., left] + total[..., right]
    details = [
        change[..., left] + change[..., right],
        total[..., left] - total[..., right],
        change[..., left] - change[..., right],
    ]
    return smooth, torch.stack(details)
