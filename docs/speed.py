"""Write the tables of docs/speed.md, and docs/speed.svg, from benchmarks/results/: `make docs`."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "speed.md"
CHART = ROOT / "docs" / "speed.svg"
Row = dict[str, Any]


class Column(NamedTuple):
    """A column: its title, the key of its values, and how one is written."""

    title: str
    key: str
    write: Callable[[Any], str] = str


def _decimals(count: int) -> Callable[[float], str]:
    return lambda value: f"{value:,.{count}f}"


def _times(value: float) -> str:
    return f"{value:.3g}x"


def _percent(value: float) -> str:
    return f"{value:.0%}"


_MS = Column("ms", "ms", _decimals(1))
_RATIO = Column("time beside it", "ratio", _times)
_PEAK = Column("of the matrix peak", "share_of_peak", _percent)
TABLES = {
    "bench": [
        Column("", "what"),
        _MS,
        Column("ratio", "ratio", _decimals(3)),
        Column("against", "against"),
        _PEAK,
        Column("target", "target", lambda words: words.replace("<", "&lt;")),
    ],
    "profile": [
        Column("part of an iteration", "part"),
        _MS,
        Column("share", "share", _percent),
        Column("", "floor", lambda floor: "floor" if floor else "above it"),
    ],
    "options": [Column("width", "width"), Column("option", "option"), _MS, _RATIO, _PEAK],
    "inference-options": [Column("width", "width"), Column("", "option"), _MS, _RATIO],
    "inference-tiles": [
        Column("width", "width"),
        Column("side of a tile", "tile", lambda side: f"{side}" if side else "whole image"),
        _MS,
        _RATIO,
    ],
    "batch": [
        Column("width", "width"),
        Column("batch", "batch"),
        Column("option", "option"),
        Column("precision", "precision"),
        _MS,
        Column("ms a pair", "ms_per_pair", _decimals(2)),
        _PEAK,
        Column("peak MB", "peak_mb", _decimals(0)),
    ],
    "scaling": [
        Column("method", "method"),
        Column("frames", "frames"),
        Column("megapixels", "megapixels"),
        Column("seconds", "seconds", _decimals(2)),
        Column("peak MB", "peak_mb", _decimals(0)),
    ],
    "scales": [
        Column("megapixels", "megapixels"),
        Column("resolutions", "scales"),
        Column("seconds", "seconds", _decimals(2)),
        Column("peak MB", "peak_mb", _decimals(0)),
    ],
    "freed": [
        Column("megapixels", "megapixels"),
        Column("memory of freed tensors", "freed"),
        Column("seconds", "seconds", _decimals(2)),
        Column("peak MB", "peak_mb", _decimals(0)),
    ],
    "evaluation": [
        Column("pairs", "pairs"),
        Column("methods", "methods", len),
        Column("cores", "cores"),
        Column("s, one process", "seconds_one_process", _decimals(1)),
        Column("s, all cores", "seconds_all_cores", _decimals(1)),
        Column("speed-up", "speed_up", _times),
        Column("ms to score a pair", "ms_to_score", _decimals(0)),
    ],
}


def markdown(name: str, device: str) -> str:
    """A table of ``results/NAME-DEVICE.json``, and the machine it is of."""
    path = RESULTS / f"{name}-{device}.json"
    if not path.exists():
        return f"Not measured yet: there is no `benchmarks/results/{path.name}`."
    content = json.loads(path.read_text())
    columns = [column for column in TABLES[name] if any(column.key in row for row in content["rows"])]
    rule = ["---:" if _is_number(column, content["rows"]) else "---" for column in columns]
    cells = [
        [str(column.write(row[column.key])) if column.key in row else "" for column in columns]
        for row in content["rows"]
    ]
    lines = [[column.title for column in columns], rule, *cells]
    chart = (
        f"\n\n![Seconds to fuse a pair of 520x520, by method]({CHART.name})"
        if (name, device) == ("bench", "cpu")
        else ""
    )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + f"\n\n*{_describe(content['machine'])}*{chart}"


def _is_number(column: Column, rows: list[Row]) -> bool:
    return all(not isinstance(row.get(column.key), str) for row in rows)


def _describe(machine: dict[str, Any] | str) -> str:
    if isinstance(machine, str):
        return machine
    clock = "" if machine["clock"] == "wall" else f", {machine['clock']} time"
    processor = machine.get("gpu") or f"{machine['processor']}, {machine['instructions']}"
    return f"{processor}, {machine['threads']} threads, torch {machine['torch']}{clock}."


def render(page: str) -> str:
    """The page with its tables anew, each between ``<!-- NAME-DEVICE -->`` and ``<!-- end -->``."""

    def fill(match: re.Match[str]) -> str:
        name, _, device = match[1].rpartition("-")
        return f"<!-- {match[1]} -->\n{markdown(name, device)}\n<!-- end -->"

    return re.sub(r"<!-- ([\w-]+-(?:cpu|cuda)) -->\n.*?<!-- end -->", fill, page, flags=re.DOTALL)


def draw(rows: list[Row]) -> Figure:
    """What fusing a pair of 520x520 takes, by method; beside it the naive network where there is one."""
    fused = [row for row in rows if row["what"].startswith("fuse 520x520, ")]
    names = {row["what"].removeprefix("fuse 520x520, ").removesuffix(", naive") for row in fused}
    took = {row["what"].removeprefix("fuse 520x520, "): row["ms"] / 1e3 for row in fused}
    order = sorted(names, key=took.__getitem__, reverse=True)
    figure = Figure(figsize=(7, 0.4 + 0.35 * len(order)), layout="constrained")
    axes = figure.subplots()
    axes.barh(order, [took[name] for name in order], height=0.5, color="#4477aa", label="mfif.fuse")
    naive = [name for name in order if f"{name}, naive" in took]
    if naive:
        axes.plot([took[f"{name}, naive"] for name in naive], naive, "D", color="#cc6677", label="the network, naively")
    axes.set_xscale("log")
    axes.set_xlabel("seconds for a pair of 520x520")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="lower left", frameon=False)
    return figure


def main() -> None:
    """Write both."""
    PAGE.write_text(render(PAGE.read_text()))
    bench = RESULTS / "bench-cpu.json"
    if bench.exists():
        draw(json.loads(bench.read_text())["rows"]).savefig(CHART, metadata={"Date": None})


if __name__ == "__main__":
    main()
