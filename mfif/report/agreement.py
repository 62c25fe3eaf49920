"""Which metric deserves trust: how far the scores that do without the truth rank methods as the truth does."""

import inspect
import math
from collections.abc import Collection, Mapping, Sequence

from scipy.stats import spearmanr

from mfif.metrics import FusionMetric
from mfif.report.scores import Row, Scores, mean, merit
from mfif.report.tables import Table

_TRUTH = {"sharp", "alpha_true"}


def agreement_table(
    scores: Scores, metrics: Mapping[str, FusionMetric], reference_points: Collection[str] = ()
) -> Table | None:
    """Rank correlations of each metric that needs no truth with each one that does.

    Args:
        scores: Scores of several methods on the same pairs.
        metrics: The metrics by name.
        reference_points: Methods left out of the second column of each pair of columns.

    Returns:
        For each metric two figures per metric of the truth, see `agreement`: with all methods, and without the
        reference points. None where one of the two kinds of metrics is missing.
    """
    measured = [name for name in scores.names() if name in metrics]
    truths = [name for name in measured if _needs_truth(metrics[name])]
    free = [name for name in measured if name not in truths]
    if not truths or not free:
        return None
    selections = [scores.rows, [row for row in scores.rows if row.method not in reference_points]]
    rows = []
    for name in free:
        pairs = [(metrics[name].higher_is_better, metrics[truth].higher_is_better, truth) for truth in truths]
        figures = [agreement(rows_, (name, own), (truth, other)) for own, other, truth in pairs for rows_ in selections]
        rows.append([name, *("" if math.isnan(figure) else f"{figure:+.3f}" for figure in figures)])
    header = ["metric", *(column for truth in truths for column in (truth, f"{truth}, no reference points"))]
    title = "Agreement with the truth: rank correlation (Spearman) over the methods of a pair, averaged over the pairs"
    return Table(title, header, 1, rows)


def agreement(rows: Sequence[Row], metric: tuple[str, bool | None], truth: tuple[str, bool | None]) -> float:
    """Spearman's rank correlation of two metrics over the methods of a pair, averaged over the pairs.

    Images differ in every score far more than methods do, so a correlation over all rows would compare images.

    Args:
        rows: Scores of several methods on the same pairs.
        metric: Name of a metric, and whether higher is better (None: 0 is best).
        truth: The same of another.

    Returns:
        In [-1, 1]: 1 where both order the methods alike, best to worst; NaN where no pair has three methods with both
        scores and an order among them.
    """
    groups: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for row in rows:
        merits = [merit(row.scores.get(name, math.nan), higher) for name, higher in (metric, truth)]
        if not any(map(math.isnan, merits)):
            groups.setdefault((row.benchmark, row.pair), []).append((merits[0], merits[1]))
    return mean(_spearman(group) for group in groups.values())


def _spearman(group: Sequence[tuple[float, float]]) -> float:
    first, second = zip(*group, strict=True)
    if len(group) < 3 or len(set(first)) == 1 or len(set(second)) == 1:
        return math.nan
    return float(spearmanr(first, second).statistic)


def _needs_truth(metric: FusionMetric) -> bool:
    return not _TRUTH.isdisjoint(inspect.signature(metric.update).parameters)
