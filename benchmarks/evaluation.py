"""Does an evaluation use all cores, and what does scoring cost beside fusing: `python -m benchmarks.evaluation`.

`evaluate.py` runs on pairs of 520x520 in one process and in one for each core, in turn. The ratio of both cannot exceed
the number of cores that are free.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks import inference, metrics
from benchmarks.timing import Call, in_turn, medians, parse, parser, ratio, write
from mfif.evaluation.workers import available_cores

ROOT = Path(__file__).parent.parent
METHODS = ("mean", "laplacian", "pyramid", "gf", "im", "source_a", "fast", "default")


def evaluate(pairs: Path, output: Path, workers: int) -> Call:
    """A call that scores all methods on all pairs, with nothing in the cache."""
    words = ["benchmark=folder", f"benchmark.root={pairs}", f"method=[{','.join(METHODS)}]", "metrics=paper"]
    words += [f"workers={workers}", "cache=null", "pictures=false", f"hydra.run.dir={output}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}

    def run() -> None:
        command = [sys.executable, "evaluate.py", *words]
        subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)

    return run


def measure(pairs: int, repeats: int) -> dict[str, Any]:
    """Seconds of an evaluation by the number of processes, and what a pair costs to fuse and to score."""
    cores = available_cores()
    images = inference.photographs(520)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "pairs")
        root.mkdir()
        for number in range(pairs):
            for name, image in zip("AB", images, strict=True):
                Image.fromarray(image).save(root / f"{number}-{name}.png")
        calls = {str(workers): evaluate(root, Path(folder, str(workers)), workers) for workers in (1, cores)}
        times = in_turn(calls, repeats, warm=True)
    fusing = {name: inference.measure(name, inference.load(name), images, "cpu", repeats=3)["ms"] for name in METHODS}
    return {
        "pairs": pairs,
        "methods": METHODS,
        "cores": cores,
        "seconds_one_process": medians(times)["1"] / 1e3,
        "seconds_all_cores": medians(times)[str(cores)] / 1e3,
        "speed_up": ratio(times, "1", str(cores)),
        "ms_to_fuse": fusing,
        "ms_to_score": metrics.paper_four(repeats=3)["ms"],
    }


def main() -> None:
    own = parser(__doc__)
    own.add_argument("--pairs", type=int, default=39, help="as many as Lytro and the grayscale set have")
    own.add_argument("--repeats", type=int, default=1)
    given = parse(own)
    row = measure(given.pairs, given.repeats)
    for name, value in row.items():
        print(f"{name:22}{value}")
    write("evaluation", "cpu", rows=[row])


if __name__ == "__main__":
    main()
