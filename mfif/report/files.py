"""What an evaluation leaves in its folder: scores of each pair, their means, published rows beside them."""

import csv
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from mfif.files import replacing
from mfif.metrics import FusionMetric
from mfif.report.agreement import agreement_table
from mfif.report.pairwise import win_tables, worst_table
from mfif.report.scores import OVERALL, Mean, Scores, mean
from mfif.report.tables import Mark, Table, rank

_DECIMALS = {"seconds": 2, "peak_mb": 0}
_PUBLISHED_DECIMALS = 3


class Report:
    """Tables of an evaluation.

    Args:
        output: Folder for ``scores.csv`` and ``means.csv``, and for the tables ``summary``, ``images`` and
            ``pairwise``, each as Markdown and LaTeX.
        metrics: The metrics by name; they know which direction is better and which need the truth.
        published: Published scores by method and metric, to lay beside the means over all pairs.
        reference_points: Methods that take no part in the ranking: to be measured against, not to be used.
    """

    def __init__(
        self,
        output: Path,
        metrics: Mapping[str, FusionMetric],
        published: Mapping[str, Mapping[str, float]] | None = None,
        reference_points: Collection[str] = (),
    ) -> None:
        self.output = output
        self.metrics = metrics
        self.published = published or {}
        self.reference_points = reference_points
        self.scores = Scores()

    def write_scores(self) -> None:
        """Write ``scores.csv``."""
        self.scores.write_csv(self.output / "scores.csv")

    def write_tables(self, notes: Sequence[str] = ()) -> None:
        """Write the means and the tables of each metric; `notes` go below those of the scores."""
        self._write_means_csv()
        listed = [*self.legend(), *notes, *self.scores.notes()]
        files = {"summary": self.tables(), "images": self.image_tables(), "pairwise": self.pairwise_tables()}
        for name, tables in files.items():
            below = listed if name == "summary" else []
            with replacing(self.output / f"{name}.md") as temporary:
                lines = "".join(f"- {note}\n" for note in below)
                temporary.write_text("\n".join([*(table.markdown() for table in tables), lines]).rstrip("\n") + "\n")
            with replacing(self.output / f"{name}.tex") as temporary:
                temporary.write_text("\n".join(table.latex() for table in tables))

    def tables(self) -> list[Table]:
        """The means; where there are published rows, the comparison; where there is a truth, who agrees with it."""
        tables = [self._means_table()]
        if self.published:
            tables.append(self._published_table())
        agreement = agreement_table(self.scores, self.metrics, self.reference_points)
        return tables if agreement is None else [*tables, agreement]

    def image_tables(self) -> list[Table]:
        """For each score the pairs in rows and the methods in columns."""
        return [self._image_table(name) for name in self.scores.names()]

    def pairwise_tables(self) -> list[Table]:
        """Methods against each other: pairs won and lost for each score, and where each one is furthest behind."""
        worst = worst_table(self.scores, self.metrics, self.reference_points)
        return [*win_tables(self.scores, self.metrics), *([] if worst is None else [worst])]

    def _means_table(self) -> Table:
        names = self.scores.names()
        means = self.scores.means()
        rows = [
            [item.benchmark, item.method, str(item.pairs), *(_figure(name, item.scores[name]) for name in names)]
            for item in means
        ]
        marks: dict[tuple[int, int], Mark] = {}
        for benchmark in dict.fromkeys(item.benchmark for item in means):
            group = [index for index, item in enumerate(means) if item.benchmark == benchmark]
            for column, name in enumerate(names, start=3):
                figures = [means[index].scores[name] if self._ranked(means[index]) else math.nan for index in group]
                marks |= {(group[place], column): mark for place, mark in self._rank(name, figures).items()}
        return Table("Means over the pairs", ["benchmark", "method", "pairs", *names], 2, rows, marks)

    def _published_table(self) -> Table:
        names = self._published_names()
        rows: list[list[str]] = []
        marks: dict[tuple[int, int], Mark] = {}
        ours = {item.method: item for item in self.scores.means() if item.benchmark == self._widest()}
        methods = list(dict.fromkeys([*self.published, *ours]))
        for method in methods:
            cells = [_beside(name, *self._both(ours.get(method), method, name)) for name in names]
            rows.append([method, *(cell for triple in cells for cell in triple)])
        for place, name in enumerate(names):
            figures = [
                ours[method].scores[name] if method in ours and self._ranked(ours[method]) else math.nan
                for method in methods
            ]
            marks |= {(index, 3 * place + 1): mark for index, mark in self._rank(name, figures).items()}
        header = ["method", *(word for name in names for word in (name, "published", "difference"))]
        return Table(f"Beside the published rows ({self._widest()})", header, 1, rows, marks)

    def _image_table(self, name: str) -> Table:
        methods = self.scores.methods()
        cells = {(row.benchmark, row.pair, row.method): row for row in self.scores.rows}
        pairs = list(dict.fromkeys((benchmark, pair) for benchmark, pair, _ in cells))
        rows: list[list[str]] = []
        marks: dict[tuple[int, int], Mark] = {}
        for index, pair in enumerate(pairs):
            here = [cells.get((*pair, method)) for method in methods]
            values = [math.nan if row is None else row.scores.get(name, math.nan) for row in here]
            failed = [row is not None and row.error is not None for row in here]
            texts = ["error" if bad else _figure(name, value) for bad, value in zip(failed, values, strict=True)]
            rows.append([*pair, *texts])
            usable = [
                math.nan if method in self.reference_points else value
                for method, value in zip(methods, values, strict=True)
            ]
            marks |= {(index, place + 2): mark for place, mark in self._rank(name, usable).items()}
        means = [mean(row.scores.get(name) for row in self.scores.rows if row.method == method) for method in methods]
        rows.append(["mean", "", *(_figure(name, value) for value in means)])
        return Table(f"{name} of each pair", ["benchmark", "pair", *methods], 2, rows, marks)

    def _write_means_csv(self) -> None:
        names, published = self.scores.names(), self._published_names()
        means = self.scores.means()
        unseen = [method for method in self.published if method not in self.scores.methods()]
        with replacing(self.output / "means.csv") as temporary, temporary.open("w", newline="") as file:
            writer = csv.writer(file)
            beside = [f"{name} {word}" for name in published for word in ("published", "difference")]
            writer.writerow(["benchmark", "method", "pairs", *names, *beside])
            for item in [*means, *(Mean(self._widest(), method, 0, True, {}) for method in unseen)]:
                method = item.method if item.benchmark == self._widest() else ""
                both = [self._both(item, method, name) for name in published]
                figures = [item.scores.get(name, math.nan) for name in names]
                figures += [figure for ours, theirs in both for figure in (theirs, ours - theirs)]
                cells = ["" if math.isnan(figure) else figure for figure in figures]
                writer.writerow([item.benchmark, item.method, item.pairs, *cells])

    def legend(self) -> list[str]:
        """What marks and costs mean, a sentence a line."""
        unranked = [method for method in self.scores.methods() if method in self.reference_points]
        apart = f"; not ranked, as reference points: {', '.join(unranked)}" if unranked else ""
        return [
            f"Best bold, second best italic (underlined in LaTeX){apart}.",
            "seconds: one call on one thread, images in memory; peak_mb: memory at its peak beyond that before it, "
            "in 10^6 bytes. Both are those of the call that made the image, which the cache may have kept.",
        ]

    def _widest(self) -> str:
        """The group of all pairs, which published means are over."""
        benchmarks = self.scores.benchmarks()
        return benchmarks[0] if len(benchmarks) == 1 else OVERALL

    def _published_names(self) -> list[str]:
        known = {name for row in self.published.values() for name in row}
        return [name for name in self.scores.names() if name in known]

    def _both(self, ours: Mean | None, method: str, name: str) -> tuple[float, float]:
        """Our mean and the published one, NaN where there is none."""
        return (
            math.nan if ours is None else ours.scores.get(name, math.nan),
            self.published.get(method, {}).get(name, math.nan),
        )

    def _ranked(self, item: Mean) -> bool:
        return item.complete and item.method not in self.reference_points

    def _rank(self, name: str, figures: Sequence[float]) -> dict[int, Mark]:
        if name not in self.metrics:  # a cost
            return {}
        return rank(figures, self.metrics[name].higher_is_better, _DECIMALS.get(name, 4))


def _figure(name: str, value: float) -> str:
    return "" if math.isnan(value) else f"{value:.{_DECIMALS.get(name, 4)}f}"


def _beside(name: str, ours: float, theirs: float) -> tuple[str, str, str]:
    published = "" if math.isnan(theirs) else f"{theirs:.{_PUBLISHED_DECIMALS}f}"
    apart = ours - theirs
    return _figure(name, ours), published, "" if math.isnan(apart) else f"{apart:+.4f}"
