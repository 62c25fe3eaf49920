"""The folder of a training run: where its checkpoints are, and what to say at its end."""

import ctypes
import logging
import sys
import warnings
from pathlib import Path

from lightning import Trainer
from rich.console import Console
from torch import nn

from mfif.errors import InputError
from mfif.inference import read_checkpoint


def find_checkpoint(resume: str | None, module: nn.Module) -> Path | None:
    """The checkpoint to go on from.

    Args:
        resume: A checkpoint, or the folder of a run, whose ``checkpoints/last.ckpt`` is meant; None starts anew.
        module: What shall go on.

    Raises:
        InputError: There is nothing at `resume`, it is no checkpoint, or its weights have other shapes than the module.
    """
    if resume is None:
        return None
    path = Path(resume)
    if path.is_dir():
        path = path / "checkpoints" / "last.ckpt"
    if not path.is_file():
        raise InputError(f"There is no checkpoint at {path} to resume from. Name a .ckpt file or the folder of a run.")
    found = {key: tuple(weight.shape) for key, weight in read_checkpoint(path)["state_dict"].items()}
    for key, weight in module.state_dict().items():
        if found.get(key) != tuple(weight.shape):
            came = f"it has {found[key]}" if key in found else "it has none"
            raise InputError(
                f"Expected {path} to hold weights of shape {tuple(weight.shape)} for {key}, but {came}. "
                "Resume with the configuration of that run; it is in .hydra/config.yaml of its folder."
            )
    return path


def quiet_logs() -> None:
    """Leave out Lightning's banners and tips; its warnings stay, once each."""
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).handlers.clear()
    logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")  # Lightning 2.6 against torch 2.13
    # Epochs are short where the photographs are few, and nothing here counts in them.
    warnings.filterwarnings("ignore", message="The number of training batches .* is smaller than the logging interval")


def keep_freed_memory() -> None:
    """Let the C library keep the memory of freed tensors for the next ones, on Linux.

    As it is, it hands large blocks back to the system after each use, and every training step faults in thousands of
    pages again: a third of the time of a step of a narrow network on the CPU.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if libc is None or not hasattr(libc, "mallopt"):  # another C library than glibc
        return
    trim_threshold, mmap_threshold, gibibyte = -1, -3, 1 << 30  # names of malloc.h
    libc.mallopt(mmap_threshold, gibibyte)
    libc.mallopt(trim_threshold, gibibyte)


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
