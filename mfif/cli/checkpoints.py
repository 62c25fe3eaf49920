"""`mfif info` and `mfif export`: what a trained network is, and how it leaves for other programs."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfif.errors import InputError

if TYPE_CHECKING:
    from argparse import _SubParsersAction

_GROUPS = ("loss", "optimizer", "scheduler", "kernel", "template", "data", "photos", "trainer", "seed", "weights")


def add_to(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add both commands to a parser."""
    info = commands.add_parser(
        "info",
        help="say what a checkpoint is",
        description="Say what a checkpoint is: its network, its training and its scores. Nothing in it is executed. Of "
        "weights that ship with mfif, show their card.",
    )
    info.add_argument(
        "checkpoint",
        type=Path,
        metavar="CKPT",
        help="a file written by train.py, the folder of a run, or default, fast or paper",
    )
    info.set_defaults(run=_info)

    export = commands.add_parser(
        "export",
        help="take a network to other programs",
        description="Write the network of a checkpoint for other programs. It takes two gray images as `a` and `b`, "
        "float32 in [0, 1] of any (batch, 1, height, width), and gives `alpha`, how far `a` is in focus, or "
        "`fused` where it fuses by itself. What is written is run and compared with the network before it appears.",
    )
    export.add_argument(
        "checkpoint", type=Path, metavar="CKPT", help="a file written by train.py, or the folder of a run"
    )
    export.add_argument("--onnx", type=Path, metavar="FILE", help="write ONNX")
    export.add_argument("--torch-export", type=Path, metavar="FILE", help="write a program for torch.export.load")
    export.add_argument(
        "--safetensors",
        type=Path,
        metavar="FILE",
        help="write the weights in half precision, for --method and mfif.load",
    )
    export.add_argument("--force", action="store_true", help="replace files that exist")
    export.set_defaults(run=_export)


def _info(options: argparse.Namespace) -> int:
    from omegaconf import OmegaConf

    from mfif.fusion.weights import SHIPPED, SUFFIX, checkpoint_at, load_network, read_checkpoint, shipped_weights

    if str(options.checkpoint) in SHIPPED:
        print(shipped_weights(str(options.checkpoint)).with_suffix(".md").read_text().rstrip())
        return 0
    path = checkpoint_at(options.checkpoint)
    network = load_network(path)
    print(f"network      {type(network).__name__}, {sum(map(_size, network.parameters())):,} parameters")
    if path.suffix == SUFFIX:
        return 0
    content = read_checkpoint(path)
    configuration = content["hyper_parameters"]["configuration"]
    try:
        shown = {key: configuration[key] for key in ("network", *_GROUPS) if configuration.get(key) is not None}
        plain = OmegaConf.to_yaml(OmegaConf.create(shown))
    except ValueError as error:
        raise InputError(f"The configuration in {options.checkpoint} is not made of plain values: {error}.") from error
    print(f"trained      {content.get('global_step', '?')} iterations, {content.get('epoch', '?')} epochs")
    for name, score in _scores(content).items():
        print(f"best         {name} {score:.4f}")
    print("\nconfiguration")
    print(plain.rstrip())
    return 0


def _size(parameter: Any) -> int:
    return int(parameter.numel())


def _scores(content: dict[str, Any]) -> dict[str, float]:
    """The best score by the name it was monitored under, as Lightning's callbacks remember it."""
    states = [state for state in content.get("callbacks", {}).values() if isinstance(state, dict)]
    return {
        state["monitor"]: float(state["best_model_score"])
        for state in states
        if state.get("monitor") and state.get("best_model_score") is not None
    }


def _export(options: argparse.Namespace) -> int:
    if options.onnx is None and options.torch_export is None and options.safetensors is None:
        raise InputError("Expected --onnx FILE, --torch-export FILE or --safetensors FILE.")
    for path in (options.onnx, options.torch_export, options.safetensors):
        if path is not None and path.exists() and not options.force:
            raise InputError(f"{path} exists and is kept. Replace it with --force.")

    from mfif.fusion.export import export_onnx, export_program
    from mfif.fusion.weights import checkpoint_at, load_network, save_weights

    checkpoint = checkpoint_at(options.checkpoint)
    if options.safetensors is not None:
        save_weights(checkpoint, options.safetensors)
        print(f"{options.safetensors}: weights in half precision")
    network = load_network(checkpoint)
    for write, path in ((export_onnx, options.onnx), (export_program, options.torch_export)):
        if path is not None:
            difference = write(network, path)
            print(f"{path}: differs from the network by {difference:.1e} at most")
    return 0
