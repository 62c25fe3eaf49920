"""Fingerprints of what a result depends on: pixels, weights, settings and the code behind them."""

import ast
import hashlib
import importlib
from collections.abc import Mapping
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

LIBRARIES = ("torch", "torchmetrics", "kornia", "numpy", "scipy", "scikit-image")


def fingerprint(*values: Any) -> str:
    """Digest of values that is the same in every process, and differs where results may.

    Args:
        *values: Tensors, arrays, plain values, containers, and objects of any class. An object counts by its state and
            by the source of its class's module, with all modules of this package that it imports; a function by its
            name and the source of its module. `LIBRARIES` count by their version.

    Returns:
        40 hexadecimal digits.
    """
    digest = hashlib.sha1(usedforsecurity=False)
    for library in LIBRARIES:
        digest.update(f"{library} {version(library)}\n".encode())
    for value in values:
        _feed(digest, value)
    return digest.hexdigest()


def _feed(digest: Any, value: Any) -> None:
    """Add a value, each preceded by its kind, so that values of different structure cannot run into each other."""
    kind = type(value)
    digest.update(f"\n{kind.__module__}.{kind.__qualname__} ".encode())
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | Path):
        digest.update(repr(value).encode())
    elif isinstance(value, Tensor | np.ndarray):
        array = value.detach().cpu().contiguous().numpy() if isinstance(value, Tensor) else np.ascontiguousarray(value)
        digest.update(f"{array.dtype} {array.shape} ".encode())
        digest.update(array.tobytes())
    elif isinstance(value, torch.dtype | torch.device | torch.memory_format):
        digest.update(str(value).encode())
    elif isinstance(value, Mapping):
        digest.update(str(len(value)).encode())
        for key, item in value.items():
            _feed(digest, key)
            _feed(digest, item)
    elif isinstance(value, list | tuple):
        digest.update(str(len(value)).encode())
        for item in value:
            _feed(digest, item)
    elif isinstance(value, set | frozenset):
        digest.update(repr(sorted(map(fingerprint, value))).encode())
    elif isinstance(value, type | FunctionType | BuiltinFunctionType):
        digest.update(f"{value.__module__}.{value.__qualname__}{_source(value.__module__)}".encode())
    elif isinstance(value, MethodType):
        _feed(digest, (value.__self__, value.__func__))
    elif isinstance(value, partial):
        _feed(digest, (value.func, value.args, value.keywords))
    else:
        digest.update(_source(kind.__module__).encode())
        _feed(digest, value.__getstate__())


@cache
def _source(module: str) -> str:
    """Digest of a module's text and, of those it imports, the ones of the same package."""
    texts = {name: _text(name) for name in sorted(_imported(module))}
    return hashlib.sha1(repr(texts).encode(), usedforsecurity=False).hexdigest()


def _imported(module: str) -> set[str]:
    """A module and those of this package that it imports, and they in turn."""
    package = __name__.partition(".")[0]
    found, new = set(), {module}
    while new:
        found |= new
        ours = [name for name in new if name.partition(".")[0] == package]
        new = {name for one in ours for name in _imports(one, package)} - found
    return found


def _imports(module: str, package: str) -> set[str]:
    """Modules of the package that a module imports; what it takes from a subpackage counts as the defining module's."""
    names = set()
    for node in ast.walk(ast.parse(_text(module))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names if alias.name.partition(".")[0] == package}
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == package:
            source = importlib.import_module(node.module)
            folder = hasattr(source, "__path__")
            names |= {_home(source, alias.name) for alias in node.names} if folder else {node.module}
    return names


def _home(package: ModuleType, name: str) -> str:
    value = getattr(package, name)
    home: str = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", package.__name__)
    return home


def _text(module: str) -> str:
    file = getattr(importlib.import_module(module), "__file__", None)
    return Path(file).read_text() if file is not None and file.endswith(".py") else module
