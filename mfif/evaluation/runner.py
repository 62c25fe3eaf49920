"""Methods x benchmarks -> scores and pictures, pair by pair, in parallel processes."""

import logging
from bisect import insort
from collections.abc import Iterator, Mapping
from typing import Literal, Protocol

from mfif.data.benchmarks import PairLoader
from mfif.errors import InputError
from mfif.evaluation.trial import Task, Trials
from mfif.evaluation.workers import spread
from mfif.report.files import Report
from mfif.report.scores import Row

log = logging.getLogger(__name__)


class Benchmark(Protocol):
    """A named list of pairs, see `mfif.data.benchmarks`."""

    def pairs(self) -> list[tuple[str, PairLoader]]:
        """Name of each pair and what loads it."""


class Evaluation:
    """Runs methods over benchmarks and keeps what is done on disk at every moment.

    A method that fails on a pair is an error in its row and stops nothing.

    Args:
        trials: Methods and metrics, and how one is tried on a pair.
        report: Takes the scores and writes the tables.
        on_error: Whether a pair that cannot be used stops the evaluation or is passed over, with a note.
        workers: Number of processes; the scores do not depend on it.

    Raises:
        InputError: `on_error` is neither of the two, or `workers` is not positive.
    """

    def __init__(
        self, trials: Trials, report: Report, *, on_error: Literal["stop", "skip"] = "stop", workers: int = 1
    ) -> None:
        if on_error not in ("stop", "skip"):
            raise InputError(f"Expected `on_error` to be stop or skip, got {on_error!r}.")
        if workers < 1:
            raise InputError(f"Expected `workers` to be positive, got {workers}.")
        self.trials = trials
        self.report = report
        self.on_error = on_error
        self.workers = workers
        self.skipped: list[str] = []
        self._unusable: InputError | None = None
        self._order: dict[tuple[str, str, str], int] = {}

    def run(self, benchmarks: Mapping[str, Benchmark]) -> None:
        """Evaluate all methods on all benchmarks.

        Raises:
            InputError: A pair cannot be used, and `on_error` is ``"stop"``; the tables of the pairs before are there.
        """
        rows = self.report.scores.rows
        try:
            for row in spread(self.trials.run, self._tasks(benchmarks), self.workers, _died):
                insort(rows, row, key=lambda row: self._order[row.benchmark, row.pair, row.method])
                self.report.write_scores()
        finally:
            if rows:
                self.report.write_tables(self.skipped)
        if self._unusable is not None:
            raise self._unusable

    def _tasks(self, benchmarks: Mapping[str, Benchmark]) -> Iterator[Task]:
        for name, benchmark in benchmarks.items():
            for pair_name, load in benchmark.pairs():
                try:
                    pair = load()
                except InputError as error:
                    if self.on_error == "stop":
                        # What has begun is brought to its end first.
                        self._unusable = InputError(f"{error} Or pass such pairs over with on_error=skip.")
                        return
                    log.warning("Skipped %s/%s: %s", name, pair_name, error)
                    self.skipped.append(f"Skipped {name}/{pair_name}: {error}")
                    continue
                self.trials.draw_sources(name, pair)
                for method in self.trials.methods:
                    self._order[name, pair.name, method] = len(self._order)
                    yield Task(name, pair, method)


def _died(task: Task) -> Row:
    return Row(
        task.benchmark, task.pair.name, task.method, error="the process died on it; it may have run out of memory"
    )
