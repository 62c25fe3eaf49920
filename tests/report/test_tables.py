import math
import re

import pytest
from rich.console import Console

from mfif.report.tables import Table, escape_latex, rank


@pytest.fixture
def table() -> Table:
    rows = [["source_a & b", "1.5", "2"], ["10 %|$", "0.5", ""]]
    return Table("Means #1", ["method", "Q_MI", "x"], 1, rows, {(0, 1): "best", (1, 1): "second"})


def test_markdown(table: Table) -> None:
    lines = table.markdown().splitlines()
    assert lines[0] == "Means #1:"
    assert lines[2:4] == ["| method | Q_MI | x |", "| --- | ---: | ---: |"]
    assert lines[4] == "| source_a & b | **1.5** | 2 |"
    assert lines[5] == r"| 10 %\|$ | *0.5* |  |"


def test_latex(table: Table) -> None:
    text = table.latex()
    assert r"\caption{Means \#1.}" in text
    assert r"\begin{tabular}{lrr}" in text
    assert r"    method & Q\_MI & x \\" in text
    assert r"    source\_a \& b & \textbf{1.5} & 2 \\" in text
    assert r"    10 \%|\$ & \underline{0.5} &  \\" in text
    opened, closed = (re.findall(rf"\\{word}{{(\w+)}}", text) for word in ("begin", "end"))
    assert opened == closed[::-1] == ["table", "tabular"]
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")
    assert len({line.count("&") - line.count(r"\&") for line in text.splitlines() if line.endswith(r"\\")}) == 1


def test_latex_of_every_special_sign() -> None:
    shown = escape_latex("\\ ~ ^ & % $ # _ { } < >")
    words = [r"\textbackslash{}", r"\textasciitilde{}", r"\textasciicircum{}"]
    assert shown.split(" ") == [*words, *(rf"\{sign}" for sign in "&%$#_{}"), r"\textless{}", r"\textgreater{}"]


def test_terminal_shows_every_cell(table: Table) -> None:
    table.rows[0][0] = "[bold]name"
    console = Console(width=100, record=True, quiet=False)
    console.print(table.rich())
    said = console.export_text()
    assert all(cell in said for cell in ("Means #1", "[bold]name", "1.5", "0.5"))


@pytest.mark.parametrize(
    ("figures", "higher_is_better", "best", "second"),
    [
        ([1, 3, 2], True, [1], [2]),
        ([1, 3, 2], False, [0], [2]),
        ([1, -0.5, 0.1], None, [2], [1]),
        ([1, math.nan, 2], True, [2], [0]),
        ([1.00001, 1.00002, 0.5], True, [0, 1], [2]),  # alike as shown
        ([2, 1, 1], True, [0], [1, 2]),
        ([2, math.inf], True, [1], [0]),
        ([1, 1], True, [], []),
        ([math.nan, 1], True, [], []),
        ([], True, [], []),
    ],
)
def test_rank(figures: list[float], higher_is_better: bool | None, best: list[int], second: list[int]) -> None:
    marks = rank(figures, higher_is_better, 4)
    assert [index for index, mark in marks.items() if mark == "best"] == best
    assert [index for index, mark in marks.items() if mark == "second"] == second
