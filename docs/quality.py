"""Makes docs/quality.svg, methods by quality and time: `python docs/quality.py LYTRO TRUTH TIME`, three evaluations.

The last one, of a pair of 520x520 with `cache=null workers=1`, gives the times.
"""

import csv
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

OURS = ("default", "fast", "paper")
REFERENCE = ("mean", "source_a", "source_b", "ideal")


def rows(run: Path, benchmark: str) -> list[dict[str, str]]:
    """Means of the methods on a benchmark, without reference points and failures."""
    with (run / "means.csv").open() as stream:
        return [
            row
            for row in csv.DictReader(stream)
            if row["benchmark"] == benchmark and row["method"] not in REFERENCE and row["seconds"]
        ]


def draw(axes: plt.Axes, means: list[dict[str, str]], seconds: dict[str, float], score: str, label: str) -> None:
    """One score against the time of a pair; ours in colour."""
    for row in means:
        x, y = seconds[row["method"]], float(row[score])
        ours = row["method"] in OURS
        axes.scatter(x, y, s=40, color="#c0392b" if ours else "#555555", zorder=3)
        axes.annotate(row["method"], (x, y), xytext=(6, 4), textcoords="offset points", fontsize=8)
    axes.set_xscale("log")
    axes.margins(x=0.12, y=0.1)
    axes.set_xlabel("seconds a pair, one thread")
    axes.set_ylabel(label)
    axes.grid(alpha=0.3)


def main() -> None:
    """Draw Q_MI and Q_G on Lytro, and PSNR where the truth is known."""
    lytro, truth, time = (Path(argument) for argument in sys.argv[1:4])
    seconds = {row["method"]: float(row["seconds"]) for row in rows(time, "golf")}
    plt.rcParams["svg.hashsalt"] = "mfif"  # the same picture from the same numbers
    figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    real = rows(lytro, "lytro")
    draw(axes[0], real, seconds, "Q_MI", "Q_MI, 20 pairs of Lytro")
    draw(axes[1], real, seconds, "Q_G", "Q_G, 20 pairs of Lytro")
    draw(axes[2], rows(truth, "all"), seconds, "PSNR", "PSNR in dB, truth known")
    figure.savefig(Path(__file__).parent / "quality.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
