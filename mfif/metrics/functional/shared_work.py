"""Intermediate results that several metrics need, computed once: one gray image, one joint histogram, for all."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

from mfif.metrics.functional.precision import working_dtype

P = ParamSpec("P")
R = TypeVar("R")

Work = dict[tuple[object, ...], tuple[object, object]]  # by function and arguments: arguments, which stay alive; result

_ANY_DEVICE = torch.device("cpu")
_work: ContextVar[Work | None] = ContextVar("work", default=None)


@contextmanager
def computing_once() -> Iterator[Work]:
    """Let functions marked `shared_work` compute only once for the same arguments, as long as the block lasts.

    Tensors are the same if they are the same memory in the same state, whichever object holds them; one that was
    changed in place since is another, and so are one with and one without a gradient to track. (Under
    `torch.inference_mode` PyTorch does not count changes; there, do not change images in place inside the block.)
    Results are released at the end of the block. A block inside a block shares its work. Threads share nothing.

    Results that are differentiated hold one graph in common: to call `backward` for one metric after the other, retain
    it, or add the scores up first.

    Yields:
        What has been computed so far.

    Example:
        >>> import torch
        >>> from mfif.metrics.functional import en, q_mi
        >>> image = torch.arange(16).view(1, 1, 4, 4) / 15
        >>> with computing_once() as work:
        ...     scores = en(image), q_mi(image, image, image)
        ...     print([name for name, *_ in work].count("gray8"))
        1
    """
    outer = _work.get()
    if outer is not None:
        yield outer
        return
    work: Work = {}
    token = _work.set(work)
    try:
        yield work
    finally:
        _work.reset(token)
        work.clear()


def shared_work(function: Callable[P, R]) -> Callable[P, R]:
    """Mark a function as one that computes only once in a `computing_once` block.

    Its result must depend on nothing but its arguments, and nobody may change it in place.

    Args:
        function: Takes tensors, hashable values, or sequences of them.

    Returns:
        The function, unchanged outside a block.
    """
    signature = inspect.signature(function)

    @wraps(function)
    def once(*args: P.args, **kwargs: P.kwargs) -> R:
        work = _work.get()
        if work is None:
            return function(*args, **kwargs)
        call = signature.bind(*args, **kwargs)
        call.apply_defaults()
        given = tuple(call.arguments.values())
        state = working_dtype(_ANY_DEVICE), torch.is_grad_enabled()
        key = (function.__qualname__, function.__module__, *state, *map(_identity, given))
        if key not in work:
            work[key] = given, function(*args, **kwargs)
        result: R = work[key][1]  # type: ignore[assignment]
        return result

    return once


def _identity(argument: object) -> object:
    """What tells an argument from others: for a tensor its memory, how it is read, and how often it was changed."""
    if isinstance(argument, tuple | list):
        return tuple(map(_identity, argument))
    if not isinstance(argument, Tensor):
        return argument
    changes = None if argument.is_inference() else argument._version
    read = (argument.shape, argument.stride(), argument.dtype, argument.device, argument.requires_grad)
    return (argument.data_ptr(), *read, changes)
