"""Fuse the pairs of benchmarks with methods, score and show the results: `python evaluate.py --help`."""

import sys
from pathlib import Path

import hydra
from omegaconf import DictConfig

from mfif.config import CONFIG_DIR, check_config, leave_out
from mfif.entry import run_entry_point
from mfif.errors import InputError


@hydra.main(version_base="1.3", config_path=str(CONFIG_DIR), config_name="evaluate")
def main(config: DictConfig) -> None:
    """Build methods and benchmarks, evaluate all of them on each other, print the table of means."""
    # Imported here, so that --help and mistakes in the configuration answer at once.
    from dataclasses import replace
    from functools import partial

    from hydra.utils import instantiate
    from rich.console import Console

    from mfif.evaluation.cache import Cache
    from mfif.evaluation.runner import Evaluation
    from mfif.evaluation.trial import Trials
    from mfif.evaluation.workers import available_cores
    from mfif.fusion.fusers import Fuser, check_precision
    from mfif.fusion.loading import choose_device
    from mfif.fusion.scales import check_scales
    from mfif.fusion.self_ensemble import check_self_ensemble
    from mfif.report.files import Report
    from mfif.report.page import write_page
    from mfif.report.published import published_rows

    leave_out(config)
    _name_checkpoints(config)
    check_config(config)
    if config.refine and config.threshold is None:
        raise InputError("Expected a threshold with a refinement, which is for binary maps. Leave out one of the two.")
    for name, node in config.benchmark.items():
        if name != "root" and (not isinstance(node, DictConfig) or "_target_" not in node):
            raise InputError(
                f"Expected benchmark.{name} to be a benchmark, got settings of one that is not chosen: {node}. "
                f"Add it to benchmark=[...], or leave it out by ~benchmark.{name}."
            )
    check_precision(config.precision)
    check_self_ensemble(config.self_ensemble)
    check_scales(config.scales)
    build = partial(instantiate, _convert_="all")
    device = choose_device(config.device)
    refine = build(config.refine) if config.refine else None
    methods = build(config.method)
    for name, method in methods.items():
        if isinstance(method, Fuser):
            own = method.threshold is None or method.refine is not None  # part of the method
            cut = {} if own else {"threshold": config.threshold, "refine": refine}
            of_networks = ("precision", "self_ensemble", "scales")
            precise = {key: config[key] for key in of_networks} if method.has_network else {}
            methods[name] = replace(method, tile=config.tile, **precise, **cut)
    benchmarks = {name: build(node) for name, node in config.benchmark.items() if name != "root"}
    metrics = build(config.metrics)
    output = Path(config.output)
    published = published_rows(config.published) if config.published else None
    report = Report(output, metrics, published, config.reference_points)
    trials = Trials(
        methods,
        metrics,
        cache=Cache(Path(config.cache) if config.cache else None),
        pictures=output if config.pictures else None,
        device=str(device),
    )
    default_workers = available_cores() if device.type == "cpu" else 1
    workers = default_workers if config.workers is None else config.workers
    evaluation = Evaluation(trials, report, on_error=config.on_error, workers=workers)
    evaluation.run(benchmarks)
    write_page(report, evaluation.skipped)
    console = Console()
    if not console.is_terminal:
        console = Console(width=400)  # a file has no edge to fit into
    for table in report.tables():
        console.print(table.rich())
    for note in [*evaluation.skipped, *report.scores.notes()]:
        console.print(note, soft_wrap=True, highlight=False, markup=False)
    pictures = ", BENCHMARK/METHOD/*-fused.png, *-map.png, *-difference.png, *-panel.png" if config.pictures else ""
    tables = "summary.md, images.md (each pair), pairwise.md (who wins), scores.csv, means.csv, *.tex"
    written = f"report.html (all of it to look at), {tables}"
    console.print(f"In {output}: {written}{pictures}.", soft_wrap=True, highlight=False)


def _name_checkpoints(config: DictConfig) -> None:
    """Make methods of the checkpoints of an evaluation, in place.

    One file keeps the name ``checkpoint``, several have the names given to them. They stand where ``checkpoint`` is
    among the methods, or else last; one by the name of a method that waits for its weights, or ships with some, goes
    there.

    Raises:
        InputError: A checkpoint is wanted and none is given, or the name of one is taken.
    """
    given, chosen = config.checkpoint, dict(config.method)
    wanted = chosen.pop("checkpoint", None)
    files = dict(given) if isinstance(given, DictConfig) else {"checkpoint": given}
    load = "mfif.fusion.loading.load"
    for name, node in chosen.items():
        waits = node.get("checkpoint_or_name", "") is None
        if name in files and (waits or node["_target_"] == f"{load}_shipped"):
            chosen[name] = {"_target_": load, "checkpoint_or_name": files.pop(name)}
        elif waits:
            raise InputError(f"Expected the weights of {name}. Name them with checkpoint={{{name}:FILE}}.")
    if given is None:
        if wanted is not None:
            raise InputError(
                "Expected a checkpoint to evaluate. Name it with checkpoint=FILE, or choose method=laplacian."
            )
        return
    loads = {name: {"_target_": load, "checkpoint_or_name": file} for name, file in files.items()}
    if taken := [str(name) for name in loads if name in chosen]:
        raise InputError(f"Expected checkpoints to have names of their own, got {', '.join(taken)}, which is a method.")
    position = list(config.method).index("checkpoint") if wanted is not None else len(chosen)
    others = list(chosen.items())
    config.method = dict([*others[:position], *loads.items(), *others[position:]])


if __name__ == "__main__":
    sys.exit(run_entry_point(main, "evaluate"))
