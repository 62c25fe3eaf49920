"""Checks the metrics share: what shape, type and values their arguments may have."""

import math
from collections.abc import Collection

import torch
from torch import Tensor

from mfif.metrics.functional.shared_work import shared_work


def check_shapes(channels: Collection[int], **tensors: Tensor) -> None:
    """Raise unless all tensors are ``(B, C, H, W)`` of one shape, not empty, C being one of `channels`.

    Args:
        channels: Channel counts to accept.
        **tensors: What to check, under the names the caller's arguments have; the first one sets the shape.

    Raises:
        TypeError: One is no tensor, or complex.
        ValueError: One is not 4-D, has another number of channels, is empty, or differs in shape from the first.
    """
    wanted = " or ".join(f"(B, {count}, H, W)" for count in channels)
    first_name, first = next(iter(tensors.items()))
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise TypeError(f"Expected `{name}` to be a tensor {wanted}, got {type(tensor).__name__}.")
        shape = tuple(tensor.shape)
        if tensor.is_complex():
            raise TypeError(f"Expected `{name}` to be real, got {tensor.dtype}.")
        if tensor.ndim != 4 or tensor.shape[1] not in channels:
            raise ValueError(f"Expected `{name}` to be {wanted}, got {shape}.")
        if tensor.numel() == 0:
            raise ValueError(f"Expected `{name}` to hold at least one image of at least one pixel, got {shape}.")
        if tensor.shape != first.shape:
            raise ValueError(
                f"Expected `{name}` to have the shape of `{first_name}`, {tuple(first.shape)}, got {shape}."
            )


def check_images(data_range: float, **images: Tensor) -> None:
    """Raise unless the images are gray or colour batches of one shape and fit their `data_range`.

    Pixel values are not looked at, so nothing waits for the device; see `check_values` for those.

    Args:
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.
        **images: ``(B, 1, H, W)`` or ``(B, 3, H, W)``, under the names the caller's arguments have.

    Raises:
        TypeError: An image is no tensor, complex, or boolean.
        ValueError: Shapes are wrong or differ, `data_range` is not positive, or an integer image comes with a
            `data_range` other than 255.
    """
    check_shapes((1, 3), **images)
    if not (data_range > 0 and math.isfinite(data_range)):
        raise ValueError(f"Expected `data_range` to be a positive number, got {data_range}.")
    for name, image in images.items():
        if image.dtype == torch.bool:
            raise TypeError(f"Expected `{name}` to be a float or integer image, got {image.dtype}.")
        if not image.is_floating_point() and data_range != 255:
            raise ValueError(
                f"Expected `data_range` to be 255 for the integer image `{name}` ({image.dtype}), got {data_range}."
            )


def check_values(given: dict[str, Tensor], truth: dict[str, Tensor], data_range: float) -> None:
    """Raise unless all values are finite and those of `truth` lie in [0, data_range].

    What a method produced (`given`) may leave the range: scoring clips it, as saving it would. Photographs and true
    maps (`truth`) may not: there it means a wrong scale. Costs one wait for the device; takes checked shapes.

    Args:
        given: Tensors only required to be finite, by argument name.
        truth: Tensors also required to lie in the range, by argument name.
        data_range: Largest value allowed in `truth`.

    Raises:
        ValueError: A value is NaN or infinite, or one of `truth` is out of range.
    """
    tensors = given | truth
    extremes = torch.stack([_extremes(tensor.detach()) for tensor in tensors.values()])
    slack = 1e-3 * data_range  # resizing and half precision overshoot a little; a wrong scale overshoots a lot
    for name, (low, high) in zip(tensors, extremes.tolist(), strict=True):
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ValueError(f"Expected `{name}` to be finite, got NaN or infinite values.")
        if name in truth and (low < -slack or high > data_range + slack):
            raise ValueError(
                f"Expected `{name}` to lie in [0, {data_range:g}], got values from {low:g} to {high:g}. "
                "Scale it, or set `data_range`."
            )


@shared_work
def _extremes(tensor: Tensor) -> Tensor:
    """Smallest and largest value, NaN if there is one."""
    return torch.stack(torch.aminmax(tensor)).float()


def check_choice(name: str, value: object, choices: Collection[str]) -> None:
    """Raise unless an argument is one of the names it may have.

    Args:
        name: The argument.
        value: What came.
        choices: What it may be.

    Raises:
        ValueError: `value` is none of `choices`.
    """
    if value not in choices:
        raise ValueError(f"Expected `{name}` to be {' or '.join(map(repr, choices))}, got {value!r}.")


def check_size(least: int, **images: Tensor) -> None:
    """Raise unless the images are at least so many pixels high and wide; takes checked shapes.

    Args:
        least: Smallest height and width.
        **images: ``(..., H, W)``, under the names the caller's arguments have.

    Raises:
        ValueError: An image is smaller.
    """
    for name, image in images.items():
        if min(image.shape[-2:]) < least:
            raise ValueError(
                f"Expected `{name}` to be at least {least} pixels high and wide, got {tuple(image.shape[-2:])}."
            )
