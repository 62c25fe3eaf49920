"""Networks for other programs: ONNX and torch.export, compared with the network before they appear."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from mfif.errors import InputError
from mfif.files import replacing

TOLERANCE = 1e-4
"""Largest difference to the network's own output that an export may have."""

_TRACED = (2, 1, 40, 56)
_COMPARED = ((1, 1, 33, 47), (3, 1, 64, 34), (1, 1, 16, 97))  # batch, 1, height, width


def export_onnx(network: nn.Module, path: Path) -> float:
    """Write a network as ONNX, of any batch, height and width; run by onnxruntime, it agrees with the network.

    Args:
        network: Of `mfif.models`, on the CPU.
        path: Where to.

    Returns:
        The largest difference found, at most `TOLERANCE`.

    Raises:
        InputError: The packages of the extra ``export`` are missing, the network cannot be traced, or the export
            differs.
    """
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise InputError(f"Exporting to ONNX needs {', '.join(missing)}. Install: pip install 'mfif[export]'.")
    import onnxruntime  # type: ignore[import-untyped]

    program = _trace(network)
    with replacing(path) as temporary:
        with _silence():
            exported = torch.onnx.export(
                program, input_names=["a", "b"], output_names=[_output(network)], dynamo=True, verbose=False
            )
        exported.save(temporary, external_data=False)  # type: ignore[union-attr]
        session = onnxruntime.InferenceSession(temporary, providers=["CPUExecutionProvider"])
        return _compare(network, lambda a, b: torch.from_numpy(session.run(None, {"a": a.numpy(), "b": b.numpy()})[0]))


def export_program(network: nn.Module, path: Path) -> float:
    """Write a network for ``torch.export.load``, of any batch, height and width; loaded again, it agrees.

    Args:
        network: Of `mfif.models`, on the CPU.
        path: Where to.

    Returns:
        The largest difference found, at most `TOLERANCE`.

    Raises:
        InputError: The network cannot be traced, or the export differs.
    """
    program = _trace(network)
    with replacing(path) as temporary:
        with temporary.open("wb") as stream, _silence():
            torch.export.save(program, stream)
        with temporary.open("rb") as stream:
            loaded = torch.export.load(stream).module()
        return _compare(network, loaded)


def _trace(network: nn.Module) -> ExportedProgram:
    free = {0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC}
    a, b = torch.rand(2, *_TRACED)
    try:
        with torch.no_grad(), _silence():
            return torch.export.export(network, (a, b), dynamic_shapes=(free, free))
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise InputError(f"torch.export cannot follow {type(network).__name__} at every size: {reason}") from error


def _output(network: nn.Module) -> str:
    return "fused" if getattr(network, "gives_image", False) else "alpha"


def _compare(network: nn.Module, exported: Callable[[Tensor, Tensor], Tensor]) -> float:
    """Largest difference between a network and its export, at sizes it was not traced with."""
    differences = []
    for shape in _COMPARED:
        a, b = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            try:
                differences.append(float((exported(a, b) - network(a, b)).abs().max()))
            except (AssertionError, RuntimeError) as error:
                raise InputError(
                    f"The export of {type(network).__name__} does not take images of {shape[3]}x{shape[2]}: it was "
                    "fixed to other sizes when it was traced. Take the other format."
                ) from error
    if not max(differences) <= TOLERANCE:
        raise InputError(
            f"The export of {type(network).__name__} differs from the network by {max(differences):.1e}, more than "
            f"{TOLERANCE:.0e}, and is not kept."
        )
    return max(differences)


@contextmanager
def _silence() -> Iterator[None]:
    """Spare people what the exporters say of packages that are not needed here."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
