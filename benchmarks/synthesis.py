"""What synthesis costs beside the training step: `make bench`.

All figures of a row come from one run, in turn, so that ratios hold where absolute times drift. The naive synthesis
blurs the batch once for each of the four filter sizes and picks, sample by sample.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from kornia.filters import gaussian_blur2d
from torch import Tensor

from mfif.losses import FusionLoss
from mfif.models import TwoStream
from mfif.pair import FocusPair, blend
from mfif.synthesis import (
    BlobTemplates,
    GaussianKernels,
    PairDraw,
    PaperKernels,
    PaperTemplates,
    Synthesizer,
    paper_templates,
)
from mfif.training.runs import keep_freed_memory

RESULTS = Path(__file__).parent / "results"


def step_of(width: int, pair: FocusPair, precision: str) -> Callable[[], None]:
    """The bare training step on a fixed batch: forward, backward, optimizer."""
    network = TwoStream(width).to(pair.a.device, memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters())
    loss = FusionLoss()

    def step() -> None:
        with torch.autocast(pair.a.device.type, torch.bfloat16, enabled=precision == "bf16"):
            alpha = network(pair.a, pair.b)
            value = loss(blend(pair.a, pair.b, alpha), alpha, pair)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()

    return step


def synthesis_of(synthesizer: Synthesizer, sharp: Tensor) -> Callable[[], FocusPair]:
    """Draw and apply, as the DataModule does for every batch."""
    generator = torch.Generator().manual_seed(0)
    pairs = torch.arange(len(sharp))

    def synthesize() -> FocusPair:
        draw = synthesizer.draw(pairs, generator)
        *parameters, seed = draw
        return synthesizer(sharp, PairDraw(*(part.to(sharp.device) for part in parameters), seed=seed))

    return synthesize


def naive(sharp: Tensor) -> None:
    """The paper's synthesis, one blur of the batch for each filter size and one template for each sample."""
    blurred = [gaussian_blur2d(sharp, (size, size), (1.0, 1.0)) for size in (3, 7, 11, 15)]
    templates = paper_templates(sharp.shape[-1], sharp.device)
    a, b = [], []
    for index, photo in enumerate(sharp):
        alpha = templates[index // 4 % 6]
        soft = blurred[index % 4][index]
        a.append(alpha * photo + (1 - alpha) * soft)
        b.append((1 - alpha) * photo + alpha * soft)
    torch.stack(a), torch.stack(b)


def alternate(repeats: int, *calls: Callable[[], object]) -> list[float]:
    """Median milliseconds of each call, taken in turn."""
    times: list[list[float]] = [[] for _ in calls]
    for turn in range(repeats + 2):
        for call, seen in zip(calls, times, strict=True):
            begin = time.perf_counter()
            call()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if turn >= 2:
                seen.append(1e3 * (time.perf_counter() - begin))
    return [statistics.median(seen) for seen in times]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--repeats", type=int, default=12)
    device = torch.device(parser.parse_args().device)
    repeats = parser.parse_args().repeats
    keep_freed_memory()
    torch.manual_seed(0)
    sharp = torch.rand(32, 1, 32, 32, device=device)
    recipes = {
        "paper": Synthesizer(PaperKernels(), PaperTemplates()),
        "quick": Synthesizer(GaussianKernels(), BlobTemplates(), noise=0.02),
    }
    rows = []
    for recipe, synthesizer in recipes.items():
        synthesize = synthesis_of(synthesizer, sharp)
        for width in (16, 128):
            step = step_of(width, synthesize(), "fp32")
            step_ms, ours, simple = alternate(repeats, step, synthesize, lambda: naive(sharp))
            row = {"recipe": recipe, "width": width, "step_ms": step_ms, "synthesis_ms": ours, "share": ours / step_ms}
            rows.append(row | ({"naive_ms": simple, "naive_ratio": simple / ours} if recipe == "paper" else {}))
    print("32 pairs of 32x32, float32: synthesis as a share of the bare training step")
    print(f"{'recipe':8}{'width':>6}{'step ms':>10}{'synthesis ms':>14}{'share':>9}{'naive / ours':>14}")
    for row in rows:
        ratio = f"{row['naive_ratio']:.1f}x" if "naive_ratio" in row else ""
        figures = f"{row['step_ms']:>10.1f}{row['synthesis_ms']:>14.2f}{row['share']:>9.2%}{ratio:>14}"
        print(f"{row['recipe']:8}{row['width']:>6}{figures}")
    machine = (
        torch.cuda.get_device_name()
        if device.type == "cuda"
        else f"{platform.machine()}, {torch.get_num_threads()} threads"
    )
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"synthesis-{device.type}.json"
    path.write_text(json.dumps({"machine": machine, "torch": torch.__version__, "rows": rows}, indent=1) + "\n")
    print(f"Written to {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}.")


if __name__ == "__main__":
    main()
