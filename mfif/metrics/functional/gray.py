"""The gray 8-bit image every fusion metric of the field starts from."""

from functools import partial

import torch
from torch import Tensor

from mfif.metrics.functional.one_by_one import one_by_one
from mfif.metrics.functional.precision import working_dtype
from mfif.metrics.functional.shared_work import shared_work
from mfif.pair import luma


@shared_work
def gray8(image: Tensor, data_range: float = 1.0) -> Tensor:
    """Turn images into MATLAB's 8-bit gray, held as floats: whole numbers 0..255.

    Channels are rounded to 8 bit before they are mixed and again after, so that an image in memory scores what the file
    it is saved to scores. Values outside the range are clipped. Rounding is half up, as MATLAB's, and passes gradients
    through unchanged (they would be zero otherwise).

    Args:
        image: ``(B, 1, H, W)`` or ``(B, 3, H, W)`` in [0, data_range]; any real type.
        data_range: Value of white in `image`.

    Returns:
        ``(B, H, W)`` in `working_dtype`; NaN where a pixel of `image` is not finite.

    Source: ``uint8(round(.))`` of MATLAB's ``rgb2gray`` (`mfif.pair.luma`).

    Example:
        >>> import torch
        >>> gray8(torch.tensor([0.0, 0.5, 1.0]).view(1, 1, 1, 3))
        tensor([[[  0., 128., 255.]]], dtype=torch.float64)
    """
    return one_by_one(partial(_gray8, data_range=data_range), image)


def _gray8(image: Tensor, data_range: float) -> Tensor:
    pixels = image.to(working_dtype(image.device)) * (255 / data_range)
    # clamp() turns an infinity into a plausible gray level; 0 times the pixel is NaN there, and 0 elsewhere.
    levels = pixels.clamp(0, 255).add(pixels.detach(), alpha=0)
    with torch.autocast(levels.device.type, enabled=False):  # float32 sums would drop to half precision inside it
        return _round(luma(_round(levels)) if image.shape[1] == 3 else levels).squeeze(1)


def _round(pixels: Tensor) -> Tensor:
    rounded = torch.floor(pixels.detach() + 0.5)
    return pixels + (rounded - pixels.detach()) if pixels.requires_grad else rounded
