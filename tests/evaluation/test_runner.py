import csv
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mfif.classical import ConstantMap, LaplacianEnergy
from mfif.data.benchmarks import BenchmarkPair
from mfif.errors import InputError
from mfif.evaluation.cache import Cache
from mfif.evaluation.runner import Evaluation, _died
from mfif.evaluation.trial import Task, Trials
from mfif.fusion.fusers import Fuser
from mfif.metrics import EN, QMI
from mfif.models import TwoStream
from mfif.report.files import Report


class Pairs:
    """Pairs of noise, of which some cannot be loaded."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def pairs(self) -> list[tuple[str, Callable[[], BenchmarkPair]]]:
        return [(name, partial(_load, name)) for name in self.names]


def _load(name: str) -> BenchmarkPair:
    if name.startswith("bad"):
        raise InputError(f"{name} is damaged.")
    a, b = torch.randint(256, (2, 1, 3, 48, 48), generator=torch.Generator().manual_seed(len(name))).to(torch.uint8)
    return BenchmarkPair(name, a, b)


def refuse(a: Tensor, b: Tensor) -> Tensor:
    raise RuntimeError("cannot do this one")


def evaluation(folder: Path, workers: int = 1, on_error: str = "stop", **estimators: object) -> Evaluation:
    methods = {name: Fuser(estimator) for name, estimator in estimators.items()}  # type: ignore[arg-type]
    metrics = {"EN": EN(), "Q_MI": QMI()}
    trials = Trials(methods, metrics, Cache(None), None, "cpu")
    return Evaluation(trials, Report(folder, metrics), on_error=on_error, workers=workers)  # type: ignore[arg-type]


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "scores.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_one_failing_method_stops_no_other(tmp_path: Path) -> None:
    evaluation(tmp_path, refuse=refuse, a=ConstantMap(1.0)).run({"x": Pairs("1", "22"), "y": Pairs("333")})
    assert [(row["benchmark"], row["pair"], row["method"], row["error"]) for row in rows(tmp_path)] == [
        (benchmark, pair, method, error)
        for benchmark, pair in (("x", "1"), ("x", "22"), ("y", "333"))
        for method, error in (("refuse", "RuntimeError: cannot do this one"), ("a", ""))
    ]
    summary = (tmp_path / "summary.md").read_text()
    assert "- error: 22 (x, refuse): RuntimeError: cannot do this one" in summary
    assert "| all | a | 3 |" in summary


def test_scores_do_not_depend_on_the_number_of_workers(tmp_path: Path, root: Path) -> None:
    torch.manual_seed(0)
    methods = {"laplacian": LaplacianEnergy(), "network": TwoStream(width=4), "refuse": refuse}
    for workers in (1, 2):
        evaluation(tmp_path / str(workers), workers, **methods).run({"x": Pairs("1", "22"), "y": Pairs("333")})
    names = ["benchmark", "pair", "method", "EN", "Q_MI", "error"]
    one, two = ([[row[name] for name in names] for row in rows(tmp_path / folder)] for folder in ("1", "2"))
    assert two == one
    assert len(one) == 9


def test_the_death_of_a_process_is_the_error_of_its_row() -> None:
    row = _died(Task("x", _load("1"), "m"))
    assert (row.benchmark, row.pair, row.method) == ("x", "1", "m")
    assert "out of memory" in (row.error or "")


def test_a_pair_that_cannot_be_loaded_stops_after_what_had_begun(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"bad is damaged\. Or pass such pairs over with on_error=skip"):
        evaluation(tmp_path, a=ConstantMap(1.0)).run({"x": Pairs("1", "bad", "22")})
    assert [row["pair"] for row in rows(tmp_path)] == ["1"]
    assert (tmp_path / "summary.md").is_file()


def test_or_is_passed_over(tmp_path: Path) -> None:
    evaluation(tmp_path, on_error="skip", a=ConstantMap(1.0)).run({"x": Pairs("1", "bad", "22")})
    assert [row["pair"] for row in rows(tmp_path)] == ["1", "22"]
    assert "- Skipped x/bad: bad is damaged." in (tmp_path / "summary.md").read_text()


@pytest.mark.parametrize(("setting", "name"), [({"on_error": "maybe"}, "on_error"), ({"workers": 0}, "workers")])
def test_settings_are_checked(tmp_path: Path, setting: dict[str, object], name: str) -> None:
    with pytest.raises(InputError, match=name):
        evaluation(tmp_path, **setting)  # type: ignore[arg-type]
