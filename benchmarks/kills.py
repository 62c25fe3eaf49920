"""Do killed runs end as if they had never been killed? `make kills`.

A tiny training that writes a checkpoint every other iteration is killed at a random moment, by SIGKILL or SIGTERM, and
resumed; its weights and the state of its optimizer must equal those of an uninterrupted one bit for bit. A third of the
kills are SIGKILLs that wait for the temporary file of a checkpoint and strike while it is written.

Every training is a process of its own, started by the command line that a user would type. One that fails is reported
as that, with the end of its output, and not as one whose weights differ.
"""

import argparse
import csv
import hashlib
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
ITERATIONS = 48
INTERVAL = 2
WAYS = {"SIGKILL": -signal.SIGKILL, "SIGTERM": 128 + signal.SIGTERM, "SIGKILL while writing": -signal.SIGKILL}
"""Ways to kill, and the exit status that follows from each."""
PATIENCE = 1800.0  # seconds that any training gets, on however busy a machine, before it counts as hanging
SHOWN = 2000  # characters of the output of a training that failed

EQUAL, DIFFERENT = "equal", "different"
ANEW = "began anew"  # instead of going on, be the weights equal or not
FAILED_TO_RESUME = "failed to resume"
FAILED_BEFORE = "failed before"  # to start, to train until the kill, or to stop as it should
TOO_LATE = "too late"  # the training had its last iteration before the kill


class Kill(NamedTuple):
    """What became of one run."""

    way: str
    outcome: str
    status: int | None = None  # of the killed process
    iteration: int | None = None  # of the checkpoint it was resumed from
    temporary: bool = False  # whether half a checkpoint was left
    output: str = ""  # the end of what a training that failed said


