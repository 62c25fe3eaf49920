"""All that is measured within five minutes, as one table: `make bench`, and `make bench-gpu` where there is CUDA."""

from typing import Any

from benchmarks import inference, metrics, startup, step, synthesis
from benchmarks.timing import parse, parser, write
from mfif.memory import keep_freed_memory

Row = dict[str, Any]


def collect(device: str) -> list[Row]:
    """Rows of the table: what, how long, and beside what."""
    rows: list[Row] = []
    for name, case in step.cases(device).items():
        seen = step.measure(name, case, device)
        rows.append(_row(f"bare step, {name}", seen["bare_ms"], share_of_peak=seen["bare_share_of_peak"]))
        beside = {"against": "bare step", "ratio": seen["ratio"], "target": "<= 1.15"}
        rows.append(_row(f"training step, {name}", seen["training_ms"], **beside))
    for seen in synthesis.measure(device, (16,), repeats=12):
        beside = {"against": "bare step", "ratio": seen["share"]}
        rows.append(_row(f"synthesis, {seen['recipe']}", seen["synthesis_ms"], **beside))
        if "naive_ms" in seen:
            beside = {"against": "ours", "ratio": seen["naive_ratio"]}
            rows.append(_row(f"synthesis, {seen['recipe']}, naive", seen["naive_ms"], **beside))
    pair = inference.photographs(520)
    for name, method in inference.methods(device).items():
        seen = inference.measure(name, method, pair, device, repeats=10)
        rows.append(_row(f"fuse 520x520, {name}", seen["ms"], share_of_peak=seen.get("share_of_peak")))
        if "naive_ms" in seen:
            beside = {"against": "ours", "ratio": seen["naive_ratio"]}
            rows.append(_row(f"fuse 520x520, {name}, naive", seen["naive_ms"], **beside))
    if device != "cpu":  # what follows is the same there
        return rows
    seen = metrics.paper_four(repeats=5)
    rows.append(_row("the paper's four metrics, 520x520", seen["ms"]))
    rows.append(_row("the same in numpy", seen["numpy_ms"], against="ours", ratio=seen["numpy_ratio"]))
    for seen in startup.measure(repeats=2):
        target = f"< {seen['target']:g} s" if seen["target"] else None
        beside = {"against": startup.TORCH, "ratio": seen["torch_ratio"], "target": target}
        rows.append(_row(f"start-up: {seen['command']}", 1e3 * seen["seconds"], **beside))
    return rows


def _row(what: str, ms: float, **beside: Any) -> Row:
    return {"what": what, "ms": ms, **{key: value for key, value in beside.items() if value is not None}}


def table(rows: list[Row]) -> None:
    """Print them."""
    print(f"{'':44}{'ms':>10}{'ratio':>9}  {'against':14}{'of matrix peak':>15}  target")
    for row in rows:
        beside = f"{row['ratio']:>9.3f}  {row['against']:14}" if "ratio" in row else " " * 25
        share = f"{row['share_of_peak']:>15.0%}" if "share_of_peak" in row else " " * 15
        print(f"{row['what']:44}{row['ms']:>10.1f}{beside}{share}  {row.get('target', '')}")


def main() -> None:
    given = parse(parser(__doc__))
    keep_freed_memory()
    rows = collect(given.device)
    table(rows)
    write("bench", given.device, rows=rows)


if __name__ == "__main__":
    main()
