"""Calls spread over processes of one thread each, that outlive the death of any of them."""

import multiprocessing
import os
import pickle
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import cache
from itertools import islice
from typing import Any, TypeVar

import torch

Task = TypeVar("Task")
Result = TypeVar("Result")


def available_cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def spread(
    call: Callable[[Task], Result], tasks: Iterable[Task], workers: int, died: Callable[[Task], Result]
) -> Iterator[Result]:
    """Make a call for each task, in processes of one thread each.

    Args:
        call: What to call; each process gets a copy.
        tasks: Its arguments; only so many are taken ahead as keep the processes busy.
        workers: Number of processes; 1 makes the calls here.
        died: Gives the result of a task whose process the system killed, as it does when memory runs out.

    Yields:
        The results, in the order they are done. An exception of a call is raised when what had begun is done.
    """
    if workers == 1:
        with _one_thread():
            yield from map(call, tasks)
        return
    rest = iter(tasks)
    suspects: list[Task] = []
    alive = False
    while not alive:
        alive = True
        for task, result in _pooled(call, rest, workers):
            if result is _LOST:
                alive = False
                suspects.append(task)
            else:
                yield result
    for suspect in suspects:  # alone, so that a process that dies accuses its own task
        ((_, result),) = _pooled(call, iter([suspect]), 1)
        yield died(suspect) if result is _LOST else result


_LOST: Any = object()


def _pooled(call: Callable[[Task], Result], tasks: Iterator[Task], workers: int) -> Iterator[tuple[Task, Result]]:
    """Tasks with their results, until they are used up or a process dies: then all in flight are `_LOST`."""
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _prepare, (pickle.dumps(call),))
    pending: dict[Future[Result], Task] = {}
    failure: BaseException | None = None
    broken = False
    try:
        while True:
            if failure is None and not broken:
                for task in islice(tasks, 2 * workers - len(pending)):
                    pending[_submit(pool, task)] = task
            if not pending:
                break
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                task, error = pending.pop(future), future.exception()
                if error is None:
                    yield task, future.result()
                elif isinstance(error, BrokenProcessPool):
                    broken = True
                    yield task, _LOST
                else:
                    failure = failure or error
    finally:
        pool.shutdown(cancel_futures=True)
    if failure is not None:
        raise failure


def _submit(pool: ProcessPoolExecutor, task: Any) -> Future[Any]:
    # Bytes, for what multiprocessing pickles itself has its tensors in shared memory, of which containers have little.
    try:
        return pool.submit(_run, pickle.dumps(task))
    except BrokenProcessPool as error:
        future: Future[Any] = Future()
        future.set_exception(error)
        return future


_pickled_call = b""


def _prepare(pickled_call: bytes) -> None:
    global _pickled_call
    _pickled_call = pickled_call
    torch.set_num_threads(1)


@cache
def _call() -> Callable[[Any], Any]:
    call: Callable[[Any], Any] = pickle.loads(_pickled_call)
    return call


def _run(pickled_task: bytes) -> Any:
    return _call()(pickle.loads(pickled_task))


@contextmanager
def _one_thread() -> Iterator[None]:
    # As in the other processes: results do not depend on the number of workers, not even in the last digit.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
