"""The type the metrics compute in."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

_chosen: ContextVar[torch.dtype] = ContextVar("chosen", default=torch.float64)


def working_dtype(device: torch.device) -> torch.dtype:
    """Type the metrics compute in: float64, as the reference code, unless `computing_in` says otherwise.

    float32 where the device lacks float64 (MPS).
    """
    return torch.float32 if device.type == "mps" else _chosen.get()


@contextmanager
def computing_in(dtype: torch.dtype) -> Iterator[None]:
    """Let metrics compute in float32, as long as the block lasts: about twice as fast, right to 1e-4 instead of 1e-6.

    The type of the images does not decide this: photographs come as float32 everywhere, and their scores are compared
    with those of the reference code.

    Args:
        dtype: `torch.float32` or `torch.float64`.

    Raises:
        ValueError: `dtype` is another type.

    Example:
        >>> import torch
        >>> from mfif.metrics.functional import en
        >>> with computing_in(torch.float32):
        ...     en(torch.tensor([0.0, 1.0]).view(1, 1, 1, 2))
        tensor([1.])
    """
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"Expected `dtype` to be torch.float32 or torch.float64, got {dtype}.")
    token = _chosen.set(dtype)
    try:
        yield
    finally:
        _chosen.reset(token)
