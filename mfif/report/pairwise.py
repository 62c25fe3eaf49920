"""Methods against each other, pair by pair: who wins how often, and where one falls furthest behind."""

import math
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations

import numpy as np
from scipy.stats import wilcoxon

from mfif.metrics import FusionMetric
from mfif.report.scores import Scores, merit
from mfif.report.tables import Mark, Table

_SIGNIFICANT = 0.05
_WORST = 3  # pairs named for each method

Merits = dict[str, list[float]]
"""For each method a figure for each pair, where more is better; NaN where there is no score."""


def win_tables(scores: Scores, metrics: Mapping[str, FusionMetric]) -> list[Table]:
    """For each metric the pairs that each method wins and loses against each other one.

    Args:
        scores: Scores of several methods on the same pairs.
        metrics: The metrics by name; they know which direction is better.

    Returns:
        Tables with "wins-losses" of the method of the row against that of the column; ties and pairs that one of the
        two has no score for count for neither. Marked best where the method of the row is better by the two-sided
        Wilcoxon signed-rank test at 5 %, which is not corrected for the number of comparisons. No table for one method.

    Source: Demsar, Journal of Machine Learning Research 7, 2006, for the test.
    """
    methods = scores.methods()
    if len(methods) < 2:
        return []
    tables = []
    for name in _measured(scores, metrics):
        merits = _merits(scores, name, metrics[name].higher_is_better)
        rows = [[method, *[""] * len(methods)] for method in methods]
        marks: dict[tuple[int, int], Mark] = {}
        for i, j in combinations(range(len(methods)), 2):
            wins, losses, p = compare(merits[methods[i]], merits[methods[j]])
            rows[i][j + 1], rows[j][i + 1] = f"{wins}-{losses}", f"{losses}-{wins}"
            if p < _SIGNIFICANT and wins != losses:
                marks[(i, j + 1) if wins > losses else (j, i + 1)] = "best"
        title = f"{name}: pairs won and lost by the method of the row; marked where it is better (Wilcoxon, p < .05)"
        tables.append(Table(title, ["method", *methods], 1, rows, marks))
    return tables


def worst_table(
    scores: Scores, metrics: Mapping[str, FusionMetric], reference_points: Collection[str] = ()
) -> Table | None:
    """The pairs where a method falls furthest behind the best of the others.

    Args:
        scores: Scores of several methods on the same pairs.
        metrics: The metrics by name; they know which direction is better.
        reference_points: Methods that nobody is measured against, and that have no row.

    Returns:
        For each metric and method up to three pairs, furthest first, by how much, and which method is ahead; None
        where there is nobody to compare.
    """
    methods = [method for method in scores.methods() if method not in reference_points]
    if len(methods) < 2:
        return None
    pairs = _pairs(scores)
    rows = []
    for name in _measured(scores, metrics):
        merits = _merits(scores, name, metrics[name].higher_is_better)
        for method in methods:
            behind = [_behind(merits, method, methods, index) for index in range(len(pairs))]
            order = sorted((index for index in range(len(pairs)) if behind[index][0] > 0), key=lambda i: -behind[i][0])
            cells = [f"{pairs[i][1]} ({pairs[i][0]}): {behind[i][0]:.4f} to {behind[i][1]}" for i in order[:_WORST]]
            rows.append([name, method, *cells, *[""] * (_WORST - len(cells))])
    header = ["score", "method", "worst", *(f"worst {place}" for place in range(2, _WORST + 1))]
    return Table("Pairs where a method falls furthest behind the best other", header, len(header), rows)


def compare(first: Sequence[float], second: Sequence[float]) -> tuple[int, int, float]:
    """Compare two methods on the same pairs.

    Args:
        first: A figure for each pair, where more is better; NaN for none.
        second: Those of the other method.

    Returns:
        Pairs that the first one wins, pairs that it loses, and the probability of such a difference by chance: by
        the two-sided Wilcoxon signed-rank test without the pairs that are alike; 1 where all are.
    """
    differences = np.array([a - b for a, b in zip(first, second, strict=True) if a != b and not math.isnan(a - b)])
    wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
    return wins, losses, float(wilcoxon(differences).pvalue) if differences.size else 1.0


def _behind(merits: Merits, method: str, methods: Sequence[str], index: int) -> tuple[float, str]:
    """By how much the best other method is better on a pair, and which one that is; 0 where none is known to be."""
    others = [(merits[other][index], other) for other in methods if other != method]
    known = [(value, other) for value, other in others if not math.isnan(value)]
    own = merits[method][index]
    if math.isnan(own) or not known:
        return 0.0, ""
    best, other = max(known)
    return (best - own, other) if best > own else (0.0, other)


def _measured(scores: Scores, metrics: Mapping[str, FusionMetric]) -> list[str]:
    return [name for name in scores.names() if name in metrics]


def _pairs(scores: Scores) -> list[tuple[str, str]]:
    return list(dict.fromkeys((row.benchmark, row.pair) for row in scores.rows))


def _merits(scores: Scores, name: str, higher_is_better: bool | None) -> Merits:
    values = {
        (row.benchmark, row.pair, row.method): merit(row.scores.get(name, math.nan), higher_is_better)
        for row in scores.rows
    }
    pairs = _pairs(scores)
    return {method: [values.get((*pair, method), math.nan) for pair in pairs] for method in scores.methods()}
