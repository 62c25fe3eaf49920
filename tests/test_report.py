import csv
import math
from pathlib import Path

import pytest
from rich.console import Console

from mfif.report import Scores


@pytest.fixture
def scores() -> Scores:
    scores = Scores()
    scores.add("set", "one", "m", {"x": 1.0, "y": 0.1})
    scores.add("set", "two", "m", {"x": 4.0, "y": math.nan})
    scores.add("set", "one", "n", {"x": 7.0, "z": -1.0})
    return scores


def test_means_leave_out_what_is_undefined(scores: Scores) -> None:
    (first, second) = scores.means()
    assert first[:3] == ("set", "m", 2)
    assert first[3]["x"] == 2.5
    assert first[3]["y"] == 0.1
    assert math.isnan(first[3]["z"])
    assert second[:3] == ("set", "n", 1)
    assert scores.undefined() == ["y is undefined for two (set, m); it is not in the mean."]


def test_csv_keeps_full_precision(scores: Scores, tmp_path: Path) -> None:
    scores.add("set, with comma", "three", "m", {"x": 0.1 + 0.2})
    scores.write_csv(tmp_path / "s.csv")
    with (tmp_path / "s.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["benchmark", "pair", "method", "x", "y", "z"]
    assert float(rows[3]["x"]) == 0.1 + 0.2
    assert rows[3]["benchmark"] == "set, with comma"
    assert rows[0]["z"] == ""
    assert math.isnan(float(rows[1]["y"]))


def test_markdown_is_a_table_with_notes(scores: Scores, tmp_path: Path) -> None:
    scores.write_markdown(tmp_path / "s.md", ["a note"])
    lines = (tmp_path / "s.md").read_text().splitlines()
    assert lines[0] == "| benchmark | method | pairs | x | y | z |"
    assert lines[2] == "| set | m | 2 | 2.5000 | 0.1000 |  |"
    assert lines[-1] == "- a note"
    assert len({line.count("|") for line in lines[:4]}) == 1


def test_terminal_shows_every_mean(scores: Scores) -> None:
    console = Console(width=100, record=True, file=None, quiet=False)
    scores.print(console)
    said = console.export_text()
    assert all(figure in said for figure in ("2.5000", "7.0000", "-1.0000"))
