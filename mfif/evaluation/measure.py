"""What a call costs: seconds, and memory at its peak."""

import ctypes
import gc
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch

Result = TypeVar("Result")


class Cost(NamedTuple):
    """What a call took.

    Attributes:
        seconds: Wall time, in s, from arguments in memory to the result in memory.
        peak_mb: Memory at the peak of the call beyond what was in use before it, in MB of 10^6 bytes: of the GPU where
            it ran there, resident memory of the process otherwise. None where the system cannot tell (it takes
            Linux to set the high-water mark back).
    """

    seconds: float
    peak_mb: float | None

    def known(self) -> dict[str, float]:
        """The figures by name, without those that are None."""
        return {name: figure for name, figure in self._asdict().items() if figure is not None}


def measured(call: Callable[[], Result], device: torch.device | str = "cpu") -> tuple[Result, Cost]:
    """Make a call and measure it.

    Args:
        call: What to call.
        device: Where it computes.

    Returns:
        What the call returned, and what it cost.
    """
    on_gpu = torch.device(device).type == "cuda"
    before = _reset_gpu(device) if on_gpu else _reset_resident()
    begin = time.perf_counter()
    result = call()
    if on_gpu:
        torch.cuda.synchronize(device)
    seconds = time.perf_counter() - begin
    peak = torch.cuda.max_memory_allocated(device) if on_gpu else _resident("VmHWM")
    return result, Cost(seconds, None if before is None or peak is None else (peak - before) / 1e6)


def _reset_gpu(device: torch.device | str) -> int:
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    return torch.cuda.memory_allocated(device)


def _reset_resident() -> int | None:
    """Give freed memory back to the system, so that it counts when used again, and set the high-water mark down."""
    if sys.platform != "linux":
        return None
    gc.collect()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):  # glibc
        libc.malloc_trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:  # forbidden in some containers
        return None
    return _resident("VmRSS")


def _resident(entry: str) -> int | None:
    """A line of the process's memory figures, in bytes."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(f"{entry}:")), None)
