"""The runs of a sweep as one table and one plot, at its end or by `python -m mfif.training.collect FOLDER...`."""

import argparse
import csv
import json
import math
import os
import re
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from mfif.errors import InputError
from mfif.files import replacing
from mfif.launch import global_rank
from mfif.report.tables import Table

_OUTCOME = "outcome.json"


@dataclass(frozen=True)
class Run:
    """What the folder of a training says.

    Attributes:
        folder: The folder.
        overrides: What the command line changed, by key.
        seed: Its seed.
        status: ``finished``, ``ended early``, ``failed: ...``, or ``unfinished`` for one that runs or was killed.
        iterations: How many the logs show.
        monitor: The score that the best checkpoint is chosen by.
        best: All scores of validation where the monitored one is best.
        final: The last scores of validation.
    """

    folder: Path
    overrides: dict[str, str]
    seed: int
    status: str
    iterations: int
    monitor: str
    best: dict[str, float]
    final: dict[str, float]


def read_curves(folder: Path) -> dict[str, tuple[list[float], list[float]]]:
    """Steps and values of each quantity in the ``metrics.csv`` files below a folder; later files win a step."""
    points: dict[str, dict[float, float]] = {}
    for log in sorted(folder.glob("*/metrics.csv"), key=lambda path: path.stat().st_mtime):
        with log.open(newline="") as file:
            for row in csv.DictReader(file):
                for name, value in row.items():
                    if value and name not in ("step", "epoch"):
                        points.setdefault(name, {})[float(row["step"])] = float(value)
    return {name: tuple(map(list, zip(*sorted(values.items()), strict=True))) for name, values in points.items()}  # type: ignore[misc]


def read_run(folder: Path) -> Run:
    """Read the folder of a training, whether it ended or not."""
    config = OmegaConf.load(folder / ".hydra" / "config.yaml")
    words = OmegaConf.to_container(OmegaConf.load(folder / ".hydra" / "overrides.yaml"))
    curves = {name: dict(zip(*points, strict=True)) for name, points in read_curves(folder / "csv").items()}
    monitor = str(OmegaConf.select(config, "callbacks.best.monitor"))
    sign = -1 if OmegaConf.select(config, "callbacks.best.mode") == "min" else 1
    watched = {step: value for step, value in curves.get(monitor, {}).items() if not math.isnan(value)}
    best_step = max(watched, key=lambda step: (sign * watched[step], -step), default=None)
    scores = {name: points for name, points in curves.items() if name.startswith("val/")}
    iterations = int(max((max(points) + 1 for points in curves.values()), default=0))
    return Run(
        folder=folder,
        overrides=dict(_split(str(word)) for word in words),  # type: ignore[union-attr]
        seed=int(config.seed),
        status=_status(folder, iterations, int(config.trainer.max_steps)),
        iterations=iterations,
        monitor=monitor,
        best={name: points[best_step] for name, points in scores.items() if best_step in points},
        final={name: points[max(points)] for name, points in scores.items()},
    )


def _split(word: str) -> tuple[str, str]:
    key, _, value = word.lstrip("+~").partition("=")
    return key, value


def _status(folder: Path, iterations: int, planned: int) -> str:
    path = folder / _OUTCOME
    if not path.is_file():
        return "unfinished"
    outcome = json.loads(path.read_text())
    if outcome["status"] == "failed":
        return f"failed: {outcome['error']}"
    return "finished" if iterations >= planned else "ended early"


def find_runs(folders: Sequence[Path]) -> list[Path]:
    """Folders of trainings among and below some folders, in the order of their numbers.

    Raises:
        InputError: There is none.
    """
    found = {path.parent.parent.absolute() for folder in folders for path in folder.rglob(".hydra/overrides.yaml")}
    if not found:
        names = ", ".join(map(str, folders))
        raise InputError(f"Expected the folder of a sweep or of runs, found no .hydra/overrides.yaml in {names}.")
    # 2 before 10
    return sorted(
        found, key=lambda path: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", str(path))]
    )


