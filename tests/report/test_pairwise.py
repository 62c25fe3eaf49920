import itertools
import math

import numpy as np
import pytest

from mfif.metrics import CE, EN, QSF
from mfif.report.pairwise import compare, win_tables, worst_table
from mfif.report.scores import Row, Scores

METRICS = {"EN": EN(), "CE": CE(), "Q_SF": QSF()}


def scores(name: str, **methods: list[float]) -> Scores:
    """Rows of one score: for each method its values on pairs 0, 1, ..."""
    return Scores(
        [
            Row("set", str(pair), method, {name: values[pair], "seconds": 1.0})
            for pair in range(len(next(iter(methods.values()))))
            for method, values in methods.items()
        ]
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [("EN", [["a", "", "2-1"], ["b", "1-2", ""]]), ("CE", [["a", "", "1-2"], ["b", "2-1", ""]])],
)
def test_wins_go_by_the_direction(name: str, expected: list[list[str]]) -> None:
    some = scores(name, a=[1.0, 2.0, 3.0, 4.0, math.nan], b=[0.0, 1.0, 3.0, 5.0, 1.0])
    (table,) = win_tables(some, METRICS)
    assert table.rows == expected
    assert table.title.startswith(name)
    assert list(table.header) == ["method", "a", "b"]


def test_nearest_to_zero_wins_where_zero_is_best() -> None:
    (table,) = win_tables(scores("Q_SF", a=[-0.1, 0.3], b=[0.2, -0.2]), METRICS)
    assert table.rows[0] == ["a", "", "1-1"]


def test_only_the_better_one_is_marked_and_only_beyond_chance() -> None:
    better, worse = [float(pair) for pair in range(2, 10)], [0.5 * pair for pair in range(2, 10)]
    (table,) = win_tables(scores("EN", a=better, b=worse), METRICS)
    assert table.marks == {(0, 2): "best"}
    (few,) = win_tables(scores("EN", a=better[:5], b=worse[:5]), METRICS)  # all won: 2 / 2^5 is above 5 %
    assert few.rows[0] == ["a", "", "5-0"]
    assert few.marks == {}


@pytest.mark.parametrize("seed", range(4))
def test_the_probability_is_that_of_all_signs(seed: int) -> None:
    """By every way to give signs to the ranks: how many are as far from balance as the one seen."""
    generator = np.random.default_rng(seed)
    a, b = generator.normal(0.6, 1, 12), generator.normal(0, 1, 12)
    a[3], a[4] = b[3], math.nan
    wins, losses, p = compare(a.tolist(), b.tolist())
    known = np.delete(a - b, [3, 4])
    assert (wins, losses) == ((known > 0).sum(), (known < 0).sum())
    ranks = abs(known).argsort().argsort() + 1
    sums = np.array([np.dot(signs, ranks) for signs in itertools.product([-1, 1], repeat=10)])
    assert p == pytest.approx((abs(sums) >= abs(np.dot(np.sign(known), ranks))).mean())


def test_pairs_alike_tell_nothing() -> None:
    assert compare([1.0, 2.0], [1.0, 2.0]) == (0, 0, 1.0)


def test_worst_pairs() -> None:
    some = scores(
        "EN",
        a=[1.0, 5.0, 5.0, 5.0, 1.0],
        b=[2.0, 5.5, 5.0, 9.0, math.nan],
        ideal=[9.0] * 5,
        c=[1.5, 4.0, 5.0, 8.0, 1.0],
    )
    table = worst_table(some, METRICS, ["ideal"])
    assert table is not None
    rows = {row[1]: row[2:] for row in table.rows}
    assert rows["a"] == ["3 (set): 4.0000 to b", "0 (set): 1.0000 to b", "1 (set): 0.5000 to b"]
    assert rows["b"] == ["", "", ""]
    assert rows["c"] == ["1 (set): 1.5000 to b", "3 (set): 1.0000 to b", "0 (set): 0.5000 to b"]
    assert "ideal" not in rows


def test_one_method_has_nobody_to_compare_with() -> None:
    assert win_tables(scores("EN", a=[1.0]), METRICS) == []
    assert worst_table(scores("EN", a=[1.0], ideal=[2.0]), METRICS, ["ideal"]) is None
