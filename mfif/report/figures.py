"""The paper's figures of a pair, as PNG and PDF: ``python -m mfif.report.figures --help``.

Figure 3 shows what a network makes of a pair, stage by stage; figure 5 results with a magnified crop; figure 6 the
difference of each result to the first source.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from torch import Tensor

from mfif.data.benchmarks import to_batch
from mfif.errors import InputError
from mfif.files import replacing
from mfif.fusion.weights import load_network
from mfif.images import Pixels, read_image
from mfif.models import TwoStream
from mfif.pair import luma
from mfif.report.viz import difference

Crop = tuple[int, int, int]
"""Left, top and side of a square in pixels."""


@torch.inference_mode()
def stage_maps(network: TwoStream, a: Tensor, b: Tensor) -> dict[str, Tensor]:
    """One feature map of each stage of the network, named as in the paper.

    Args:
        network: With streams for each source.
        a: First source, gray, ``(1, 1, H, W)`` in [0, 1].
        b: Second source, same shape.

    Returns:
        Maps ``(H, W)``: A1, C1, D1 and A2, C2, D2, then E, F and G after their rectifiers, and alpha. Of many channels
        the one that varies most; of both streams the same one.

    Source: Fig. 3 of Zeng et al., ICASSP 2020; which channels it shows is not said.
    """
    later: dict[str, Tensor] = {}
    layers = {"E": network.e, "F": network.f, "G": network.g}

    def keep(name: str, output: Tensor) -> None:
        # An antisymmetric network asks G twice; the first time is that of the sources in their order.
        later.setdefault(name, output.relu())

    hooks = [
        layer.register_forward_hook(lambda _, __, output, name=name: keep(name, output))
        for name, layer in layers.items()
    ]
    try:
        alpha = network(a, b)
    finally:
        for hook in hooks:
            hook.remove()
    streams = network.features(a, b)
    maps = {}
    for number, source, features in zip("12", (a, b), streams, strict=True):
        maps[f"A{number}"] = source[0, 0]
        for block, (here, first) in enumerate(zip(features, streams[0], strict=True) if features else ()):
            stage = "CD"[block] if block < 2 else f"block {block + 1} of "
            maps[f"{stage}{number}"] = here[0, _liveliest(first)]
    return maps | {name: later[name][0, _liveliest(later[name])] for name in layers} | {"alpha": alpha[0, 0]}


def _liveliest(features: Tensor) -> int:
    return int(features[0].flatten(1).std(dim=1).argmax())


def draw_stages(maps: Mapping[str, Tensor]) -> Figure:
    """Figure 3: what `stage_maps` gave, a row for each stream and one for what follows."""
    rows = [[name for name in maps if name.endswith(number)] for number in "12"]
    rows.append([name for name in maps if name[-1] not in "12"])
    figure, axes = _grid([row for row in rows if row])
    for name, axis in axes.items():
        white = 1 if name == "alpha" else None  # a decision has a range of its own; features are stretched to theirs
        axis.imshow(
            maps[name].numpy(), cmap="gray", vmin=None if white is None else 0, vmax=white, interpolation="none"
        )
    return figure


def draw_crops(images: Mapping[str, Pixels], crop: Crop) -> Figure:
    """Figure 5: images by name, a square of them framed and magnified below.

    Args:
        images: ``(H, W)`` or ``(H, W, 3)``, uint8 or uint16, of one size.
        crop: The square.

    Raises:
        InputError: The square leaves the images.
    """
    left, top, side = crop
    height, width = next(iter(images.values())).shape[:2]
    if min(left, top) < 0 or side < 1 or left + side > width or top + side > height:
        raise InputError(
            f"Expected the crop to lie within {width}x{height} pixels, got left {left}, top {top}, side {side}."
        )
    figure, axes = _grid([list(images), [f"{name} (crop)" for name in images]])
    for name, pixels in images.items():
        shown = _to_unit(pixels)
        axis, magnified = axes[name], axes[f"{name} (crop)"]
        _show(axis, shown)
        axis.add_patch(Rectangle((left - 0.5, top - 0.5), side, side, fill=False, edgecolor="red", linewidth=1))
        _show(magnified, shown[top : top + side, left : left + side])
        magnified.set_title("")
    return figure


def draw_differences(images: Mapping[str, Pixels], source: Pixels, gain: float = 1.0) -> Figure:
    """Figure 6: the difference of each image to the first source, middle gray where there is none.

    Args:
        images: ``(H, W)`` or ``(H, W, 3)``, uint8 or uint16, of one size.
        source: The first source, of that size and type.
        gain: What differences are multiplied by.
    """
    figure, axes = _grid([list(images)])
    first = torch.from_numpy(_to_unit(source))
    for name, axis in axes.items():
        apart = difference(torch.from_numpy(_to_unit(images[name])), first)
        _show(axis, (gain * (apart - 0.5) + 0.5).clamp(0, 1).numpy())
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG and PDF.

    Args:
        figure: The figure.
        path: Where to, without an ending.

    Raises:
        InputError: The disk has no room, or the folder cannot be written to.
    """
    for ending in (".png", ".pdf"):
        with replacing(path.with_name(path.name + ending)) as temporary:
            figure.savefig(temporary, dpi=200, bbox_inches="tight")


