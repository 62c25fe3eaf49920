"""What fusing a pair costs through the public call, `mfif.fuse`: `make bench`.

Every method of the `method` group that needs nothing but images is measured, so that a new one joins by its name, and
the paper's network at two widths. A method with a network is measured beside what one would write first: weights as
they come (NCHW), a pass of the network for each stream, gradients recorded, no tiles. `--options` tells what each
departure from that brings, alone; `--tiles` compares the sides of tiles.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage.data import astronaut
from torch import Tensor, nn

import mfif
from benchmarks.timing import Call, MatrixProduct, fast_precisions, in_turn, medians, now, parse, parser, ratio, write
from mfif.fusion.fusers import Fuser, Method
from mfif.fusion.loading import load, method_names
from mfif.memory import keep_freed_memory
from mfif.models import TwoStream
from mfif.pair import luma

PRODUCT = "matrix product"
LEFT_OUT = ("mean", "source_a", "source_b", "paper")  # reference points; what is measured untrained, at its width
SECONDS = 6.0  # that a method may take, all turns together, but two at least
Pair = list[NDArray[np.uint8]]


def photographs(side: int) -> Pair:
    """A photograph, sharp in its left half and in its right half, ``(side, side, 3)``."""
    repeats = -(-side // 512)
    photo = np.tile(astronaut(), (repeats, repeats, 1))[:side, :side]
    blurred = gaussian_filter(photo, (2.5, 2.5, 0))
    left = (np.arange(side) < side // 2)[:, None]
    return [np.where(left, photo, blurred), np.where(left, blurred, photo)]


def methods(device: str) -> dict[str, Method]:
    """All that can be built without a checkpoint, but those left out, and the paper's network untrained."""
    named = {name: load(name, device) for name in method_names() if name not in LEFT_OUT}
    torch.manual_seed(0)
    networks = {f"two_stream, width {width}": TwoStream(width).eval() for width in (16, 128)}
    fast = {name: Fuser(network.to(memory_format=torch.channels_last)) for name, network in networks.items()}
    return {**named, **{name: fuser.to(device) for name, fuser in fast.items()}}


def separate_streams(network: nn.Module) -> nn.Module:
    """A copy that passes the sources one after the other through streams that share their weights."""
    copied = copy.deepcopy(network)
    if getattr(copied, "stream_b", copied) is None:
        copied.stream_b = copied.stream_a
    return copied


def in_one_batch(network: TwoStream) -> TwoStream:
    """A copy that passes both sources through its shared streams as one batch, as it does where it is trained."""
    copied = copy.deepcopy(network)

    def features(a: Tensor, b: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        both = [maps.unflatten(0, (2, -1)) for maps in copied.stream_a(torch.cat([a, b]))]
        return [first for first, _ in both], [second for _, second in both]

    copied.features = features  # type: ignore[method-assign]
    return copied


def naive(network: nn.Module, pair: Pair, device: str) -> Call:
    """Fusing as one would write it first."""
    plain = separate_streams(network).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]

    def fuse() -> Tensor:
        a, b = (torch.from_numpy(image).to(device).movedim(-1, 0)[None].float() / 255 for image in pair)
        alpha = plain(luma(a), luma(b))
        return (alpha >= 0.5).float() * a + (alpha < 0.5).float() * b

    return fuse


def measure(name: str, method: Method, pair: Pair, device: str, repeats: int) -> dict[str, Any]:
    """Milliseconds of a method; with a network also beside the naive one, and its share of the machine's peak."""
    product = MatrixProduct(device)
    calls: dict[str, Call] = {"ours": lambda: mfif.fuse(pair, method, device=device), PRODUCT: product}
    estimator = getattr(method, "estimator", None)
    if isinstance(method, Fuser) and isinstance(estimator, nn.Module):
        calls["naive"] = naive(estimator, pair, device)
    begin = now()
    for call in calls.values():
        call()
    turns = int(max(2, min(repeats, 1e3 * SECONDS / (now() - begin))))
    times = in_turn(calls, turns, warm=True)
    row = {"method": name, "side": len(pair[0]), "turns": turns, "ms": medians(times)["ours"]}
    if "naive" not in calls:
        return row
    gray = torch.rand(2, 1, 1, *pair[0].shape[:2], device=device)
    with torch.no_grad():
        flop = MatrixProduct.count(lambda: estimator(*gray))
    beside = {"naive_ms": medians(times)["naive"], "naive_ratio": ratio(times, "naive", "ours")}
    return {**row, **beside, "gflop": flop / 1e9, "share_of_peak": product.share(times, "ours", flop, PRODUCT)}


