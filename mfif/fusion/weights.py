"""Networks from files: checkpoints of a training, and the weights that ship with the package."""

import json
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

import mfif.models
from mfif.errors import InputError
from mfif.files import replacing

SHIPPED = ("default", "fast", "paper")
"""Names of the weights in the package; beside each lies a card that says where they come from."""

SUFFIX = ".safetensors"


def shipped_weights(name: str) -> Path:
    """File of weights that ship.

    Args:
        name: One of `SHIPPED`.

    Raises:
        ValueError: There are none of this name.
    """
    if name not in SHIPPED:
        raise ValueError(f"Expected `name` to be one of {', '.join(SHIPPED)}, got {name!r}.")
    return Path(mfif.models.__file__).parent.parent / "weights" / f"{name}{SUFFIX}"


def checkpoint_at(path: Path) -> Path:
    """The file that a path means: of the folder of a run its best checkpoint, or the last where none was best."""
    held = [path / "checkpoints" / f"{name}.ckpt" for name in ("best", "last")]
    return next((file for file in held if file.is_file()), path)


def save_weights(checkpoint: Path, path: Path) -> None:
    """Write the network of a checkpoint without its training: its configuration, and its weights in half precision.

    Args:
        checkpoint: A file written by ``train.py``.
        path: Where to; its name ends in ``.safetensors``.

    Raises:
        InputError: The file is no checkpoint of ours, or `path` ends otherwise.
    """
    if path.suffix != SUFFIX:
        raise InputError(f"Expected the name of the weights to end in {SUFFIX}, got {path}.")
    load_network(checkpoint)  # checks it
    node, weights = _read_training(checkpoint)
    halves = {key: value.half().contiguous() for key, value in weights.items()}
    with replacing(path) as temporary:
        temporary.write_bytes(safetensors.torch.save(halves, {"network": json.dumps(node)}))


def load_network(path: Path) -> nn.Module:
    """Build the network of a file and load its weights; nothing in the file is executed.

    Args:
        path: A checkpoint written by ``train.py``, or a file of `save_weights`.

    Returns:
        The network, in evaluation mode, on the CPU.

    Raises:
        InputError: The file is no checkpoint of ours, or its weights do not fit the network it names.
    """
    node, weights = read_network(path)
    # A checkpoint names its network. Only ours are built, so that a file from elsewhere cannot name anything else.
    package, _, name = str(node.pop("_target_", "")).rpartition(".")
    if package != mfif.models.__name__ or name not in mfif.models.__all__:
        known = ", ".join(mfif.models.__all__)
        raise InputError(f"Expected {path} to name a network of mfif.models ({known}), got {name!r}.")
    try:
        with torch.device("meta"), _NoDraws():  # takes no memory before it is known to be of the size of the weights
            network: nn.Module = getattr(mfif.models, name)(**node)
        network.load_state_dict(weights, assign=True)
    except (RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"The weights in {path} do not fit the network it names, {name}: {reason[:300]} "
            "It was written by another version, or changed since."
        ) from error
    return network.float().eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def read_network(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Configuration and weights of the network in a checkpoint, or in a file of `save_weights`.

    Raises:
        InputError: The file is no checkpoint of ours.
    """
    return _read_weights(path) if path.suffix == SUFFIX else _read_training(path)


class _NoDraws(TorchFunctionMode):
    """Leaves initial weights undrawn. On the meta device a draw has no effect, but loads torch's compiler: 1.5 s."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return args[0] if func in (Tensor.normal_, Tensor.uniform_) else func(*args, **(kwargs or {}))


def _read_training(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Configuration and weights of the network in a checkpoint."""
    content = read_checkpoint(path)
    prefix = "network."
    try:
        node = dict(content["hyper_parameters"]["configuration"]["network"])
        weights = {
            key.removeprefix(prefix): value for key, value in content["state_dict"].items() if key.startswith(prefix)
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _no_checkpoint(path) from error
    return node, weights


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Content of a checkpoint; nothing in the file is executed.

    Raises:
        InputError: The file is no checkpoint.
    """
    try:
        with ZipFile(path) as archive:
            damaged = archive.testzip()  # torch.load compares no checksums
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged content makes an unpickler raise anything
        raise _no_checkpoint(path) from error
    if damaged or not isinstance(content, dict) or "state_dict" not in content:
        raise _no_checkpoint(path)
    return content


def _no_checkpoint(path: Path) -> InputError:
    return InputError(
        f"Expected {path} to be a checkpoint written by train.py, but it cannot be read as one. "
        "Name a file such as runs/.../checkpoints/best.ckpt."
    )


def _read_weights(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Configuration and weights of the network in a file of `save_weights`."""
    try:
        with safetensors.safe_open(path, "pt") as file:
            node = json.loads(file.metadata()["network"])
            return dict(node), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 it is no dict
    except (OSError, KeyError, TypeError, ValueError, safetensors.SafetensorError) as error:
        raise InputError(
            f"Expected {path} to be weights written by mfif export, but it cannot be read as such."
        ) from error
