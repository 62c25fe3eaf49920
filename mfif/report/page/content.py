"""What the page says, as data: tables, scores of each pair, notes."""

from collections.abc import Sequence
from typing import Any

from mfif.report.files import Report
from mfif.report.scores import COSTS, Row
from mfif.report.tables import Table

Content = dict[str, Any]
"""Of the types of JSON."""

Cells = list[list[tuple[str, str]]]
"""Text and mark of each cell, the latter empty where there is none."""

_BETTER = {True: "higher", False: "lower", None: "zero"}


def page_content(report: Report, notes: Sequence[str]) -> Content:
    """All that the page shows but the pictures.

    Args:
        report: Tables and scores.
        notes: Shown between the legend and the notes of the scores.

    Returns:
        ``title``; ``better``: the better direction by score; ``names`` of the scores; ``groups``: the means, a table
        for each benchmark; ``tables``: the others; ``pairwise``: methods against each other; ``pairs``: for each its
        ``benchmark``, ``name``, ``methods``, ``errors`` by method, and a table of ``scores``; ``notes``.
    """
    means, *tables = report.tables()
    cells = _cells(means)
    groups = dict.fromkeys(row[0] for row in means.rows)
    directions = {name: _BETTER[metric.higher_is_better] for name, metric in report.metrics.items()}
    return {
        "title": report.output.resolve().name,
        "better": directions | dict.fromkeys(COSTS, "lower"),
        "names": report.scores.names(),
        "groups": [
            _table(group, means.header[1:], 1, [row[1:] for row in cells if row[0][0] == group]) for group in groups
        ],
        "tables": _tables(tables),
        "pairwise": _tables(report.pairwise_tables()),
        "pairs": _pairs(report),
        "notes": [*report.legend(), *notes, *report.scores.notes()],
    }


def _tables(tables: Sequence[Table]) -> list[Content]:
    return [_table(table.title, table.header, table.words, _cells(table)) for table in tables]


def _table(title: str, header: Sequence[str], words: int, rows: Cells) -> Content:
    return {"title": title, "header": list(header), "words": words, "rows": rows}


def _cells(table: Table) -> Cells:
    return [[(text, table.marks.get((i, j), "")) for j, text in enumerate(row)] for i, row in enumerate(table.rows)]


def _pairs(report: Report) -> list[Content]:
    tried: dict[tuple[str, str], list[Row]] = {}
    for row in report.scores.rows:
        tried.setdefault((row.benchmark, row.pair), []).append(row)
    names = report.scores.names()
    by_score = [_cells(table) for table in report.image_tables()]  # pairs in rows, methods in columns
    columns = {method: column for column, method in enumerate(report.scores.methods(), start=2)}
    return [
        {
            "benchmark": benchmark,
            "name": name,
            "methods": [row.method for row in rows],
            "errors": {row.method: row.error for row in rows if row.error is not None},
            "scores": _table(
                f"Scores of {name}",
                ["method", *names],
                1,
                [[(row.method, ""), *(cells[index][columns[row.method]] for cells in by_score)] for row in rows],
            ),
        }
        for index, ((benchmark, name), rows) in enumerate(tried.items())
    ]