class Sweep:
    """Runs beside each other; those that differ in nothing but their seed are repetitions of one variant.

    Args:
        runs: At least one.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = runs
        keys = dict.fromkeys(key for run in runs for key in run.overrides if key not in ("seed", "name"))
        self.changed = [key for key in keys if len({run.overrides.get(key) for run in runs}) > 1]
        self.scores = list(dict.fromkeys(name for run in runs for name in run.final))
        self.monitor = runs[0].monitor

    def variants(self) -> list[tuple[str, list[Run]]]:
        """What was changed, and the runs with that change, in the order they came."""
        groups: dict[tuple[str | None, ...], list[Run]] = {}
        for run in self.runs:
            groups.setdefault(tuple(run.overrides.get(key) for key in self.changed), []).append(run)
        return [(self._label(values), runs) for values, runs in groups.items()]

    def _label(self, values: Sequence[str | None]) -> str:
        words = [f"{key}={_short(value)}" for key, value in zip(self.changed, values, strict=True) if value is not None]
        return " ".join(words) or "as it is"

    def table(self) -> Table:
        """One row for each variant: what changed, how its runs ended, the scores with their spread over the seeds."""
        others = [name for name in self.scores if name != self.monitor]
        header = ["changed", "runs", "iterations", f"best {self.monitor}", f"final {self.monitor}", *others]
        rows = []
        for variant, runs in self.variants():
            best = [_spread(run.best.get(name) for run in runs) for name in (self.monitor, *others)]
            final = _spread(run.final.get(self.monitor) for run in runs)
            steps = sorted({run.iterations for run in runs})
            extent = str(steps[0]) if len(steps) == 1 else f"{steps[0]} to {steps[-1]}"
            rows.append([variant, _statuses(runs), extent, best[0], final, *best[1:]])
        repeated = (
            ", mean ± standard deviation over runs that differ in their seed alone"
            if len(self.variants()) < len(self.runs)
            else ""
        )
        return Table(f"Scores at the best {self.monitor}{repeated}", header, 2, rows)

    def write_csv(self, path: Path) -> None:
        """Write one line for each run, scores in full precision."""
        names = [f"{kind} {name}" for kind in ("best", "final") for name in self.scores]
        with replacing(path) as temporary, temporary.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["run", "status", "iterations", "seed", *self.changed, *names])
            for run in self.runs:
                changes = [run.overrides.get(key, "") for key in self.changed]
                scores = [kind.get(name, "") for kind in (run.best, run.final) for name in self.scores]
                writer.writerow([run.folder, run.status, run.iterations, run.seed, *changes, *scores])

    def draw(self, path: Path) -> None:
        """Plot the best monitored score of each run, one line of dots for each variant, and a bar at their mean."""
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot as plt

        variants = self.variants()
        figure, axis = plt.subplots(figsize=(8, 1.2 + 0.32 * len(variants)), layout="constrained")
        for place, (_, runs) in enumerate(variants):
            values = [run.best[self.monitor] for run in runs if self.monitor in run.best]
            axis.plot(values, [place] * len(values), "o", color="C0", alpha=0.6)
            if values:
                axis.plot(statistics.fmean(values), place, "|", color="black", markersize=14)
        axis.set_yticks(range(len(variants)), [label for label, _ in variants])
        axis.invert_yaxis()
        axis.set_xlabel(f"best {self.monitor}")
        axis.grid(alpha=0.3)
        with replacing(path) as temporary:
            figure.savefig(temporary, dpi=110)
        plt.close(figure)

    def write(self, folder: Path) -> None:
        """Write ``sweep.csv``, ``sweep.md`` and ``sweep.png``, and show the table."""
        self.write_csv(folder / "sweep.csv")
        with replacing(folder / "sweep.md") as temporary:
            temporary.write_text(self.table().markdown())
        self.draw(folder / "sweep.png")
        console = Console()
        if not console.is_terminal:
            console = Console(width=400)  # a file has no edge to fit into
        console.print(self.table().rich())
        console.print(f"In {folder}: sweep.md, sweep.csv, sweep.png.", soft_wrap=True, highlight=False)


def _short(value: str) -> str:
    try:
        return f"{float(value):.4g}" if "." in value else value
    except ValueError:
        return value


def _statuses(runs: Sequence[Run]) -> str:
    words = [run.status for run in runs]
    return ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))


def _spread(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None and not math.isnan(value)]
    if not known:
        return ""
    mean = f"{statistics.fmean(known):.4f}"
    return mean if len(known) == 1 else f"{mean} ± {statistics.stdev(known):.4f}"


class CollectSweep(Callback):
    """Hydra's callback: notes how each job ended, and at the end of a sweep makes its table."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Make the folder, where a sweeper may keep a database, and settle the stamp that all jobs shall share."""
        Path(config.hydra.sweep.dir).mkdir(parents=True, exist_ok=True)
        OmegaConf.select(config, "hydra.run.dir")  # evaluated once, `run_stamp` is handed on to the jobs

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Forget how an earlier run in this folder ended."""
        if global_rank() == 0:
            (Path(config.hydra.runtime.output_dir) / _OUTCOME).unlink(missing_ok=True)

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Note how the job ended; a killed one notes nothing."""
        if global_rank() != 0:
            return
        failed = job_return.status is JobStatus.FAILED
        value = job_return._return_value  # its property raises what the job raised
        outcome = {
            "status": "failed" if failed else "completed",
            "score": None if failed else value,
            "error": (str(value).strip() or type(value).__name__).splitlines()[0] if failed else None,
        }
        with replacing(Path(config.hydra.runtime.output_dir) / _OUTCOME) as temporary:
            temporary.write_text(json.dumps(outcome, indent=1) + "\n")

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Collect the sweep."""
        collect([Path(config.hydra.sweep.dir)])


def collect(folders: Sequence[Path], output: Path | None = None) -> None:
    """Write table and plot of the runs below some folders.

    Args:
        folders: Of sweeps or runs.
        output: Where to; None for the folder that all of them share.
    """
    runs = [read_run(folder) for folder in find_runs(folders)]
    Sweep(runs).write(output or Path(os.path.commonpath(folders)))


def main() -> int:
    """Entry point of the command line."""
    parser = argparse.ArgumentParser(prog="python -m mfif.training.collect", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="folder of a sweep, or of runs")
    parser.add_argument("--output", type=Path, help="where table and plot go; else the folder that all share")
    arguments = parser.parse_args()
    try:
        collect(arguments.folders, arguments.output)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
