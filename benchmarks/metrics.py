"""What scoring costs on the CPU, on one thread: `make bench-metrics`.

All figures of a row come from one run, in turn, so that ratios hold where other programs take the processor. The numpy
versions of the four are careful ones: vectorized, histograms by bincount, separable windows by `scipy.ndimage`. They
take gray levels as they are, ours takes images in [0, 1] and checks them.
"""

from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import scipy
import torch
from scipy.ndimage import correlate1d
from torch import Tensor

from benchmarks.timing import Call, Times, in_turn, medians, parse, parser, ratio, write
from mfif import metrics
from mfif.memory import keep_freed_memory
from mfif.metrics import FusionMetric, FusionMetrics, paper_metrics
from mfif.metrics.functional import compiled, computing_in

DTYPES = {"f64": torch.float64, "f32": torch.float32}
PAPER = ("QMI", "QG", "EN", "VIFF")


def np_histogram_entropy(counts: np.ndarray) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log2(share)).sum())


def np_en(f: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    return np_histogram_entropy(np.bincount(f.astype(np.uint8).ravel(), minlength=256))


def np_q_mi(f: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    levels = f.astype(np.int64).ravel()
    score = 0.0
    for source in (a, b):
        index = source.astype(np.int64).ravel() * 256 + levels
        joint = np.bincount(index, minlength=65536).reshape(256, 256)
        marginals = np_histogram_entropy(joint.sum(0)) + np_histogram_entropy(joint.sum(1))
        score += 2 * (marginals - np_histogram_entropy(joint.ravel())) / marginals
    return score


def np_q_g(f: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    def edges(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        padded = np.pad(image, 1)
        down = padded[:-2] + 2 * padded[1:-1] + padded[2:]
        across = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
        gx, gy = down[:, 2:] - down[:, :-2], across[2:] - across[:-2]
        strength = np.sqrt(gx * gx + gy * gy)
        gx[gx == 0] = 1e-5
        return strength, np.arctan(gy / gx)

    strength_f, angle_f = edges(f)
    top, bottom = np.zeros_like(f), np.zeros_like(f)
    for source in (a, b):
        strength, angle = edges(source)
        stronger = strength > strength_f
        strength[strength == 0] = 1e-5
        lifted = np.where(strength_f == 0, f.dtype.type(1e-5), strength_f)
        ratio = np.where(stronger, strength_f / strength, strength / lifted)
        strength_f = lifted
        aligned = np.abs(np.abs(angle - angle_f) - np.pi / 2) * (2 / np.pi)
        top += strength / ((1 + np.exp(-10 * (ratio - 0.5))) * (1 + np.exp(-20 * (aligned - 0.75))))
        bottom += strength
    return float((top / bottom).mean())


def np_viff(f: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    images, score = [f, a, b], 0.0
    for scale, weight in enumerate((1, 0, 0.15, 1)):
        half = 2 ** (3 - scale)
        window = np.exp(-0.5 * (np.arange(-half, half + 1) / ((2 * half + 1) / 5)) ** 2).astype(f.dtype)
        window /= window.sum()

        def smooth(image: np.ndarray, window: np.ndarray = window, half: int = half) -> np.ndarray:
            rows = correlate1d(image, window, axis=1, mode="constant")[:, half:-half]
            return correlate1d(rows, window, axis=0, mode="constant")[half:-half]

        if scale > 0:
            images = [smooth(image)[::2, ::2] for image in images]
        if weight == 0:
            continue
        mean_f = smooth(images[0])
        var_f = np.maximum(smooth(images[0] * images[0]) - mean_f * mean_f, 0)
        maps = []
        for source in images[1:]:
            mean = smooth(source)
            var = np.maximum(smooth(source * source) - mean * mean, 0)
            cov = smooth(source * images[0]) - mean * mean_f
            gain = cov / (var + 1e-10)
            gain[(var < 1e-10) | (var_f < 1e-10)] = 0
            np.maximum(gain, 0, out=gain)
            noise = np.maximum(var_f - gain * cov, 1e-10)
            kept = np.log10(1 + gain * gain * var / (noise + 325.125))
            maps.append((gain, kept, np.log10(1 + var / 325.125)))
        weaker = maps[0][0] < maps[1][0]
        kept, there = (np.where(weaker, maps[0][i], maps[1][i]) for i in (1, 2))
        score += weight * float((kept + 1e-7).sum() / (there + 1e-7).sum())
    return score / 2.15


NUMPY = {"QMI": np_q_mi, "QG": np_q_g, "EN": np_en, "VIFF": np_viff}


def photographs(size: int, batch: int) -> dict[str, Tensor]:
    """Pairs with edges and texture at several scales, sharp on one half each, as 8-bit levels in [0, 1]."""
    generator = torch.Generator().manual_seed(0)
    sharp = torch.zeros(batch, 1, size, size)
    for cell in (64, 16, 4, 1):
        coarse = torch.rand(batch, 1, -(-size // cell), -(-size // cell), generator=generator)
        sharp += torch.nn.functional.interpolate(coarse, scale_factor=cell)[..., :size, :size] / 4
    blurred = torch.nn.functional.avg_pool2d(sharp, 5, 1, 2, count_include_pad=False)
    left = (torch.arange(size) < size // 2).float().expand(batch, 1, size, size)
    pair = {
        "fused": sharp.lerp(blurred, 0.1),
        "source_a": blurred.lerp(sharp, left),
        "source_b": sharp.lerp(blurred, left),
    }
    images = {name: (255 * image).round() / 255 for name, image in (pair | {"sharp": sharp}).items()}
    return images | {"alpha": left, "alpha_true": left.roll(3, -1)}


def ours(
    metric: FusionMetric | FusionMetrics, known: dict[str, Tensor], dtype: torch.dtype, fast: bool = False
) -> Callable[[], object]:
    """Scoring as a class does, checks and all; `fast` with compiled formulas."""
    given = known if isinstance(metric, FusionMetrics) else metric._filter_kwargs(**known)

    def score() -> object:
        with computing_in(dtype), compiled() if fast else nullcontext():
            return metric.score(**given)

    return score


def theirs(names: tuple[str, ...], known: dict[str, Tensor], dtype: str) -> Callable[[], object]:
    """Scoring pair by pair in numpy."""
    levels = [(255 * known[name]).round()[:, 0].numpy().astype(dtype) for name in ("fused", "source_a", "source_b")]
    return lambda: [NUMPY[name](*pair) for pair in zip(*levels, strict=True) for name in names]


def measure(
    metric: FusionMetric | FusionMetrics,
    paper: tuple[str, ...],
    known: dict[str, Tensor],
    repeats: int,
    precisions: tuple[str, ...] = ("f64", "f32"),
    fast: bool = True,
) -> Times:
    """Milliseconds of a batch, by precision: ours, and for those of `paper` with compiled formulas and by numpy."""
    calls: dict[str, Call] = {short: ours(metric, known, DTYPES[short]) for short in precisions}
    if paper and fast:
        calls |= {f"compiled {short}": ours(metric, known, DTYPES[short], fast=True) for short in precisions}
    if paper:
        calls |= {f"np {short}": theirs(paper, known, f"float{short[1:]}") for short in precisions}
    with torch.no_grad():
        return in_turn(calls, repeats)


def paper_four(repeats: int, size: int = 520) -> dict[str, float]:
    """The paper's four scores of a pair in float64: milliseconds, and how much longer numpy takes."""
    times = measure(paper_metrics(), PAPER, photographs(size, 1), repeats, precisions=("f64",), fast=False)
    return {
        "ms": medians(times)["f64"],
        "numpy_ms": medians(times)["np f64"],
        "numpy_ratio": ratio(times, "np f64", "f64"),
    }


def table(rows: dict[str, dict[str, float]]) -> None:
    """Print them."""
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    print(f"{'ms per pair':24}" + "".join(f"{column:>14}" for column in columns))
    for name, row in rows.items():
        print(f"{name:24}" + "".join(f"{row[column]:>14.1f}" if column in row else " " * 14 for column in columns))


def main() -> None:
    own = parser(__doc__)
    own.add_argument("--repeats", type=int, default=10)
    own.add_argument("--size", type=int, default=520)
    own.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    given = parse(own)
    keep_freed_memory()
    torch.set_num_threads(1)

    items = {name: getattr(metrics, name) for name in metrics.__all__}
    classes = {
        n: c for n, c in items.items() if isinstance(c, type) and issubclass(c, FusionMetric) and c is not FusionMetric
    }
    costly = {"FMI", "QP"}
    sets = {
        "paper's four": (paper_metrics(), PAPER),
        "all but FMI": (FusionMetrics({name: item() for name, item in classes.items() if name != "FMI"}), ()),
    }
    rows: dict[str, dict[str, float]] = {name: {} for name in (*classes, *sets)}
    for batch in given.batches:
        known = photographs(given.size, batch)
        for name, row in rows.items():
            metric, paper = sets[name] if name in sets else (classes[name](), (name,) if name in NUMPY else ())
            few = name in costly or name == "all but FMI"
            turns = (1 if name == "FMI" and batch > 1 else 2) if few else given.repeats
            times = measure(metric, paper, known, turns)
            row |= {f"{key} b{batch}": ms / batch for key, ms in medians(times).items()}
            print(name, {key: round(value, 1) for key, value in row.items()}, flush=True)
    torch.set_num_threads(2)
    times = measure(sets["all but FMI"][0], (), photographs(given.size, 1), 3)
    rows["all but FMI, 2 threads"] = {f"{key} b1": ms for key, ms in medians(times).items()}
    table(rows)
    for column in (f"{short} b{batch}" for batch in given.batches for short in DTYPES):
        paper_row = rows["paper's four"]
        eager, fast = (paper_row[f"np {column}"] / paper_row[ours] for ours in (column, f"compiled {column}"))
        print(f"paper's four, {column}: numpy takes {eager:.2f}x as long, {fast:.2f}x as long as compiled")
    torch.set_num_threads(1)
    write("metrics", "cpu", numpy=np.__version__, scipy=scipy.__version__, size=given.size, ms_per_pair=rows)


if __name__ == "__main__":
    main()