def compare_options(width: int, pair: Pair, device: str, repeats: int) -> list[dict[str, Any]]:
    """What each departure from the naive network brings: the network alone, whole image."""
    torch.manual_seed(0)
    network = TwoStream(width).to(device).eval()
    apart = separate_streams(network)
    last = copy.deepcopy(apart).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    ours = copy.deepcopy(network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    both = in_one_batch(network)
    both_last = in_one_batch(ours)
    compiled = copy.deepcopy(ours)
    compiled.compile()
    gray = [luma(torch.from_numpy(image).to(device).movedim(-1, 0)[None].float() / 255) for image in pair]

    def without_gradients(called: nn.Module, mode: Callable[[], Any] = torch.no_grad) -> Call:
        def call() -> None:
            with mode():
                called(*gray)

        return call

    def half_precision() -> None:
        with torch.no_grad(), torch.autocast(device, torch.bfloat16):
            ours(*gray)

    calls: dict[str, Call] = {
        "naive": lambda: apart(*gray),
        "no gradients": without_gradients(apart),
        "inference mode": without_gradients(apart, torch.inference_mode),
        "no gradients, channels-last": without_gradients(last),
        "no gradients, streams in one batch": without_gradients(both),
        "no gradients, channels-last, one batch": without_gradients(both_last),
        "ours: no gradients, channels-last, one batch in training alone": without_gradients(ours),
        "ours in inference mode": without_gradients(ours, torch.inference_mode),
        "ours, compiled": without_gradients(compiled),
    }
    if "bf16-mixed" in fast_precisions(device):
        calls["ours, bfloat16"] = half_precision
    times = in_turn(calls, repeats)
    return [
        {"width": width, "option": name, "ms": medians(times)[name], "ratio": ratio(times, name, "naive")}
        for name in calls
    ]


def compare_tiles(
    width: int, pair: Pair, device: str, repeats: int, sides: Sequence[int | None] = (64, 128, 256, 512, None)
) -> list[dict[str, Any]]:
    """The public call by the side of its tiles; None is the whole image."""
    torch.manual_seed(0)
    fuser = Fuser(TwoStream(width).eval().to(memory_format=torch.channels_last)).to(device)  # type: ignore[call-overload]

    def fuse(side: int | None) -> Call:
        return lambda: mfif.fuse(pair, replace(fuser), tile=side, device=device)

    calls = {str(side): fuse(side) for side in sides}
    times = in_turn(calls, repeats)
    size = len(pair[0])
    return [
        {
            "width": width,
            "side": size,
            "tile": side,
            "ms": medians(times)[str(side)],
            "ratio": ratio(times, str(side), "None"),
        }
        for side in sides
    ]


def table(rows: list[dict[str, Any]]) -> None:
    """Print them."""
    print(f"{'method':24}{'ms':>10}{'naive / ours':>14}{'of peak':>9}")
    for row in rows:
        beside = f"{row['naive_ratio']:>13.2f}x{row['share_of_peak']:>9.0%}" if "naive_ratio" in row else ""
        print(f"{row['method']:24}{row['ms']:>10.1f}{beside}")


def main() -> None:
    own = parser(__doc__)
    own.add_argument("--side", type=int, default=520, help="of the images, in pixels")
    own.add_argument("--methods", nargs="+", metavar="NAME")
    own.add_argument("--repeats", type=int, default=10)
    own.add_argument("--widths", type=int, nargs="+", default=[16, 128], help="of the network, with what follows")
    own.add_argument("--options", action="store_true")
    own.add_argument("--tiles", action="store_true")
    given = parse(own)
    keep_freed_memory()
    pair = photographs(given.side)
    place = given.device, given.repeats
    if given.options or given.tiles:
        compare = compare_options if given.options else compare_tiles
        rows = [row for width in given.widths for row in compare(width, pair, *place)]
        for row in rows:
            print(*(f"{value:.3f}" if isinstance(value, float) else value for value in row.values()), sep="\t")
        write("inference-options" if given.options else "inference-tiles", given.device, rows=rows)
        return
    found = methods(given.device)
    chosen = given.methods or list(found)
    rows = [measure(name, found[name], pair, *place) for name in chosen]
    table(rows)
    if not given.methods:
        write("inference", given.device, rows=rows)


if __name__ == "__main__":
    main()
