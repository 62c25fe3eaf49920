"""Do killed runs end as if they had never been killed? `make kills`.

A tiny training that writes a checkpoint every other iteration is killed at a random moment, by SIGKILL or SIGTERM, and
resumed; its weights and the state of its optimizer must equal those of an uninterrupted one bit for bit. A third of the
SIGKILLs wait for the temporary file of a checkpoint and strike while it is written.
"""

import argparse
import contextlib
import hashlib
import json
import multiprocessing
import os
import platform
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

import mfif.data.datamodule
import mfif.evaluation.runner
import mfif.module
import mfif.training.runs  # noqa: F401 what the forked processes need
from mfif.config import run_entry_point

sys.path.insert(0, str(Path(__file__).parent.parent))
import train

RESULTS = Path(__file__).parent / "results"
ITERATIONS = 48
INTERVAL = 2
WAYS = ("SIGKILL", "SIGTERM", "SIGKILL while writing")


class Kill(NamedTuple):
    """What became of one run."""

    way: str
    status: int
    iteration: int  # of the checkpoint it was resumed from
    temporary: bool  # whether half a checkpoint was left
    agrees: bool  # with the uninterrupted run, after the resume


def make_photos(folder: Path) -> None:
    """Six small photographs of noise at several scales."""
    rng = np.random.default_rng(0)
    for index in range(6):
        scales = [np.kron(rng.random((96 // cell, 96 // cell, 3)), np.ones((cell, cell, 1))) for cell in (24, 8, 3, 1)]
        Image.fromarray((np.mean(scales, axis=0) * 255).astype(np.uint8)).save(folder / f"{index}.png")


def start(photos: Path, output: Path, *arguments: str) -> BaseProcess:
    """Start the training, or go on with it, in a process of its own, forked from this one to save the imports."""
    words = [
        "experiment=quick",
        "photos=folder",
        f"photos.root={photos}",
        "network.width=4",
        "data.crops=20",
        "data.batch_size=4",
        "data.val_pairs=6",
        "trainer=cpu",
        f"trainer.max_steps={ITERATIONS}",
        f"trainer.val_check_interval={INTERVAL}",
        "logger=csv",
        "callbacks.pictures.every_n_steps=1000",
        "~callbacks.summary",
        "~callbacks.curves",
        f"hydra.run.dir={output}",
    ]
    process = multiprocessing.get_context("fork").Process(target=run, args=([*words, *arguments],))
    process.start()
    return process


def run(words: list[str]) -> None:
    """What `python train.py WORDS` does, in silence."""
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    sys.argv = [train.__file__, *words]
    sys.exit(run_entry_point(train.main, "train"))


def wait_for_checkpoints(process: BaseProcess, output: Path, count: int) -> None:
    """Return when the last checkpoint has been written so many times, or the training has ended."""
    seen: set[int] = set()
    while len(seen) < count and process.is_alive():
        with contextlib.suppress(FileNotFoundError):
            seen.add((output / "checkpoints" / "last.ckpt").stat().st_mtime_ns)
        time.sleep(0.001)


def temporaries(output: Path) -> bool:
    """Whether a checkpoint is being written, or was when the run was killed."""
    return any(name.startswith(".last.") for name in os.listdir(output / "checkpoints"))


def strike(process: BaseProcess, output: Path, way: str) -> bool:
    """Kill the training in one of the ways; False if it ended before."""
    while way == "SIGKILL while writing" and not temporaries(output) and process.is_alive():
        pass
    if not process.is_alive():
        return False
    os.kill(process.pid, signal.SIGTERM if way == "SIGTERM" else signal.SIGKILL)
    process.join()
    return process.exitcode != 0


def state(checkpoint: Path) -> tuple[int, str]:
    """Iteration, and a hash of all weights and of the optimizer's moments."""
    content = torch.load(checkpoint, weights_only=True)
    moments = content["optimizer_states"][0]["state"]
    tensors = [*content["state_dict"].values(), *(value for own in moments.values() for value in own.values())]
    digest = hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in tensors)).hexdigest()
    return content["global_step"], digest


def final_states(output: Path) -> tuple[tuple[int, str], tuple[int, str]]:
    """States of the last and of the best checkpoint."""
    return state(output / "checkpoints" / "last.ckpt"), state(output / "checkpoints" / "best.ckpt")


def kill_and_resume(photos: Path, reference: Path, output: Path, way: str, moment: float) -> Kill | None:
    """Kill a training between its first checkpoint (moment 0) and its last (1), and resume it; None if too late."""
    process = start(photos, output)
    whole, part = divmod(moment * (ITERATIONS // INTERVAL - 1), 1)
    wait_for_checkpoints(process, output, 1 + int(whole))
    time.sleep(part * 0.05)
    if not strike(process, output, way):
        return None
    left = temporaries(output)
    iteration, _ = state(output / "checkpoints" / "last.ckpt")
    if iteration == ITERATIONS:
        return None
    resumed = start(photos, output, f"resume={output}")
    resumed.join()
    agrees = resumed.exitcode == 0 and final_states(output) == final_states(reference)
    return Kill(way, process.exitcode, iteration, left, agrees)


def main() -> None:
    """Kill as many runs as asked for, and write down what became of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    moments = random.Random(options.seed)
    torch.set_num_threads(1)
    kills: list[Kill] = []
    with tempfile.TemporaryDirectory() as scratch:
        photos, reference = Path(scratch, "photos"), Path(scratch, "uninterrupted")
        photos.mkdir()
        make_photos(photos)
        whole = start(photos, reference)
        whole.join()
        if whole.exitcode != 0:
            raise RuntimeError("The uninterrupted training failed.")
        for attempt in range(3 * options.kills):
            if len(kills) == options.kills:
                break
            output = Path(scratch, f"run-{attempt}")
            way = WAYS[len(kills) % len(WAYS)]
            kill = kill_and_resume(photos, reference, output, way, moments.random())
            if kill is not None:
                kills.append(kill)
                print(len(kills), *kill, flush=True)
    result = {
        "kills": len(kills),
        "agree": sum(kill.agrees for kill in kills),
        "ways": Counter(kill.way for kill in kills),
        "left_half_a_checkpoint": sum(kill.temporary for kill in kills),
        "runs": [kill._asdict() for kill in kills],
        "iterations": ITERATIONS,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": platform.platform(),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "kills-cpu.json").write_text(json.dumps(result, indent=2) + "\n")
    print(f"{result['agree']} of {result['kills']} killed and resumed runs equal the uninterrupted one.")
    sys.exit(result["agree"] != options.kills)


if __name__ == "__main__":
    main()
