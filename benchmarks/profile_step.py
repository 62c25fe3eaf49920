"""Where the time of an iteration goes, by torch.profiler: `python -m benchmarks.profile_step`.

A training of `train.py` runs as it always does, with its parts marked. What is above the floor, the bare step, is all
but forward, backward and optimizer.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any
from unittest.mock import patch

from torch.profiler import record_function

from benchmarks.step import CASES, compose
from benchmarks.timing import parse, parser, write
from benchmarks.watch import Watch
from mfif.data.datamodule import PairStream, SynthesizedPairs
from mfif.module import FusionModule
from mfif.synthesis import Synthesizer

FLOOR = ("forward and loss", "backward", "optimizer")
PARTS: dict[str, tuple[type, str]] = {
    "draws": (Synthesizer, "draw"),
    "order of the pairs": (PairStream, "_generator"),
    "synthesis": (SynthesizedPairs, "on_after_batch_transfer"),
    "forward and loss": (FusionModule, "_step"),
    "backward": (FusionModule, "backward"),
    "clipping": (FusionModule, "configure_gradient_clipping"),
    "telling Lightning of the loss": (FusionModule, "log"),
    "learning rate": (FusionModule, "lr_scheduler_step"),
}


@contextmanager
def marked() -> Iterator[None]:
    """Parts of an iteration have names for the profiler inside this block."""

    def mark(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def marking(*arguments: Any, **named: Any) -> Any:
            with record_function(name):
                return call(*arguments, **named)

        return marking

    with ExitStack() as stack:
        for name, (owner, method) in PARTS.items():
            stack.enter_context(patch.object(owner, method, mark(name, getattr(owner, method))))
        yield


def measure(device: str, case: str, first: int, iterations: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Milliseconds of an iteration by its parts, and by operator, those that take the longest first."""
    import train

    with tempfile.TemporaryDirectory() as folder:
        last = first + iterations
        watch = {"_target_": "benchmarks.watch.Watch", "first": first, "iterations": iterations}
        words = [f"+callbacks.watch.{key}={value}" for key, value in watch.items()]
        config = compose(CASES[case], device, folder, [f"trainer.max_steps={last}", "data.val_pairs=32", *words])
        with marked():
            train.main(config)
    events = Watch.seen[0].profile.key_averages()
    took = {event.key: event.cpu_time_total / iterations / 1e3 for event in events}
    steps = next(value for key, value in took.items() if key.startswith("Optimizer.step"))
    # The optimizer calls for forward, backward and clipping itself.
    inside = ("forward and loss", "backward", "clipping", "telling Lightning of the loss")
    parts = {name: took.get(name, 0.0) for name in PARTS} | {
        "optimizer": steps - sum(took.get(name, 0) for name in inside)
    }
    parts["the rest: Lightning, callbacks, Python"] = took["iterations"] - sum(parts.values())
    rows = [
        {"part": name, "ms": ms, "share": ms / took["iterations"], "floor": name in FLOOR} for name, ms in parts.items()
    ]
    operators = sorted((event for event in events if "::" in event.key), key=lambda event: -event.self_cpu_time_total)
    longest = [
        {
            "operator": event.key,
            "calls": event.count / iterations,
            "ms": event.self_cpu_time_total / iterations / 1e3,
            "share": event.self_cpu_time_total / iterations / 1e3 / took["iterations"],
        }
        for event in operators[:12]
    ]
    return rows, longest


def main() -> None:
    own = parser(__doc__)
    own.add_argument("--case", choices=CASES, default=next(iter(CASES)))
    own.add_argument("--iterations", type=int, default=30)
    given = parse(own)
    rows, longest = measure(given.device, given.case, first=20, iterations=given.iterations)
    for title, part in (("part", rows), ("operator", longest)):
        for row in part:
            print(f"{row[title]:44}{row['ms']:>9.2f} ms{row['share']:>8.1%}")
        print()
    write("profile", given.device, case=given.case, rows=rows, operators=longest)


if __name__ == "__main__":
    main()
