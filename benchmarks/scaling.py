"""Time and memory of fusing, from 0.25 to 100 megapixels, and of stacks: `make bench-scaling`.

Every figure comes from a process of its own that fuses uncompressed TIFF files, made beforehand, into an array. Seconds
are those of `mfif.fuse`, reading included, once libraries are loaded; the peak is the resident memory of the whole
process, with interpreter and libraries. It takes Linux to tell. `--compare streaming` fuses into an array and into a
file, strip by strip; `--compare freed` tells what it brings to keep the memory of freed tensors, `--compare scales`
what it costs that networks see large pictures in several resolutions.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage.data import astronaut

from benchmarks.timing import write

PAIRS = (0.25, 1, 4, 16, 50, 100)
STREAMED_PAIRS = {"laplacian": (25, 100, 200), "default": (25, 100)}
FREED_PAIR = 6
SCALED_PAIRS = (1, 6, 25)
NETWORK_PAIRS = (0.25, 1, 4)
NETWORK_WIDTH = 16
LEVELS = 6  # of blur


def frames(count: int, megapixels: float, folder: Path) -> list[Path]:
    """Frames of a slanted scene, a photograph repeated: each is sharp in one band and blurred with the distance."""
    height = round((megapixels * 1e6 / 1.5) ** 0.5)
    width = round(megapixels * 1e6 / height)
    photo = astronaut()
    blurred = [gaussian_filter(photo, (1.2 * level, 1.2 * level, 0)) for level in range(LEVELS)]
    across = [np.tile(image, (1, -(-width // photo.shape[1]), 1))[:, :width] for image in blurred]
    band = np.arange(width) * count // width
    paths = []
    for number in range(count):
        rows = np.empty_like(across[0])
        for level in range(LEVELS):
            chosen = np.minimum(abs(band - number), LEVELS - 1) == level
            rows[:, chosen] = across[level][:, chosen]
        paths.append(folder / f"{number}.tif")
        tifffile.imwrite(paths[-1], np.tile(rows, (-(-height // photo.shape[0]), 1, 1))[:height])
    return paths


def fuse_once(method: str, into: str, freed: str, scales: str, paths: list[str]) -> dict[str, float]:
    """Fuse files with a method, in this process, into memory or a file beside them, freed memory kept or given back.

    With `scales`, "one" for full resolution alone or "all" for as many as the size asks for.
    """
    import torch

    import mfif
    from mfif.cli.fuse import KEPT_BLOCK
    from mfif.memory import keep_freed_memory
    from mfif.models import TwoStream

    if freed == "kept":
        keep_freed_memory(KEPT_BLOCK)
    Image.MAX_IMAGE_PIXELS = None
    warnings.simplefilter("error")
    torch.manual_seed(0)
    chosen = mfif.Fuser(TwoStream(NETWORK_WIDTH)) if method == "network" else method
    told = {"scales": 1} if scales == "one" else {}
    mfif.fuse(list(np.zeros((2, 64, 64, 3), np.uint8)), chosen, device="cpu")
    begin = time.perf_counter()
    output = Path(paths[0]).with_name("fused.tif") if into == "file" else None
    mfif.fuse(paths, chosen, device="cpu", output=output, maps=output is None, **told)
    seconds = time.perf_counter() - begin
    # Not `resource.getrusage`, which may give the peak of the parent.
    status = Path("/proc/self/status").read_text()
    peak_kb = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    return {"seconds": seconds, "peak_mb": peak_kb * 1024 / 1e6}


def measure(method: str, count: int, megapixels: float, into: str, freed: str, scales: str) -> dict[str, object]:
    """Fuse synthetic frames in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        paths = frames(count, megapixels, Path(folder))
        command = [sys.executable, "-m", "benchmarks.scaling", "--once", method, into, freed, scales, *map(str, paths)]
        root = Path(__file__).parent.parent
        output = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    case = {"method": method, "frames": count, "megapixels": megapixels, "into": into, "freed": freed, "scales": scales}
    return {**case, **json.loads(output)}


def cases(comparison: str, stack: int) -> list[tuple[str, int, float, str, str, str]]:
    """What is measured: method, frames, megapixels, where the result goes, what becomes of freed memory, and scales."""
    stacked = (stack, 20) if stack else None
    if comparison == "freed":
        return [("default", 2, FREED_PAIR, "memory", freed, "all") for freed in ("returned", "kept")]
    if comparison == "scales":
        wanted = [(size, scales) for size in SCALED_PAIRS for scales in ("one", "all")]
        return [("default", 2, size, "file", "returned", scales) for size, scales in wanted]
    if comparison == "streaming":
        pairs = [(method, size) for method, sizes in STREAMED_PAIRS.items() for size in sizes]
        listed = [(method, 2, size, into) for method, size in pairs for into in ("memory", "file")]
        listed += [("laplacian", *stacked, "file")] if stacked else []
    else:
        listed = [(method, 2, size, "memory") for method in ("laplacian", "default") for size in PAIRS]
        listed += [("network", 2, size, "memory") for size in NETWORK_PAIRS]
        listed += [(method, *stacked, "memory") for method in ("laplacian", "fast")] if stacked else []
    return [(*case, "returned", "all") for case in listed]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--once", nargs="+", metavar="WORD", help=argparse.SUPPRESS)
    parser.add_argument("--largest", type=float, default=200, metavar="MEGAPIXELS", help="skip what is larger")
    parser.add_argument("--stack", type=int, default=30, metavar="FRAMES", help="of 20 megapixels; 0 for none")
    parser.add_argument(
        "--compare",
        choices=("streaming", "freed", "scales"),
        help="memory and file as the place of the result, memory of freed tensors kept or not, one resolution or all",
    )
    options = parser.parse_args()
    if options.once:
        words, paths = options.once[:4], options.once[4:]
        print(json.dumps(fuse_once(*words, paths)))
        return
    comparison = options.compare or "scaling"
    rows = []
    print(f"{'method':12}{'into':>8}{'freed':>10}{'scales':>8}{'frames':>7}{'megapixels':>12}{'seconds':>9}{'MB':>7}")
    for method, count, size, into, freed, scales in cases(comparison, options.stack):
        if size <= options.largest:
            rows.append(measure(method, count, size, into, freed, scales))
            seconds, peak = rows[-1]["seconds"], rows[-1]["peak_mb"]
            case = f"{method:12}{into:>8}{freed:>10}{scales:>8}{count:>7}{size:>12g}"
            print(f"{case}{seconds:>9.2f}{peak:>7.0f}", flush=True)
            write(comparison, "cpu", rows=rows)


if __name__ == "__main__":
    main()
