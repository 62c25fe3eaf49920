"""How every runner measures and keeps what it measured."""

import argparse
import json
import platform
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

RESULTS = Path(__file__).parent / "results"
Call = Callable[[], object]
Times = dict[str, list[float]]


def _processor_time() -> float:
    """Seconds this process and those it started, once ended, have had of processors."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


CLOCKS = {"wall": time.perf_counter, "processor": _processor_time}
_clock = "wall"


def parser(description: str | None) -> argparse.ArgumentParser:
    """What every runner takes; `parse` reads it."""
    shared = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    shared.add_argument(
        "--clock", default="wall", choices=CLOCKS, help="processor: what the CPU spends, where others use it too"
    )
    return shared


def parse(shared: argparse.ArgumentParser) -> argparse.Namespace:
    """Read the command line and set the clock; ends with a line where the device is not there."""
    global _clock
    options = shared.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("Skipped: there is no CUDA device here.")
        raise SystemExit(0)
    _clock = options.clock
    return options


def now() -> float:
    """Milliseconds on the clock, once the GPU, if any is used, has done what was asked for."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return 1e3 * CLOCKS[_clock]()


def in_turn(calls: Mapping[str, Call], repeats: int, warm: bool = False) -> Times:
    """Milliseconds of each call, made in turn (A B C A B C ...), so that whatever else runs slows all of them alike.

    The first turn does not count: it loads, allocates and compiles. There is none of that where all is `warm` already.
    """
    times: Times = {name: [] for name in calls}
    for turn in range(warm, repeats + 1):
        for name, call in calls.items():
            begin = now()
            call()
            if turn:
                times[name].append(now() - begin)
    return times


def ratio(times: Times, name: str, base: str) -> float:
    """How many times as long one call takes as another: the median over the turns."""
    return statistics.median(a / b for a, b in zip(times[name], times[base], strict=True))


def medians(times: Times) -> dict[str, float]:
    """Median milliseconds of each call."""
    return {name: statistics.median(seen) for name, seen in times.items()}


class MatrixProduct:
    """The machine's floor: one large product of square matrices, a call like any other.

    Args:
        device: Where it computes.
        dtype: float32, or bfloat16 where the hardware has it.

    Attributes:
        flop: Floating-point operations of a call.
    """

    def __init__(self, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        side = 1024 if torch.device(device).type == "cpu" else 8192
        self.flop = 2 * side**3
        self._left, self._right = torch.rand(2, side, side, device=device).to(dtype)
        self._product = torch.empty_like(self._left)

    def __call__(self) -> None:
        """Multiply."""
        torch.mm(self._left, self._right, out=self._product)

    @staticmethod
    def count(call: Call) -> int:
        """Floating-point operations in the convolutions and matrix products of a call."""
        with FlopCounterMode(display=False) as counter:
            call()
        return counter.get_total_flops()

    def share(self, times: Times, name: str, flop: float, base: str = "matrix product") -> float:
        """Part of the rate of the product, the call `base`, that another call of so many operations reaches."""
        return flop / self.flop / ratio(times, name, base)


def fast_precisions(device: torch.device | str) -> dict[str, torch.dtype]:
    """The precisions whose products the hardware computes fast, by the names of `trainer.precision`."""
    device = torch.device(device)
    has_bf16 = torch.cuda.is_bf16_supported() if device.type == "cuda" else torch.cpu._is_avx512_bf16_supported()
    return {"32": torch.float32} | ({"bf16-mixed": torch.bfloat16} if has_bf16 else {})


def machine(device: torch.device | str = "cpu") -> dict[str, Any]:
    """What the figures are of: processor, threads, versions."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    processor = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())
    gpu = {"gpu": torch.cuda.get_device_name(device)} if torch.device(device).type == "cuda" else {}
    return {
        **gpu,
        "processor": processor,
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "system": platform.system(),
        "clock": _clock,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def write(name: str, device: torch.device | str, **content: Any) -> None:
    """Write ``results/NAME-DEVICE.json``: the machine, and what was measured on it."""
    kind = torch.device(device).type
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}-{kind}.json"
    path.write_text(json.dumps({"machine": machine(device), **content}, indent=1) + "\n")
    print(f"Written to {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}.")
