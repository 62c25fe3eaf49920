"""Processes are started in few tests only: each takes seconds."""

import os
import signal

import pytest
import torch

from mfif.evaluation.workers import available_cores, spread


def describe(task: object) -> tuple[int, str, int]:
    """Process, what came, and threads there; a word can ask for a failure or for the death of the process."""
    if task == "fail":
        raise ValueError("told to fail")
    if task == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if isinstance(task, torch.Tensor):
        return os.getpid(), f"sum {task.sum():g}", torch.get_num_threads()
    return os.getpid(), str(task), torch.get_num_threads()


def died(task: object) -> tuple[int, str, int]:
    return 0, f"{task} died", 1


def test_one_worker_is_this_process_in_one_thread() -> None:
    before = torch.get_num_threads()
    assert list(spread(describe, ["a", "b"], 1, died)) == [(os.getpid(), "a", 1), (os.getpid(), "b", 1)]
    assert torch.get_num_threads() == before


def test_workers_are_other_processes_and_one_may_die(root: object) -> None:
    tasks = [torch.ones(3), "die", *map(str, range(6))]
    results = list(spread(describe, tasks, 2, died))
    assert sorted(said for _, said, _ in results) == ["0", "1", "2", "3", "4", "5", "die died", "sum 3"]
    assert all(threads == 1 for _, _, threads in results)
    assert os.getpid() not in {process for process, _, _ in results}


def test_a_failure_is_raised_when_what_had_begun_is_done(root: object) -> None:
    results = spread(describe, ["a", "fail", "b"], 2, died)
    done = [next(results)[1], next(results)[1]]
    assert sorted(done) == ["a", "b"]
    with pytest.raises(ValueError, match="told to fail"):
        next(results)


def test_cores() -> None:
    assert 1 <= available_cores() <= (os.cpu_count() or 1)
