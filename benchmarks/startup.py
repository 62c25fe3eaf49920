"""How long the commands take to start, each in a process of its own: `make bench`."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from benchmarks.inference import photographs
from benchmarks.timing import Call, in_turn, medians, parse, parser, ratio, write
from mfif.models import TwoStream

ROOT = Path(__file__).parent.parent
TORCH = "import torch"
TARGETS = {"mfif --help": 1.0, "train.py --help": 1.0, "evaluate.py --help": 1.0, "mfif fuse": 3.0}
"""Seconds, by how a command begins."""


def commands(folder: Path) -> dict[str, list[str]]:
    """What is measured, by its name; with what it needs in a folder."""
    paths = [str(folder / name) for name in ("a.png", "b.png")]
    for path, image in zip(paths, photographs(128), strict=True):
        Image.fromarray(image).save(path)
    network = {"_target_": "mfif.models.TwoStream", "width": 16}
    state = {f"network.{name}": weight for name, weight in TwoStream(16).state_dict().items()}
    checkpoint = folder / "network.ckpt"
    torch.save({"state_dict": state, "hyper_parameters": {"configuration": {"network": network}}}, checkpoint)
    mfif = ["-c", "import sys; from mfif.cli import main; sys.exit(main())"]
    fuse = [*mfif, "fuse", *paths, "-o", str(folder / "fused.png"), "--force"]
    found = {
        TORCH: ["-c", "import torch"],
        "mfif --help": [*mfif, "--help"],
        "train.py --help": ["train.py", "--help"],
        "evaluate.py --help": ["evaluate.py", "--help"],
        "mfif fuse, default method": fuse,
        "mfif fuse, a checkpoint": [*fuse, "--method", str(checkpoint)],
    }
    return {name: [sys.executable, *words] for name, words in found.items()}


def start(words: list[str]) -> Call:
    """A call that runs a command to its end."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def run() -> None:
        subprocess.run(words, cwd=ROOT, env=environment, check=True, capture_output=True)

    return run


def measure(repeats: int) -> list[dict[str, Any]]:
    """Seconds of each command, and beside importing torch."""
    with tempfile.TemporaryDirectory() as folder:
        times = in_turn({name: start(words) for name, words in commands(Path(folder)).items()}, repeats)
    targets = {name: next((at for start, at in TARGETS.items() if name.startswith(start)), None) for name in times}
    return [
        {"command": name, "seconds": ms / 1e3, "torch_ratio": ratio(times, name, TORCH), "target": targets[name]}
        for name, ms in medians(times).items()
    ]


def main() -> None:
    own = parser(__doc__)
    own.add_argument("--repeats", type=int, default=5)
    rows = measure(parse(own).repeats)
    print(f"{'command':28}{'seconds':>9}{'target':>8}{'/ import torch':>16}")
    for row in rows:
        print(f"{row['command']:28}{row['seconds']:>9.2f}{row['target'] or '':>8}{row['torch_ratio']:>16.2f}")
    write("startup", "cpu", rows=rows)


if __name__ == "__main__":
    main()