def _grid(rows: Sequence[Sequence[str]]) -> tuple[Figure, dict[str, Axes]]:
    """A figure with one frame for each name, the name above it."""
    columns = max(map(len, rows))
    figure = Figure(figsize=(1.6 * columns, 1.75 * len(rows)), layout="constrained")
    frames = figure.subplots(len(rows), columns, squeeze=False)
    axes = {}
    for i, row in enumerate(rows):
        for j, axis in enumerate(frames[i]):
            axis.set_axis_off()
            if j < len(row):
                axis.set_title(row[j], fontsize=8)
                axes[row[j]] = axis
    return figure, axes


def _show(axis: Axes, image: NDArray[np.float32]) -> None:
    axis.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="none")


def _to_unit(pixels: Pixels) -> NDArray[np.float32]:
    return (pixels / np.float32(np.iinfo(pixels.dtype).max)).astype(np.float32)


def _stages(given: argparse.Namespace) -> Figure:
    network = load_network(given.checkpoint)
    if not isinstance(network, TwoStream):
        raise InputError(f"Expected {given.checkpoint} to hold a TwoStream network, got {type(network).__name__}.")
    pixels = [read_image(file) for file in given.sources]
    if pixels[0].shape != pixels[1].shape:
        raise InputError(f"Expected sources of one size, got {pixels[0].shape} and {pixels[1].shape}.")
    a, b = (luma(to_batch(image).float() / np.iinfo(image.dtype).max) for image in pixels)
    return draw_stages(stage_maps(network, a, b))


def _crops(given: argparse.Namespace) -> Figure:
    folder = given.folder / given.benchmark
    sources = {f"source {side}": read_image(folder / f"{given.pair}-{side}.png") for side in "AB"}
    return draw_crops(sources | _results(given), tuple(given.crop))


def _differences(given: argparse.Namespace) -> Figure:
    source = read_image(given.folder / given.benchmark / f"{given.pair}-A.png")
    return draw_differences(_results(given), source, given.gain)


def _results(given: argparse.Namespace) -> dict[str, Pixels]:
    """What the methods made of the pair, of all methods unless some are named."""
    folder = given.folder / given.benchmark
    methods = given.methods or sorted(file.parent.name for file in folder.glob(f"*/{given.pair}-fused.png"))
    if not methods:
        raise InputError(f"There is no result of {given.pair!r} in {folder}. Evaluate with pictures=true.")
    return {method: read_image(folder / method / f"{given.pair}-fused.png") for method in methods}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mfif.report.figures", description="Figures of a pair, as PNG and PDF."
    )
    figures = parser.add_subparsers(required=True, metavar="FIGURE")
    stages = figures.add_parser("stages", help="feature maps of a network, stage by stage (the paper's figure 3)")
    stages.set_defaults(draw=_stages)
    stages.add_argument("checkpoint", type=Path, help="written by train.py")
    stages.add_argument("sources", type=Path, nargs=2, metavar="SOURCE", help="the two images of a pair")
    crops = figures.add_parser("crops", help="results with a magnified crop (figure 5)")
    crops.set_defaults(draw=_crops)
    crops.add_argument("--crop", type=int, nargs=3, required=True, metavar=("LEFT", "TOP", "SIDE"), help="in pixels")
    differences = figures.add_parser("differences", help="differences of results to source A (figure 6)")
    differences.set_defaults(draw=_differences)
    differences.add_argument("--gain", type=float, default=1.0, help="what they are multiplied by (default: 1)")
    for figure in (crops, differences):
        figure.add_argument("folder", type=Path, help="of an evaluation: runs/evaluate/TIME")
        figure.add_argument("benchmark", help="for example lytro")
        figure.add_argument("pair", help="for example lytro-01")
        figure.add_argument("--methods", nargs="+", metavar="METHOD", help="which, in this order (default: all)")
    for figure in (stages, crops, differences):
        figure.add_argument("--output", type=Path, required=True, metavar="NAME", help="writes NAME.png and NAME.pdf")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw a figure from the command line.

    Args:
        arguments: Those of the process where not given.

    Returns:
        Exit status: 0 drawn, 1 could not be drawn. Wrong usage exits with 2.
    """
    given = _parser().parse_args(arguments)
    try:
        save_figure(given.draw(given), given.output)
    except InputError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"{given.output}.png and .pdf\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
