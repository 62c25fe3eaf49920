"""Formulas compiled to machine code, for those who score thousands of images of one size."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, wraps
from typing import Any, ParamSpec

import torch
from torch import Tensor

Arguments = ParamSpec("Arguments")

_wanted: ContextVar[bool] = ContextVar("wanted", default=False)


@contextmanager
def compiled() -> Iterator[None]:
    """Let the slowest formulas of the paper's four (Q_G, VIFF) run compiled, as long as the block lasts.

    `torch.compile` takes up to a minute with the first image, and again with the first of another size; after that
    each takes about a third of the time. It needs a C++ compiler on the CPU. The scores are the same to rounding.

    Example:
        >>> with compiled():  # nothing is compiled before the first image comes
        ...     pass
    """
    token = _wanted.set(True)
    try:
        yield
    finally:
        _wanted.reset(token)


def compilable(formula: Callable[Arguments, Tensor]) -> Callable[Arguments, Tensor]:
    """Make a formula one of those that run compiled inside of `compiled`."""

    @cache  # not at import, for to import the compiler takes seconds
    def machine_code() -> Any:
        return torch.compile(formula, dynamic=False)

    @wraps(formula)
    def either(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Tensor:
        score: Tensor = (machine_code() if _wanted.get() else formula)(*args, **kwargs)
        return score

    return either
