"""The folder of a training run: where its checkpoints are, and what to say at its end."""

import json
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_only
from rich.console import Console
from torch import nn

from mfif.errors import InputError
from mfif.fusion.weights import SHIPPED, read_checkpoint, read_network, shipped_weights


def find_checkpoint(resume: str | None, module: LightningModule, max_steps: int) -> Path | None:
    """The checkpoint to go on from; says so where it is not the last one, or has all iterations.

    Args:
        resume: A checkpoint; or the folder of a run, whose last checkpoint is meant, or the one before it where that
            cannot be read; None starts anew.
        module: What shall go on.
        max_steps: Iterations it is trained for.

    Raises:
        InputError: There is nothing at `resume` that can be read, or it was trained with another configuration.
    """
    if resume is None:
        return None
    path, content = _read_newest(Path(resume))
    _check_same_training(path, content, module)
    if 0 <= max_steps <= content["global_step"]:
        reached = f"{content['global_step']} of {max_steps} iterations"
        say(f"{resume} has finished: {reached}. Raise trainer.max_steps to go on.")
    return path


def _read_newest(resume: Path) -> tuple[Path, dict[str, Any]]:
    """The newest checkpoint that can be read, and its content."""
    names = ("last.ckpt", "previous.ckpt", "best.ckpt")
    candidates = [resume / "checkpoints" / name for name in names] if resume.is_dir() else [resume]
    candidates = [path for path in candidates if path.is_file()]
    if not candidates:
        raise InputError(
            f"There is no checkpoint at {resume} to go on from. Name a .ckpt file or the folder of a run; a run that "
            "ended before its first checkpoint has nothing to go on from."
        )
    for path in candidates[:-1]:
        try:
            return path, read_checkpoint(path)
        except InputError:
            say(f"{path} cannot be read; looking for the checkpoint before it.")
    return candidates[-1], read_checkpoint(candidates[-1])


def start_from(weights: str | None, network: nn.Module) -> None:
    """Give a network that is to be trained further the weights of another training, in place.

    Args:
        weights: Name of weights that ship; a checkpoint, weights of ``mfif export``, or the folder of a run, as in
            `find_checkpoint`. None leaves the network as it is drawn.
        network: The network.

    Raises:
        InputError: There is nothing at `weights` that can be read, or it is of another network.
    """
    if weights is None:
        return
    path = shipped_weights(weights) if weights in SHIPPED else Path(weights)
    if path.is_dir():
        path, _ = _read_newest(path)
    elif not path.is_file():
        raise InputError(
            f"There are no weights at {path} to start from. Name a checkpoint, the folder of a run, weights of "
            f"mfif export, or one of {', '.join(SHIPPED)}."
        )
    node, values = read_network(path)
    own = network.state_dict()
    if {key: value.shape for key, value in values.items()} != {key: value.shape for key, value in own.items()}:
        target = str(node.pop("_target_", "")).rpartition(".")[-1]
        settings = " ".join(f"network.{key}={json.dumps(value)}" for key, value in node.items())
        raise InputError(
            f"Expected weights of the network that is trained, a {type(network).__name__}, but {path} has those of a "
            f"{target} of other size or kind. It was trained with {settings}."
        )
    network.load_state_dict(values)


_TRAINING = ("seed", "photos", "kernel", "template", "network", "loss", "optimizer", "scheduler", "averaging", "data")
"""Keys of the configuration that a resumed run may not change; how long and where it runs may change."""


def _check_same_training(path: Path, content: dict[str, Any], module: LightningModule) -> None:
    was, now = (
        flatten({key: configuration.get(key) for key in _TRAINING})
        for configuration in (content["hyper_parameters"]["configuration"], module.hparams["configuration"])
    )
    differing = [key for key in {**was, **now} if was.get(key) != now.get(key) and not key.endswith(".root")]
    if differing:
        listed = "; ".join(f"{key} was {was.get(key)}, is {now.get(key)}" for key in differing[:3])
        more = f"; and {len(differing) - 3} more" if len(differing) > 3 else ""
        raise InputError(
            f"Expected the configuration that {path} was trained with, but {listed}{more}. Take it from the folder of "
            "the run: python train.py --config-dir RUN --config-name config resume=RUN."
        )
    for key, weight in module.state_dict().items():
        found = content["state_dict"].get(key)
        if found is None or found.shape != weight.shape:
            came = "it has none" if found is None else f"it has {tuple(found.shape)}"
            raise InputError(
                f"Expected {path} to hold weights of shape {tuple(weight.shape)} for {key}, but {came}. "
                "It was written by another version."
            )


def flatten(node: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values of nested mappings by their dotted names."""
    values: dict[str, Any] = {}
    for key, value in node.items():
        values |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return values


@rank_zero_only
def say(message: str) -> None:
    """Tell the person at the keyboard, once for all ranks."""
    Console(stderr=True).print(message, soft_wrap=True, highlight=False)


def quiet_logs() -> None:
    """Leave out Lightning's banners and tips; its warnings stay, once each."""
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).handlers.clear()
    logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")  # Lightning 2.6 against torch 2.13
    warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")  # as it does to resume
    # Epochs are short where the photographs are few, and nothing here counts in them.
    warnings.filterwarnings("ignore", message="The number of training batches .* is smaller than the logging interval")
    # True wherever Slurm is installed, of a training that does not want it.
    warnings.filterwarnings("ignore", message="The `srun` command is available on your system but is not used")


def summarize(trainer: Trainer, output: Path) -> float | None:
    """Say what was written where, and return the best score of the monitored quantity if there is one."""
    best = next((callback for callback in trainer.checkpoint_callbacks if getattr(callback, "monitor", None)), None)
    score = getattr(best, "best_model_score", None)
    if trainer.is_global_zero:
        words = "" if score is None else f", best {getattr(best, 'monitor', None)} {float(score):.4f}"
        others = [path for path in sorted(output.iterdir()) if path.name[0] != "." and path.name != "checkpoints"]
        written = [*sorted(output.glob("checkpoints/*.ckpt")), *others]
        listed = ", ".join(f"{path.relative_to(output)}{'/' * path.is_dir()}" for path in written)
        said = f"Trained {trainer.global_step} iterations{words}. In {output}: {listed}."
        Console().print(said, soft_wrap=True, highlight=False)
    return None if score is None else float(score)
