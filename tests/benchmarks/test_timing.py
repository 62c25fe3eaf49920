"""Calls in turn, ratios of neighbours, and the share of a peak."""

import json
from pathlib import Path

import pytest
import torch


@pytest.fixture
def ticks(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that goes on by hand, in milliseconds."""
    from benchmarks import timing

    reading = [0.0]
    monkeypatch.setattr(timing, "now", lambda: reading[0])
    return reading


def test_calls_are_made_in_turn_and_the_first_turn_does_not_count(ticks: list[float]) -> None:
    from benchmarks.timing import in_turn, medians

    order: list[str] = []

    def call(name: str, first: float, then: float) -> None:
        ticks[0] += then if name in order else first
        order.append(name)

    times = in_turn({"a": lambda: call("a", 90, 2), "b": lambda: call("b", 5, 7)}, repeats=3)
    assert "".join(order) == "abababab"
    assert times == {"a": [2, 2, 2], "b": [7, 7, 7]}
    assert medians(times) == {"a": 2, "b": 7}


def test_the_ratio_is_that_of_neighbours(root: Path) -> None:
    from benchmarks.timing import ratio

    # Three times as slow throughout, while the machine itself becomes ten times slower in between.
    times = {"a": [3.0, 30.0, 60.0], "b": [1.0, 10.0, 20.0]}
    assert ratio(times, "a", "b") == 3


def test_the_share_of_the_peak(root: Path) -> None:
    from benchmarks.timing import MatrixProduct

    product = MatrixProduct()
    assert product.flop == 2 * 1024**3
    # A call of half the operations that takes as long reaches half the rate.
    assert product.share({"call": [4.0], "peak": [4.0]}, "call", 1024**3, base="peak") == 0.5


def test_operations_are_counted(root: Path) -> None:
    from benchmarks.timing import MatrixProduct

    left, right = torch.rand(3, 5), torch.rand(5, 7)
    assert MatrixProduct.count(lambda: left @ right) == 2 * 3 * 5 * 7


def test_results_name_the_machine(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import timing

    monkeypatch.setattr(timing, "RESULTS", tmp_path)
    timing.write("step", "cpu", rows=[{"ms": 1}])
    written = json.loads((tmp_path / "step-cpu.json").read_text())
    assert written["rows"] == [{"ms": 1}]
    assert written["machine"]["torch"] == torch.__version__
    assert written["machine"]["threads"] == torch.get_num_threads()


def test_without_cuda_a_runner_says_so_and_ends(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks import timing

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("sys.argv", ["step", "--device", "cuda"])
    with pytest.raises(SystemExit) as end:
        timing.parse(timing.parser("A runner."))
    assert end.value.code == 0
    assert capsys.readouterr().out == "Skipped: there is no CUDA device here.\n"
