"""Scores of an evaluation: per image as CSV, means as Markdown and on the terminal."""

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mfif.files import replacing

KEYS = ("benchmark", "pair", "method")


@dataclass
class Scores:
    """Scores of every pair under every method, in the order they came.

    Attributes:
        rows: Benchmark, pair and method of each, and the scores by name.
    """

    rows: list[tuple[tuple[str, str, str], dict[str, float]]] = field(default_factory=list)

    def add(self, benchmark: str, pair: str, method: str, scores: dict[str, float]) -> None:
        """Append the scores of one fused image."""
        self.rows.append(((benchmark, pair, method), scores))

    def names(self) -> list[str]:
        """All scores that occur, in the order of their first appearance."""
        return list(dict.fromkeys(name for _, scores in self.rows for name in scores))

    def means(self) -> list[tuple[str, str, int, dict[str, float]]]:
        """Benchmark, method, number of pairs and mean scores; undefined scores (NaN) are left out of their mean."""
        groups = dict.fromkeys((benchmark, method) for (benchmark, _, method), _ in self.rows)
        result = []
        for group in groups:
            rows = [scores for (benchmark, _, method), scores in self.rows if (benchmark, method) == group]
            result.append((*group, len(rows), {name: _mean(row.get(name) for row in rows) for name in self.names()}))
        return result

    def undefined(self) -> list[str]:
        """A line for every score that came out as no number."""
        return [
            f"{name} is undefined for {pair} ({benchmark}, {method}); it is not in the mean."
            for (benchmark, pair, method), scores in self.rows
            for name, value in scores.items()
            if math.isnan(value)
        ]

    def write_csv(self, path: Path) -> None:
        """Write one line for every fused image, scores in full precision."""
        names = self.names()
        with replacing(path) as temporary, temporary.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*KEYS, *names])
            writer.writerows([*key, *(scores.get(name, "") for name in names)] for key, scores in self.rows)

    def write_markdown(self, path: Path, notes: Sequence[str] = ()) -> None:
        """Write the table of means, and notes below it."""
        header, *rows = self._table()
        lines = [header, ["---", "---", *["---:"] * (len(header) - 2)], *rows]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        listed = "".join(f"\n- {note}" for note in notes)
        with replacing(path) as temporary:
            temporary.write_text(f"{table}\n" + (f"{listed}\n" if listed else ""))

    def print(self, console: Console) -> None:
        """Show the table of means."""
        header, *rows = self._table()
        table = Table(title="Means over the pairs", box=None, padding=(0, 1, 0, 0), pad_edge=False)
        for index, name in enumerate(header):
            table.add_column(name.replace("_a", "\na"), justify="left" if index < 2 else "right", no_wrap=True)
        for row in rows:
            table.add_row(*row)
        console.print(table)

    def _table(self) -> list[list[str]]:
        names = self.names()
        rows = [
            [benchmark, method, str(count), *(_figure(means[name]) for name in names)]
            for benchmark, method, count, means in self.means()
        ]
        return [["benchmark", "method", "pairs", *names], *rows]


def _mean(values: Iterable[float | None]) -> float:
    known = [value for value in values if value is not None and not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan


def _figure(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4f}"
