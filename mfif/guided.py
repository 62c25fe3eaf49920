"""The guided filter: smooths an image along the edges of another."""

import torch
from torch import Tensor
from torch.nn.functional import pad


def guided_filter(guide: Tensor, image: Tensor, radius: int, eps: float) -> Tensor:
    """Fit `image` by a linear function of `guide` in every window, and average the fits that cover a pixel.

    Windows end with the image, so that none of them counts what lies outside. They are summed in float64 by running
    totals: the time does not depend on `radius`, and windows without contrast keep their small variance.

    Args:
        guide: Gray image ``(B, 1, H, W)`` whose edges are kept, in [0, 1].
        image: What is filtered, ``(B, C, H, W)`` of any range; every channel with the same guide.
        radius: Pixels from the middle of a window to its side, which is ``2 * radius + 1`` long; may exceed the image.
        eps: Variance of the guide below which a window counts as flat and is averaged.

    Returns:
        The filtered image, shape, dtype and device of `image`; its range may be left a little at strong edges.

    Raises:
        ValueError: The shapes do not belong together, `radius` is negative or `eps` is not positive.

    Source: He, Sun, Tang, Guided Image Filtering, IEEE TPAMI 2013, eqs. (5), (6) and (8).
    """
    if guide.ndim != 4 or image.ndim != 4 or guide.shape != (image.shape[0], 1, *image.shape[2:]):
        raise ValueError(
            "Expected `guide` to be (B, 1, H, W) and `image` (B, C, H, W) of the same size, "
            f"got {tuple(guide.shape)} and {tuple(image.shape)}."
        )
    if radius < 0:
        raise ValueError(f"Expected `radius` to be at least 0, got {radius}.")
    if not eps > 0:
        raise ValueError(f"Expected `eps` to be positive, got {eps}.")
    i, p = guide.double(), image.double()
    products = torch.cat([i, i * i, p, i * p], dim=1)
    mean_i, mean_ii, mean_p, mean_ip = box_mean(products, radius).tensor_split([1, 2, 2 + p.shape[1]], dim=1)
    slope = (mean_ip - mean_i * mean_p) / (mean_ii - mean_i * mean_i + eps)
    offset = mean_p - slope * mean_i
    mean_slope, mean_offset = box_mean(torch.cat([slope, offset], dim=1), radius).chunk(2, dim=1)
    return (mean_slope * i + mean_offset).to(image.dtype)


def box_mean(image: Tensor, radius: int) -> Tensor:
    """Mean of the square window around each pixel, as far as it lies in the image.

    Args:
        image: ``(..., H, W)``, float64 where the running totals of large images shall not lose precision.
        radius: Pixels from the middle of a window to its side.

    Returns:
        The means, shape and dtype of `image`.

    Example:
        >>> box_mean(torch.tensor([[1.0, 2.0, 6.0]]), 1)
        tensor([[1.5000, 3.0000, 4.0000]])
    """
    for _ in range(2):  # along the columns, and along the rows by turning the image over and back
        size = image.shape[-2]
        middle = torch.arange(size, device=image.device)
        start, end = (middle - radius).clamp(min=0), (middle + radius + 1).clamp(max=size)
        totals = pad(image.cumsum(-2), (0, 0, 1, 0))
        sums = totals.index_select(-2, end) - totals.index_select(-2, start)
        image = (sums / (end - start)[:, None]).mT.contiguous()
    return image
