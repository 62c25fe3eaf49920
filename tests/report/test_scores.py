import csv
import math
from pathlib import Path

import pytest

from mfif.report.scores import OVERALL, Row, Scores, mean, merit


@pytest.fixture
def scores() -> Scores:
    return Scores(
        [
            Row("set", "one", "m", {"x": 1.0, "y": 0.1, "seconds": 2.0}),
            Row("set", "two", "m", {"x": 4.0, "y": math.nan, "seconds": 4.0}),
            Row("set", "one", "n", {"x": 7.0, "z": -1.0}),
            Row("set", "two", "n", error="out of memory"),
        ]
    )


def test_means_leave_out_what_is_undefined_or_failed(scores: Scores) -> None:
    first, second = scores.means()
    assert (first.benchmark, first.method, first.pairs, first.complete) == ("set", "m", 2, True)
    assert (first.scores["x"], first.scores["y"], first.scores["seconds"]) == (2.5, 0.1, 3.0)
    assert math.isnan(first.scores["z"])
    assert (second.method, second.pairs, second.complete, second.scores["x"]) == ("n", 1, False, 7.0)


def test_several_benchmarks_have_a_mean_over_all_pairs(scores: Scores) -> None:
    scores.rows.append(Row("other", "one", "m", {"x": 10.0}))
    means = {(item.benchmark, item.method): item for item in scores.means()}
    assert means[OVERALL, "m"].scores["x"] == 5.0  # of three pairs, not of two means
    assert means[OVERALL, "m"].pairs == 3
    assert [item.benchmark for item in scores.means()] == ["set", "set", "other", OVERALL, OVERALL]


def test_names_in_order_costs_last(scores: Scores) -> None:
    assert scores.names() == ["x", "y", "z", "seconds"]


def test_notes(scores: Scores) -> None:
    assert scores.notes() == [
        "y is undefined for two (set, m); it is not in the mean.",
        "error: two (set, n): out of memory",
    ]


def test_csv_keeps_full_precision(scores: Scores, tmp_path: Path) -> None:
    scores.rows.append(Row("set, with comma", "three", "m", {"x": 0.1 + 0.2}))
    scores.write_csv(tmp_path / "s.csv")
    with (tmp_path / "s.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["benchmark", "pair", "method", "x", "y", "z", "seconds", "error"]
    assert float(rows[4]["x"]) == 0.1 + 0.2
    assert rows[4]["benchmark"] == "set, with comma"
    assert rows[0]["z"] == ""
    assert math.isnan(float(rows[1]["y"]))
    assert (rows[3]["x"], rows[3]["error"]) == ("", "out of memory")


def test_mean_of_nothing_is_no_number() -> None:
    assert math.isnan(mean([]))
    assert math.isnan(mean([None, math.nan]))


@pytest.mark.parametrize(
    ("higher_is_better", "ordered"), [(True, [1, 0.5, -2]), (False, [-2, 0.5, 1]), (None, [0.5, 1, -2])]
)
def test_merit_puts_the_best_first(higher_is_better: bool | None, ordered: list[float]) -> None:
    assert sorted([1, -2, 0.5], key=lambda score: merit(score, higher_is_better), reverse=True) == ordered
