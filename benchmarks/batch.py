"""Time and memory of training by the size of the batch: `python -m benchmarks.batch`.

The step is that of `train.py`: the bare one with weights channels-last, on crops of 32x32. Memory is the peak beyond
what the process had before there were weights: with gradients, the optimizer's state and all that backward needs. On a
GPU the step is also measured compiled and as one CUDA graph, as `graph=true compile=true` trains.
"""

from itertools import product
from typing import Any

import torch

from benchmarks.options import Option, step_with
from benchmarks.timing import MatrixProduct, fast_precisions, in_turn, medians, parse, parser, write
from mfif.evaluation.measure import measured
from mfif.pair import FocusPair


def options(device: str) -> dict[str, Option]:
    """The ways a training goes on a device, but for the precision."""
    found = {"kernel by kernel": Option(channels_last=True)}
    if device == "cuda":
        found["compile, one CUDA graph"] = Option(channels_last=True, fused=True, compile=True, graph=True)
    return found


def measure(width: int, batch: int, name: str, precision: str, device: str, repeats: int) -> dict[str, Any]:
    """Milliseconds, share of the machine's peak, and memory of a step."""
    a, b, sharp, alpha = torch.rand(4, batch, 1, 32, 32, device=device)
    pair = FocusPair(a, b, alpha.round(), sharp)
    option = options(device)[name]._replace(precision=precision)

    def train() -> None:
        step = step_with(option, width, pair)
        step()
        step()  # the first one has no state of the optimizer yet

    _, cost = measured(train, device)
    peak = MatrixProduct(device, fast_precisions(device)[precision])
    step = step_with(option, width, pair)
    flop = MatrixProduct.count(step_with(Option(), width, pair))
    times = in_turn({"step": step, "product": peak}, repeats)
    return {
        "width": width,
        "batch": batch,
        "option": name,
        "precision": precision,
        "ms": medians(times)["step"],
        "ms_per_pair": medians(times)["step"] / batch,
        "share_of_peak": peak.share(times, "step", flop, "product"),
        "peak_mb": cost.peak_mb,
    }


def main() -> None:
    own = parser(__doc__)
    own.add_argument("--widths", type=int, nargs="+", default=[16, 128])
    own.add_argument("--batches", type=int, nargs="+", default=[8, 32, 128])
    own.add_argument("--repeats", type=int, default=5)
    given = parse(own)
    rows = []
    place = f"{'width':>6}{'batch':>7}{'option':>25}{'precision':>12}"
    print(f"{place}{'ms':>10}{'ms a pair':>11}{'of peak':>9}{'peak MB':>9}")
    for width in given.widths:
        for batch in given.batches:
            for name, precision in product(options(given.device), fast_precisions(given.device)):
                row = measure(width, batch, name, precision, given.device, given.repeats)
                rows.append(row)
                figures = f"{row['ms']:>10.1f}{row['ms_per_pair']:>11.2f}{row['share_of_peak']:>9.0%}"
                place = f"{width:>6}{batch:>7}{name:>25}{precision:>12}"
                print(f"{place}{figures}{row['peak_mb'] or 0:>9.0f}", flush=True)
    write("batch", given.device, rows=rows)


if __name__ == "__main__":
    main()
