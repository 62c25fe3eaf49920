import multiprocessing
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import pytest
import torch

from mfif.evaluation.measure import Cost, measured


def test_the_result_comes_back_and_time_passes() -> None:
    result, cost = measured(lambda: 7)
    assert result == 7
    assert cost.seconds > 0


def peaks_of(megabytes: int) -> list[float | None]:
    def call() -> None:
        for _ in range(3):  # one after the other, not together
            torch.ones(megabytes * 250_000)

    torch.ones(300 * 250_000)  # used and freed before: does not count
    # Twice: the second time the memory has been here before.
    return [measured(call)[1].peak_mb for _ in range(2)]


@pytest.fixture(scope="module")
def fresh() -> Iterator[ProcessPoolExecutor]:
    """A process of its own: another test may have told this one to keep what is freed."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        yield process


@pytest.mark.skipif(sys.platform != "linux", reason="other systems cannot reset the high-water mark")
@pytest.mark.parametrize("megabytes", [40, 200])
def test_the_peak_is_what_the_call_needed_at_once(fresh: ProcessPoolExecutor, megabytes: int) -> None:
    peaks = fresh.submit(peaks_of, megabytes).result()
    if None in peaks:
        pytest.skip("this container forbids resetting the high-water mark")
    assert peaks == [pytest.approx(megabytes, abs=8)] * 2


def test_what_cannot_be_told_is_left_out() -> None:
    assert Cost(1.0, None).known() == {"seconds": 1.0}
    assert Cost(1.0, 2.0).known() == {"seconds": 1.0, "peak_mb": 2.0}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_its_own_memory_counts() -> None:
    cost = measured(lambda: torch.ones(50_000_000, device="cuda").sum(), "cuda")[1]
    assert cost.peak_mb == pytest.approx(200, abs=4)
