"""Rows of published tables, to lay beside ours."""

import csv
from pathlib import Path

from mfif.errors import InputError, suggest

_KEYS = ("table", "method")
_FILE = Path(__file__).parent / "published.csv"


def published_rows(table: str) -> dict[str, dict[str, float]]:
    """Scores by method of a published table.

    Args:
        table: Its name, in the first column of ``data/published.csv``.

    Raises:
        InputError: There is no such table.
    """
    with _FILE.open(newline="") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    found = {row["method"]: row for row in rows if row["table"] == table}
    if not found:
        known = sorted({row["table"] for row in rows})
        raise InputError(f"There is no published table {table!r}.{suggest(table, known)} Known: {', '.join(known)}.")
    return {
        method: {name: float(figure) for name, figure in row.items() if figure and name not in _KEYS}
        for method, row in found.items()
    }