def make_photos(folder: Path) -> None:
    """Six small photographs of noise at several scales."""
    rng = np.random.default_rng(0)
    for index in range(6):
        scales = [np.kron(rng.random((96 // cell, 96 // cell, 3)), np.ones((cell, cell, 1))) for cell in (24, 8, 3, 1)]
        Image.fromarray((np.mean(scales, axis=0) * 255).astype(np.uint8)).save(folder / f"{index}.png")


def command(photos: Path, output: Path, *arguments: str) -> list[str]:
    """The training as a user would type it."""
    return [
        sys.executable,
        str(ROOT / "train.py"),
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
        *arguments,
    ]


@contextmanager
def training(photos: Path, output: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start the training, or go on with it; what it says goes beside its folder. Nothing of it outlives the block."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with said(output).open("ab") as log:
        process = subprocess.Popen(
            command(photos, output, *arguments), stdout=log, stderr=subprocess.STDOUT, env=environment
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def said(output: Path) -> Path:
    """File with all that the trainings in this folder have said."""
    return output.with_name(f"{output.name}.log")


def last_words(output: Path) -> str:
    """The end of what they have said."""
    return said(output).read_text(errors="replace")[-SHOWN:]


def wait_for_checkpoints(process: subprocess.Popen[bytes], output: Path, count: int) -> None:
    """Return when the last checkpoint has been written so many times, or the training has ended."""
    seen: set[int] = set()
    deadline = time.monotonic() + PATIENCE
    while len(seen) < count and process.poll() is None and time.monotonic() < deadline:
        with suppress(FileNotFoundError):
            seen.add((output / "checkpoints" / "last.ckpt").stat().st_mtime_ns)
        time.sleep(0.001)


def temporaries(output: Path) -> bool:
    """Whether a checkpoint is being written, or was when the run was killed."""
    return any(output.glob("checkpoints/.last.*"))


def strike(process: subprocess.Popen[bytes], output: Path, way: str) -> int:
    """Kill the training in one of the ways; return its exit status, which is another one if it ended before."""
    while way == "SIGKILL while writing" and not temporaries(output) and process.poll() is None:
        time.sleep(0.0001)
    process.send_signal(signal.SIGTERM if way == "SIGTERM" else signal.SIGKILL)
    return process.wait(PATIENCE)


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


def first_iteration(output: Path) -> int:
    """The first iteration after which the newest training in this folder validated."""
    newest = max((output / "csv").glob("version_*"), key=lambda folder: int(folder.name.rpartition("_")[2]))
    with (newest / "metrics.csv").open() as file:
        return min(int(row["step"]) + 1 for row in csv.DictReader(file) if row["val/loss"])


def kill_and_resume(photos: Path, reference: Path, output: Path, way: str, moment: float) -> Kill:
    """Kill a training between its first checkpoint (moment 0) and its last (1), resume it, compare the results."""
    with training(photos, output) as process:
        whole, part = divmod(moment * (ITERATIONS // INTERVAL - 1), 1)
        wait_for_checkpoints(process, output, 1 + int(whole))
        time.sleep(part * 0.05)
        status = strike(process, output, way)
    last = output / "checkpoints" / "last.ckpt"
    iteration, _ = state(last) if last.is_file() else (None, "")
    left = temporaries(output)
    if iteration == ITERATIONS and status in (0, WAYS[way], -signal.SIGTERM):  # the last: nobody handles it at the end
        return Kill(way, TOO_LATE, status, iteration, left)
    if iteration is None or status != WAYS[way]:
        return Kill(way, FAILED_BEFORE, status, iteration, left, last_words(output))
    with training(photos, output, f"resume={output}") as process:
        resumed = process.wait(PATIENCE)
    if resumed != 0:
        return Kill(way, FAILED_TO_RESUME, status, iteration, left, f"exit status {resumed}\n{last_words(output)}")
    outcome = EQUAL if final_states(output) == final_states(reference) else DIFFERENT
    return Kill(way, outcome if first_iteration(output) > iteration else ANEW, status, iteration, left)


def try_kill(photos: Path, reference: Path, output: Path, way: str, moment: float) -> Kill:
    """`kill_and_resume`, in which nothing that goes wrong with one run ends the others."""
    try:
        return kill_and_resume(photos, reference, output, way, moment)
    except Exception:  # a training that hangs, a checkpoint that cannot be read
        return Kill(way, FAILED_BEFORE, output=traceback.format_exc()[-SHOWN:] + last_words(output))


def kill_many(scratch: Path, kills: int, seed: int, at_once: int) -> Iterator[Kill]:
    """Kill and resume as many runs as asked for; those killed too late come on top.

    Raises:
        RuntimeError: The uninterrupted training failed.
    """
    moments = random.Random(seed)
    photos, reference = scratch / "photos", scratch / "uninterrupted"
    photos.mkdir()
    make_photos(photos)
    with training(photos, reference) as process:
        status = process.wait(PATIENCE)
    if status != 0:
        raise RuntimeError(f"The uninterrupted training ended with exit status {status}:\n{last_words(reference)}")
    missing = [list(WAYS)[index % len(WAYS)] for index in range(kills)]
    started = 0
    with ThreadPoolExecutor(at_once) as pool:
        while missing and started < 3 * kills:
            tries = []
            for way in missing:
                tries.append(
                    pool.submit(try_kill, photos, reference, scratch / f"run-{started}", way, moments.random())
                )
                started += 1
            missing = []
            for done in as_completed(tries):
                kill = done.result()
                missing += [kill.way] if kill.outcome == TOO_LATE else []
                yield kill


def summarize(kills: list[Kill]) -> dict[str, object]:
    """What is written down: how many runs came to which end, and each of them."""
    counted = [kill for kill in kills if kill.outcome != TOO_LATE]
    outcomes = Counter(kill.outcome for kill in kills)
    return {
        "kills": len(counted),
        "agree": outcomes[EQUAL],
        "differ": outcomes[DIFFERENT],
        "began_anew": outcomes[ANEW],
        "failed_to_resume": outcomes[FAILED_TO_RESUME],
        "failed_before": outcomes[FAILED_BEFORE],
        "too_late": outcomes[TOO_LATE],
        "ways": Counter(kill.way for kill in counted),
        "left_half_a_checkpoint": sum(kill.temporary for kill in counted),
        "runs": [kill._asdict() for kill in counted],
        "iterations": ITERATIONS,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": platform.platform(),
    }


def main() -> None:
    """Kill as many runs as asked for, and write down what became of them, after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--at-once", type=int, default=2, help="trainings that run at the same time")
    options = parser.parse_args()
    kills: list[Kill] = []
    RESULTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for kill in kill_many(Path(scratch), options.kills, options.seed, options.at_once):
            kills.append(kill)
            print(len(kills), *kill, flush=True)
            (RESULTS / "kills-cpu.json").write_text(json.dumps(summarize(kills), indent=2) + "\n")
    agree = sum(kill.outcome == EQUAL for kill in kills)
    print(", ".join(f"{count} {outcome}" for outcome, count in Counter(kill.outcome for kill in kills).items()))
    print(f"{agree} of {options.kills} killed and resumed runs equal the uninterrupted one.")
    sys.exit(agree != options.kills)


if __name__ == "__main__":
    main()
