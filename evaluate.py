"""Fuse the pairs of benchmarks with methods, score and show the results: `python evaluate.py --help`."""

import sys
from pathlib import Path

import hydra
from omegaconf import DictConfig

from mfif.config import CONFIG_DIR, check_config, run_entry_point


@hydra.main(version_base="1.3", config_path=str(CONFIG_DIR), config_name="evaluate")
def main(config: DictConfig) -> None:
    """Build methods and benchmarks, evaluate all of them on each other, print the table of means."""
    # Imported here, so that --help and mistakes in the configuration answer at once.
    from dataclasses import replace
    from functools import partial

    from hydra.utils import instantiate
    from rich.console import Console

    from mfif.errors import InputError
    from mfif.evaluation import Evaluation
    from mfif.inference import choose_device
    from mfif.runs import keep_freed_memory

    if "checkpoint" in config.method and config.checkpoint is None:
        raise InputError("Expected a checkpoint to evaluate. Name it with checkpoint=FILE, or choose method=laplacian.")
    check_config(config)
    build = partial(instantiate, _convert_="all")
    keep_freed_memory()
    device = choose_device(config.device)
    refine = build(config.refine) if config.refine else None
    methods = {
        name: replace(method, tile=config.tile, refine=None if method.threshold is None else refine).to(device)
        for name, method in build(config.method).items()
    }
    benchmarks = {name: build(node) for name, node in config.benchmark.items() if name != "root"}
    output = Path(config.output)
    evaluation = Evaluation(
        methods,
        build(config.metrics),
        output,
        device=device,
        on_error=config.on_error,
        pictures=config.pictures,
    )
    evaluation.run(benchmarks)
    console = Console()
    if not console.is_terminal:
        console = Console(width=400)  # a file has no edge to fit into
    evaluation.scores.print(console)
    for note in [*evaluation.skipped, *evaluation.scores.undefined()]:
        console.print(note, soft_wrap=True, highlight=False)
    pictures = ", BENCHMARK/METHOD/*-fused.png, *-map.png, *-difference.png, *-panel.png" if config.pictures else ""
    console.print(f"In {output}: summary.md, scores.csv{pictures}.", soft_wrap=True, highlight=False)


if __name__ == "__main__":
    sys.exit(run_entry_point(main, "evaluate"))
