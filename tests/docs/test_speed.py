"""The tables of docs/speed.md are those of the results, and drawn from them."""

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def results(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from docs import speed

    monkeypatch.setattr(speed, "RESULTS", tmp_path)
    return tmp_path


MACHINE = {"processor": "P", "instructions": "AVX2", "threads": 2, "torch": "2.13", "clock": "wall"}


def keep(folder: Path, name: str, rows: list[dict[str, Any]]) -> None:
    (folder / name).write_text(json.dumps({"machine": MACHINE, "rows": rows}))


def test_a_table(results: Path) -> None:
    from docs.speed import render

    keep(
        results,
        "inference-tiles-cpu.json",
        [
            {"width": 16, "side": 520, "tile": 256, "ms": 1234.56, "ratio": 0.8},
            {"width": 16, "side": 520, "tile": None, "ms": 1500.0, "ratio": 1.0},
        ],
    )
    page = "before\n<!-- inference-tiles-cpu -->\nstale\n<!-- end -->\nafter\n"
    rendered = render(page)
    assert rendered.splitlines() == [
        "before",
        "<!-- inference-tiles-cpu -->",
        "| width | side of a tile | ms | time beside it |",
        "| ---: | ---: | ---: | ---: |",
        "| 16 | 256 | 1,234.6 | 0.8x |",
        "| 16 | whole image | 1,500.0 | 1x |",
        "",
        "*P, AVX2, 2 threads, torch 2.13.*",
        "<!-- end -->",
        "after",
    ]
    assert render(rendered) == rendered


def test_what_was_not_measured_is_said(results: Path) -> None:
    from docs.speed import render

    page = render("<!-- batch-cuda -->\n<!-- end -->\n")
    assert "Not measured yet: there is no `benchmarks/results/batch-cuda.json`." in page


def test_values_that_a_row_lacks_stay_empty(results: Path) -> None:
    from docs.speed import markdown

    rows = [{"what": "a", "ms": 1.0, "ratio": 1.13, "against": "b", "target": "<= 1.15"}, {"what": "b", "ms": 2.0}]
    keep(results, "bench-cpu.json", rows)
    assert markdown("bench", "cpu").splitlines()[2:4] == [
        "| a | 1.0 | 1.130 | b | &lt;= 1.15 |",
        "| b | 2.0 |  |  |  |",
    ]


def test_the_page_has_the_tables_of_the_results(root: Path) -> None:
    from docs.speed import PAGE, render

    assert render(PAGE.read_text()) == PAGE.read_text()


def test_the_chart_has_a_bar_for_each_method(root: Path) -> None:
    from docs.speed import draw

    took = {"fuse 520x520, a": 100.0, "fuse 520x520, b": 300.0, "fuse 520x520, b, naive": 900.0, "start-up: c": 5.0}
    (axes,) = draw([{"what": what, "ms": ms} for what, ms in took.items()]).axes
    assert {round(bar.get_width(), 6) for bar in axes.patches} == {0.1, 0.3}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b", "a"]
    (naive,) = axes.lines
    assert list(naive.get_xdata()) == [0.9]
