"""SCD: sum of the correlations of differences."""

from typing import Literal

import torch
from torch import Tensor

from mfif.metrics.functional.gray import gray8
from mfif.metrics.functional.validation import check_choice, check_images

Variant = Literal["yl", "tang"]


def scd(fused: Tensor, source_a: Tensor, source_b: Tensor, data_range: float = 1.0, variant: Variant = "yl") -> Tensor:
    """How well what each source added is found in the other one; higher is better, differentiable.

    ``corr(F - B, A) + corr(F - A, B)`` with Pearson's correlation over the image.

    Args:
        fused: ``(B, 1, H, W)`` or ``(B, 3, H, W)`` in [0, data_range]; colour is scored on its gray.
        source_a: First source, same shape.
        source_b: Second source, same shape.
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        variant: What the correlation with a constant difference is, as where the fused image equals a source: 0 ("yl"),
            or undefined ("tang").

    Returns:
        ``(B,)`` in -2..2. NaN where a source is constant or, for "tang", a difference; also where a pixel is not
        finite.

    Raises:
        TypeError: An image is not a real tensor.
        ValueError: Shapes are wrong or differ, an image does not fit `data_range`, or `variant` is unknown.

    Source: Aslantas and Bendes, AEU 69(12), 2015; ``analysis_SCD.m`` of yuliu316316/MFIF-Metrics ("yl") and of
    Linfeng-Tang/Evaluation-for-Image-Fusion ("tang"). "yl" adds 1e-5 to the differences and gets rounding noise of
    about 1e-14 for a constant one; here that is 0.

    Example:
        >>> import torch
        >>> a, b = torch.rand(2, 1, 1, 8, 8, generator=torch.Generator().manual_seed(0)) / 2
        >>> scd(a + b, a, b).round(decimals=2)
        tensor([2.], dtype=torch.float64)
    """
    check_images(data_range, fused=fused, source_a=source_a, source_b=source_b)
    check_choice("variant", variant, ("yl", "tang"))
    f, a, b = (gray8(image, data_range).flatten(1) for image in (fused, source_a, source_b))
    without_difference = 0.0 if variant == "yl" else torch.nan
    score = _correlation(f - b, a, without_difference) + _correlation(f - a, b, without_difference)
    # A constant source, or a pixel that is not finite, has no correlation with anything.
    undefined = _constant(a) | _constant(b) | (f + a + b).detach().amax(1).isnan()
    return score.masked_fill(undefined, torch.nan)


def _correlation(difference: Tensor, source: Tensor, without_difference: float) -> Tensor:
    """Pearson's correlation of rows ``(B, N)``."""
    x, y = (rows - rows.mean(1, keepdim=True) for rows in (difference, source))
    flat = _constant(difference) | _constant(source)
    # Finite also where it is flat: so are the gradients.
    power = torch.where(flat, 1.0, x.square().sum(1) * y.square().sum(1))
    return torch.where(flat, without_difference, (x * y).sum(1) / power.sqrt())


def _constant(rows: Tensor) -> Tensor:
    return rows.detach().amin(1) == rows.detach().amax(1)
