"""What each way to a faster training step brings, alone, and all that win together: `python -m benchmarks.options`.

Every row is the bare step, taken in turn with that of plain torch: weights as they come (NCHW), Adam, no compiler.
"""

from functools import partial
from typing import Any, NamedTuple

import torch

from benchmarks.bare import BareStep, record_graph
from benchmarks.timing import Call, MatrixProduct, fast_precisions, in_turn, medians, parse, parser, ratio, write
from mfif.losses import FusionLoss
from mfif.memory import keep_freed_memory
from mfif.models import TwoStream
from mfif.module import FusionModule
from mfif.pair import FocusPair

PLAIN = "plain torch"


class Option(NamedTuple):
    """Words of the configuration, but for `graph`: the whole step as one CUDA graph."""

    channels_last: bool = False
    fused: bool | None = None
    compile: bool | str = False
    precision: str = "32"
    graph: bool = False


def options(device: str) -> dict[str, Option]:
    """All that the hardware knows."""
    found = {
        PLAIN: Option(),
        "channels_last=true": Option(channels_last=True),
        "optimizer.fused=true": Option(fused=True),
        "compile=true": Option(compile=True),
        "channels_last, fused": Option(channels_last=True, fused=True),
        "channels_last, fused, compile": Option(channels_last=True, fused=True, compile=True),
    }
    if "bf16-mixed" in fast_precisions(device):
        found["trainer.precision=bf16-mixed"] = Option(precision="bf16-mixed")
        found["bf16-mixed, channels_last, fused"] = Option(channels_last=True, fused=True, precision="bf16-mixed")
    if device == "cuda":
        best = found["bf16-mixed, channels_last, fused"]
        found["compile=reduce-overhead"] = Option(compile="reduce-overhead")
        found["bf16-mixed, channels_last, fused, compile"] = best._replace(compile=True)
        found["bf16-mixed, channels_last, fused, reduce-overhead"] = best._replace(compile="reduce-overhead")
        found["bf16-mixed, channels_last, fused, one CUDA graph"] = best._replace(graph=True)
        found["bf16-mixed, channels_last, fused, compile, one CUDA graph"] = best._replace(compile=True, graph=True)
    return found


def step_with(option: Option, width: int, pair: FocusPair) -> Call:
    """A bare step so configured."""
    torch.manual_seed(0)
    if option.compile:
        torch.compiler.reset()  # or a second batch compiles for batches of any size
    fused: dict[str, Any] = {} if option.fused is None else {"fused": option.fused}
    capturable = {"capturable": True} if option.graph else {}
    module = FusionModule(
        TwoStream(width).to(pair.a.device),
        FusionLoss(),
        partial(torch.optim.Adam, lr=1e-4, **fused, **capturable),
        channels_last=option.channels_last,
        compile=option.compile,
    )
    step = BareStep(module, pair, option.precision)
    return record_graph(step) if option.graph else step


def measure(width: int, batch: int, side: int, device: str, repeats: int) -> list[dict[str, Any]]:
    """Milliseconds, and the time beside plain torch, of every option."""
    generator = torch.Generator().manual_seed(0)
    a, b, sharp, alpha = torch.rand(4, batch, 1, side, side, generator=generator).to(device)
    pair = FocusPair(a, b, alpha.round(), sharp)
    chosen = options(device)
    calls = {name: step_with(option, width, pair) for name, option in chosen.items()}
    peaks = {precision: MatrixProduct(device, dtype) for precision, dtype in fast_precisions(device).items()}
    times = in_turn({**calls, **peaks}, repeats)
    flop = MatrixProduct.count(step_with(Option(), width, pair))
    return [
        {
            "width": width,
            "batch": batch,
            "option": name,
            "ms": medians(times)[name],
            "ratio": ratio(times, name, PLAIN),
            "share_of_peak": peaks[option.precision].share(times, name, flop, base=option.precision),
        }
        for name, option in chosen.items()
    ]


def main() -> None:
    own = parser(__doc__)
    own.add_argument("--widths", type=int, nargs="+", default=[16, 128])
    own.add_argument("--batch", type=int, default=32)
    own.add_argument("--side", type=int, default=32, help="of a crop, in pixels")
    own.add_argument("--repeats", type=int, default=10)
    given = parse(own)
    keep_freed_memory()
    rows = []
    for width in given.widths:
        rows += measure(width, given.batch, given.side, given.device, given.repeats)
    print(f"{'width':>6}{'option':>64}{'ms':>10}{'ratio':>8}{'of peak':>9}")
    for row in rows:
        figures = f"{row['ms']:>10.1f}{row['ratio']:>8.3f}{row['share_of_peak']:>9.0%}"
        print(f"{row['width']:>6}{row['option']:>64}{figures}")
    write("options", given.device, rows=rows)


if __name__ == "__main__":
    main()
