import math

import pytest
from scipy.stats import spearmanr

from mfif.metrics import CE, EN, PSNR, QSF
from mfif.report.agreement import agreement, agreement_table
from mfif.report.scores import Row, Scores

UP = True


def rows(*columns: dict[str, list[float]]) -> list[Row]:
    """A pair for each mapping, whose lists have a value for each method."""
    return [
        Row("set", f"pair {number}", f"method {index}", {name: values[index] for name, values in column.items()})
        for number, column in enumerate(columns)
        for index in range(len(next(iter(column.values()))))
    ]


def test_methods_are_ranked_within_a_pair() -> None:
    # Within both pairs the order is opposite; over all rows the difference between the pairs hides it.
    opposite = rows({"x": [1, 2, 3], "PSNR": [33, 32, 31]}, {"x": [101, 102, 103], "PSNR": [63, 62, 61]})
    assert agreement(opposite, ("x", UP), ("PSNR", UP)) == -1
    assert spearmanr([1, 2, 3, 101, 102, 103], [33, 32, 31, 63, 62, 61]).statistic > 0.5


def test_the_mean_over_pairs_is_that_of_scipy() -> None:
    first = {"x": [0.3, 0.1, 0.9, 0.9, 0.2], "PSNR": [1.0, 4.0, 3.0, 2.0, 5.0]}
    second = {"x": [5.0, 1.0, 2.0, 3.0, 4.0], "PSNR": [5.0, 2.0, 1.0, 3.0, 4.0]}
    expected = sum(spearmanr(*pair.values()).statistic for pair in (first, second)) / 2
    assert agreement(rows(first, second), ("x", UP), ("PSNR", UP)) == pytest.approx(expected)


@pytest.mark.parametrize(("higher_is_better", "expected"), [(True, -1), (False, 1), (None, 1)])
def test_the_direction_counts(higher_is_better: bool | None, expected: float) -> None:
    some = rows({"x": [1, 2, 3], "PSNR": [3, 2, 1]})
    assert agreement(some, ("x", higher_is_better), ("PSNR", UP)) == expected


def test_what_has_no_order_is_left_out() -> None:
    some = rows(
        {"x": [1, 1, 1], "PSNR": [1, 2, 3]},
        {"x": [1, 2], "PSNR": [2, 1]},
        {"x": [1, 2, math.nan], "PSNR": [2, 1, 0]},
        {"x": [1, 2, 3], "PSNR": [1, 2, 3]},
    )
    assert agreement(some, ("x", UP), ("PSNR", UP)) == 1
    assert math.isnan(agreement(some[:3], ("x", UP), ("PSNR", UP)))


def test_table_with_and_without_reference_points() -> None:
    columns = {"EN": [9, 1, 2, 3], "CE": [0, 3, 2, 1], "Q_SF": [0.9, -0.3, 0.2, 0.1], "PSNR": [0, 1, 2, 3]}
    scores = Scores(rows({**columns, "seconds": [1, 2, 3, 4]}))
    metrics = {"EN": EN(), "CE": CE(), "Q_SF": QSF(), "PSNR": PSNR()}
    table = agreement_table(scores, metrics, ["method 0"])
    assert table is not None
    assert table.header == ["metric", "PSNR", "PSNR, no reference points"]
    shown = {name: (float(first), float(second)) for name, first, second in table.rows}
    assert shown["EN"] == (-0.2, 1.0)  # gamed by method 0
    assert shown["CE"][1] == 1.0  # lower is better
    assert shown["Q_SF"][1] == 1.0  # nearest to 0 is best
    assert set(shown) == {"EN", "CE", "Q_SF"}


@pytest.mark.parametrize("names", [["EN"], ["PSNR"], []])
def test_no_table_without_both_kinds(names: list[str]) -> None:
    scores = Scores(rows({name: [1.0, 2.0, 3.0] for name in names})) if names else Scores()
    assert agreement_table(scores, {"EN": EN(), "PSNR": PSNR()}) is None
