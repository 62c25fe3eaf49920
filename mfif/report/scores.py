"""Scores of an evaluation: a row for each pair and method, their means, and the file of all of them."""

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mfif.files import replacing

KEYS = ("benchmark", "pair", "method")
COSTS = ("seconds", "peak_mb")
"""Columns that say what a fusion cost, beside those of the metrics."""

OVERALL = "all"
"""Stands for all benchmarks together."""


@dataclass(frozen=True)
class Row:
    """What one method reached on one pair.

    Attributes:
        benchmark: Name of the benchmark.
        pair: Name of the pair.
        method: Name of the method.
        scores: Scores and costs by name; NaN where a metric has none for these images.
        error: Why there is no score, where the method or a metric failed.
    """

    benchmark: str
    pair: str
    method: str
    scores: dict[str, float] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True)
class Mean:
    """Mean scores of a method.

    Attributes:
        benchmark: Name of the benchmark, or `OVERALL`.
        method: Name of the method.
        pairs: How many pairs it was scored on.
        complete: Whether those are all it was run on.
        scores: Means by name, of the pairs where the score is defined; NaN where it is for none.
    """

    benchmark: str
    method: str
    pairs: int
    complete: bool
    scores: dict[str, float]


@dataclass
class Scores:
    """All rows of an evaluation.

    Attributes:
        rows: In the order they are shown.
    """

    rows: list[Row] = field(default_factory=list)

    def names(self) -> list[str]:
        """All scores that occur, in the order of their first appearance, costs last."""
        names = list(dict.fromkeys(name for row in self.rows for name in row.scores))
        return [*(name for name in names if name not in COSTS), *(name for name in names if name in COSTS)]

    def benchmarks(self) -> list[str]:
        """Names of the benchmarks."""
        return list(dict.fromkeys(row.benchmark for row in self.rows))

    def methods(self) -> list[str]:
        """Names of the methods."""
        return list(dict.fromkeys(row.method for row in self.rows))

    def means(self) -> list[Mean]:
        """Means by benchmark and method; where there are several benchmarks, also over all their pairs."""
        groups = [(name, [row for row in self.rows if row.benchmark == name]) for name in self.benchmarks()]
        if len(groups) > 1:
            groups.append((OVERALL, self.rows))
        return [
            self._mean(group, method, [row for row in rows if row.method == method])
            for group, rows in groups
            for method in dict.fromkeys(row.method for row in rows)
        ]

    def _mean(self, benchmark: str, method: str, rows: Sequence[Row]) -> Mean:
        scored = [row.scores for row in rows if row.error is None]
        means = {name: mean(scores.get(name) for scores in scored) for name in self.names()}
        return Mean(benchmark, method, len(scored), len(scored) == len(rows), means)

    def notes(self) -> list[str]:
        """A line for every failure, and for every score that came out as no number."""
        notes = []
        for row in self.rows:
            place = f"{row.pair} ({row.benchmark}, {row.method})"
            if row.error is not None:
                notes.append(f"error: {place}: {row.error}")
            notes += [
                f"{name} is undefined for {place}; it is not in the mean."
                for name, value in row.scores.items()
                if math.isnan(value)
            ]
        return notes

    def write_csv(self, path: Path) -> None:
        """Write one line for every row, scores in full precision."""
        names = self.names()
        with replacing(path) as temporary, temporary.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*KEYS, *names, "error"])
            for row in self.rows:
                scores = [row.scores.get(name, "") for name in names]
                writer.writerow([row.benchmark, row.pair, row.method, *scores, row.error or ""])


def mean(values: Iterable[float | None]) -> float:
    """Mean of the values that are defined; NaN where there is none."""
    known = [value for value in values if value is not None and not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan


def merit(score: float, higher_is_better: bool | None) -> float:
    """A score turned so that more is better; None as direction means that 0 is the best."""
    if higher_is_better is None:
        return -abs(score)
    return score if higher_is_better else -score
