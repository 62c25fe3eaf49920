"""What synthesis costs beside the training step: `make bench`.

All figures of a row come from one run, in turn, so that ratios hold where absolute times drift. The naive synthesis
blurs the batch once for each of the four filter sizes and picks, sample by sample.
"""

from collections.abc import Callable
from typing import Any

import torch
from kornia.filters import gaussian_blur2d
from torch import Tensor

from benchmarks.options import Option, step_with
from benchmarks.timing import Call, in_turn, medians, parse, parser, ratio, write
from mfif.memory import keep_freed_memory
from mfif.pair import FocusPair
from mfif.synthesis import (
    BlobTemplates,
    GaussianKernels,
    PaperKernels,
    PaperTemplates,
    Synthesizer,
    paper_templates,
)


def synthesis_of(synthesizer: Synthesizer, sharp: Tensor) -> Callable[[], FocusPair]:
    """Draw and apply, as the DataModule does for every batch."""
    generator = torch.Generator().manual_seed(0)
    pairs = torch.arange(len(sharp))

    def synthesize() -> FocusPair:
        return synthesizer(sharp, synthesizer.draw(pairs, generator).to(sharp.device))

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


def measure(device: str, widths: tuple[int, ...], repeats: int) -> list[dict[str, Any]]:
    """Milliseconds of synthesis, of the bare step and of the naive synthesis, for two recipes."""
    torch.manual_seed(0)
    sharp = torch.rand(32, 1, 32, 32, device=device)
    recipes = {
        "paper": Synthesizer(PaperKernels(), PaperTemplates()),
        "quick": Synthesizer(GaussianKernels(), BlobTemplates(), noise=0.02),
    }
    rows = []
    for recipe, synthesizer in recipes.items():
        synthesize = synthesis_of(synthesizer, sharp)
        for width in widths:
            step = step_with(Option(channels_last=True), width, synthesize())
            calls: dict[str, Call] = {"step": step, "ours": synthesize, "naive": lambda: naive(sharp)}
            times = in_turn(calls, repeats)
            ms = medians(times)
            row = {"recipe": recipe, "width": width, "step_ms": ms["step"], "synthesis_ms": ms["ours"]}
            row["share"] = ratio(times, "ours", "step")
            beside = {"naive_ms": ms["naive"], "naive_ratio": ratio(times, "naive", "ours")}
            rows.append(row | (beside if recipe == "paper" else {}))
    return rows


def table(rows: list[dict[str, Any]]) -> None:
    """Print them."""
    print("32 pairs of 32x32, float32: synthesis as a share of the bare training step")
    print(f"{'recipe':8}{'width':>6}{'step ms':>10}{'synthesis ms':>14}{'share':>9}{'naive / ours':>14}")
    for row in rows:
        beside = f"{row['naive_ratio']:.1f}x" if "naive_ratio" in row else ""
        figures = f"{row['step_ms']:>10.1f}{row['synthesis_ms']:>14.2f}{row['share']:>9.2%}{beside:>14}"
        print(f"{row['recipe']:8}{row['width']:>6}{figures}")


def main() -> None:
    own = parser(__doc__)
    own.add_argument("--repeats", type=int, default=12)
    given = parse(own)
    keep_freed_memory()
    rows = measure(given.device, (16, 128), given.repeats)
    table(rows)
    write("synthesis", given.device, rows=rows)


if __name__ == "__main__":
    main()
