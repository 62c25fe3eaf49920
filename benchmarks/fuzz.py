"""Does damaged input ever crash or hang loading and fusing? `make fuzz`.

Whole images of many kinds and a checkpoint are damaged by seeded draws: bytes flipped, cut off, headers edited; where a
format has checksums they are often made right again, so that the damage gets past them. Each file is read, and fused
with its whole twin, in memory and strip by strip. What may come out is one result of both, or the refusal a person can
read (InputError, or ValueError where images do not fit each other). A worker process that dies, or takes too long over
one case, is a finding.
"""

import argparse
import io
import json
import multiprocessing
import os
import platform
import random
import struct
import sys
import tempfile
import time
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile, ZipInfo

import numpy as np
import tifffile
import torch
from PIL import Image, ImageCms

from mfif.errors import InputError
from mfif.fusion.inference import fuse
from mfif.fusion.loading import load
from mfif.images import Metadata, read_photo, write_image
from mfif.models import TwoStream

RESULTS = Path(__file__).parent / "results"
HEIGHT, WIDTH = 24, 31
PIXEL_LIMIT = 1_000_000  # headers that claim more are refused; keeps a case fast
PATIENCE = 60  # seconds a case may take before it counts as hanging; one takes milliseconds
ALLOWED = ("fused", "read", "refused")


class Finding(NamedTuple):
    """What became of a case.

    Attributes:
        case: Its number; with the seed it makes the same file again.
        kind: Of the file that was damaged.
        outcome: ``fused``, ``read`` (whole, but not to be fused with its twin), ``refused``, or what went wrong.
    """

    case: int
    kind: str
    outcome: str


@cache
def whole_files() -> dict[str, bytes]:
    """Whole files by their kinds; the part after the dot is their ending."""
    rng = np.random.default_rng(0)
    deep = rng.integers(0, 65536, (HEIGHT, WIDTH, 4), dtype=np.uint16)
    flat = (deep >> 8).astype(np.uint8)
    exif = Image.Exif()
    exif[271], exif[274], exif[34665] = "Maker", 6, {33434: 0.008, 37500: b"notes"}
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    carried = {"exif": exif.tobytes(), "icc_profile": profile}
    rgb = Image.fromarray(flat[..., :3])
    files = {
        "gray.png": _saved(Image.fromarray(flat[..., 0]), "PNG"),
        "rgb.png": _saved(rgb, "PNG", **carried),
        "rgba.png": _saved(Image.fromarray(flat), "PNG"),
        "palette.png": _saved(rgb.quantize(16), "PNG", transparency=b"\0\x80"),
        "gray.jpg": _saved(Image.fromarray(flat[..., 0]), "JPEG"),
        "rgb.jpg": _saved(rgb, "JPEG", **carried),
        "progressive.jpg": _saved(rgb, "JPEG", progressive=True),
        "cmyk.jpg": _saved(rgb.convert("CMYK"), "JPEG"),
        "rgb.tif": _saved(rgb, "TIFF", **carried),
        "lzw.tif": _saved(rgb, "TIFF", compression="tiff_lzw"),
        "deflate.tif": _saved(rgb, "TIFF", compression="tiff_adobe_deflate"),
        "rgb.webp": _saved(rgb, "WEBP", **carried),
        "rgb.bmp": _saved(rgb, "BMP"),
        "rgb.ppm": _saved(rgb, "PPM"),
        "gray-16.png": _saved(Image.fromarray(deep[..., 0]), "PNG"),
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, pixels in (("rgb-16", deep[..., :3]), ("rgba-16", deep), ("gray-16", deep[..., 0])):
            for ending in ("png", "tif"):
                path = Path(folder, f"{name}.{ending}")
                write_image(path, pixels, Metadata(*carried.values()))
                files[path.name] = path.read_bytes()
        tagged = Metadata(*carried.values(), b"<rdf:RDF xmp:Rating='4' tiff:Orientation='6'/>", b"\x1c\2\x78\0\4bug.")
        for ending in ("jpg", "png", "tif"):
            write_image(Path(folder, f"tagged.{ending}"), flat[..., :3], tagged)
            files[f"tagged.{ending}"] = Path(folder, f"tagged.{ending}").read_bytes()
    planes = {"photometric": "rgb", "planarconfig": "separate"}
    for name, pixels, options in (
        ("planes-16.tif", deep[..., :3].transpose(2, 0, 1), planes),
        ("deflate-16.tif", deep[..., :3], {"photometric": "rgb", "compression": "zlib"}),
        ("strips.tif", flat[..., :3], {"photometric": "rgb", "compression": "zlib", "rowsperstrip": 5}),
        ("tiles.tif", flat[..., :3], {"photometric": "rgb", "compression": "zlib", "tile": (16, 16)}),
        ("pages.tif", np.stack([flat[..., :3], 255 - flat[..., :3], flat[:, ::-1, :3]]), {"photometric": "rgb"}),
        ("pages-16.tif", deep.transpose(2, 0, 1), {"photometric": "minisblack", "compression": "zlib"}),
    ):
        stream = io.BytesIO()
        tifffile.imwrite(stream, pixels, metadata=None, **options)
        files[name] = stream.getvalue()
    return files | {f"network-{number}.ckpt": checkpoint() for number in range(6)}  # one in five cases


def _saved(image: Image.Image, form: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


@cache
def checkpoint() -> bytes:
    """A small checkpoint, of the layout Lightning writes."""
    torch.manual_seed(0)
    network = TwoStream(width=2, depth=1)
    node = {"_target_": "mfif.models.TwoStream", "width": 2, "depth": 1}
    state = {f"network.{key}": value for key, value in network.state_dict().items()}
    stream = io.BytesIO()
    torch.save({"state_dict": state, "hyper_parameters": {"configuration": {"network": node}}}, stream)
    return stream.getvalue()


# Damage


def damage(content: bytes, kind: str, draw: random.Random) -> bytes:
    """A damaged copy."""
    if kind.endswith(".ckpt") and draw.random() < 0.7:
        return _damage_inside_zip(content, draw)
    if kind.endswith(".png") and draw.random() < 0.3:
        return _right_checksums(_damage_inside_png(content, draw))
    damaged = draw.choice((_cut, _flip, _flip, _edit_header, _edit_header, _shuffle))(content, draw)
    if kind.endswith(".png") and draw.random() < 0.7:
        return _right_checksums(damaged)
    return damaged


def _cut(content: bytes, draw: random.Random) -> bytes:
    return content[: draw.randrange(len(content))]


def _flip(content: bytes, draw: random.Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(draw.choice((1, 2, 8, 40))):
        damaged[draw.randrange(len(damaged))] = draw.choice((0, 1, 127, 255, draw.randrange(256)))
    return bytes(damaged)


def _edit_header(content: bytes, draw: random.Random) -> bytes:
    """Put numbers where sizes, counts, offsets and types are: at the beginning, or at the end as in many a TIFF."""
    damaged = bytearray(content)
    reach = min(len(damaged), 400)
    start = draw.choice((0, len(damaged) - reach))
    for _ in range(draw.choice((1, 2, 4))):
        form = draw.choice(("<H", ">H", "<I", ">I"))
        top = 2 ** (8 * struct.calcsize(form)) - 1
        number = draw.choice((0, 1, 2, 3, 8, 16, 255, 65535, top // 2, top, draw.randrange(top)))
        place = start + draw.randrange(reach - 4)
        struct.pack_into(form, damaged, place, min(number, top))
    return bytes(damaged)


def _shuffle(content: bytes, draw: random.Random) -> bytes:
    """Leave a piece out, or have it twice."""
    first, last = sorted(draw.randrange(len(content)) for _ in range(2))
    return content[:first] + content[first:last] * draw.choice((0, 2)) + content[last:]


def _damage_inside_png(content: bytes, draw: random.Random) -> bytes:
    """A PNG whose rows are damaged before they are compressed; its pixels lie in one chunk."""
    place = content.index(b"IDAT") - 4
    (length,) = struct.unpack_from(">I", content, place)
    rows = zlib.decompress(content[place + 8 : place + 8 + length])
    body = zlib.compress(draw.choice((_cut, _flip, _flip, _shuffle))(rows, draw))
    chunk = struct.pack(">I", len(body)) + b"IDAT" + body + bytes(4)
    return content[:place] + chunk + content[place + 12 + length :]


def _right_checksums(content: bytes) -> bytes:
    """A PNG whose chunks have the checksums of what is in them now."""
    damaged, place = bytearray(content), 8
    while place + 12 <= len(damaged):
        (length,) = struct.unpack_from(">I", damaged, place)
        end = place + 8 + length
        if end + 4 > len(damaged):
            break
        struct.pack_into(">I", damaged, end, zlib.crc32(damaged[place + 4 : end]))
        place = end + 4
    return bytes(damaged)


def _damage_inside_zip(content: bytes, draw: random.Random) -> bytes:
    """A checkpoint with one damaged member and right checksums."""
    stream = io.BytesIO()
    with ZipFile(io.BytesIO(content)) as whole, ZipFile(stream, "w") as archive:
        names = whole.namelist()
        pickled = next(name for name in names if name.endswith("data.pkl"))
        chosen = draw.choice((pickled, pickled, draw.choice(names)))
        for name in names:
            member = whole.read(name)
            if name == chosen and len(member) > 8:
                member = draw.choice((_cut, _flip, _shuffle))(member, draw)
            archive.writestr(ZipInfo(name), member)  # without the time, so that a case can be made again
    return stream.getvalue()


# Cases


def run_case(case: int, seed: int, folder: Path) -> Finding:
    """Damage a file and see what loading and fusing make of it."""
    draw = random.Random(f"{seed}/{case}")
    files = whole_files()
    kind = list(files)[case % len(files)]
    broken, whole = folder / f"broken-{kind}", folder / f"whole-{kind}"
    broken.write_bytes(damage(files[kind], kind, draw))
    if not whole.exists():
        whole.write_bytes(files[kind])
    attempt = _try_checkpoint if kind.endswith(".ckpt") else _try_image
    try:
        outcome = attempt(broken, whole)
    except InputError:
        outcome = "refused"
    except BaseException as error:  # a decoder written in Rust panics with one that is no Exception
        if isinstance(error, KeyboardInterrupt):
            raise
        outcome = f"{type(error).__name__}: {str(error)[:200]}"
    return Finding(case, kind, outcome)


def _try_image(broken: Path, whole: Path) -> str:
    read_photo(broken)
    try:
        result = fuse([broken, whole], "default", device="cpu")
    except InputError:
        raise
    except ValueError:  # another size, type or number of channels
        return "read"
    write_image(broken.with_name("fused.tif"), result.image, read_photo(broken).metadata)
    streamed = fuse([broken, whole], "default", device="cpu", output=broken.with_name("streamed.tif"))
    return "fused" if np.array_equal(streamed.image, result.image) else "differs when it is read by strips"


def _try_checkpoint(broken: Path, whole: Path) -> str:
    pair = list(np.random.default_rng(0).integers(0, 256, (2, HEIGHT, WIDTH), dtype=np.uint8))
    fuse(pair, load(broken), device="cpu")
    return "fused"


def quiet() -> None:
    """One thread, no warnings of decoders, small images only."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    Image.MAX_IMAGE_PIXELS = PIXEL_LIMIT // 2


def _work(first: int, last: int, seed: int, findings: Connection) -> None:
    quiet()
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # decoders in C comment on each damage
    with tempfile.TemporaryDirectory() as folder:
        for case in range(first, last):
            findings.send(run_case(case, seed, Path(folder)))


def watch(
    first: int, last: int, seed: int, patience: float = PATIENCE, work: Callable[..., None] = _work
) -> Iterator[Finding]:
    """Run cases in a process of their own, and in another from the next case on when one kills or stops it."""
    kinds = list(whole_files())
    while first < last:
        receiver, sender = multiprocessing.Pipe(duplex=False)
        process = multiprocessing.get_context("fork").Process(target=work, args=(first, last, seed, sender))
        process.start()
        sender.close()
        outcome = None
        while first < last and outcome is None:
            try:
                if receiver.poll(patience):
                    yield receiver.recv()
                    first += 1
                else:
                    outcome = f"hangs for {patience} s"
            except EOFError:
                process.join()
                outcome = f"killed its process with status {process.exitcode}"
        if outcome is not None:
            process.kill()
            yield Finding(first, kinds[first % len(kinds)], outcome)
            first += 1
        process.join()


def main() -> None:
    """Run as many cases as asked for, and write down what became of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first case, to look at one again")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    start = time.perf_counter()
    outcomes: Counter[str] = Counter()
    by_kind: dict[str, Counter[str]] = {}
    bad: list[Finding] = []
    for finding in watch(options.first, options.first + options.cases, options.seed):
        outcome = finding.outcome if finding.outcome in ALLOWED else "crash or hang"
        outcomes[outcome] += 1
        by_kind.setdefault("checkpoint" if finding.kind.endswith(".ckpt") else finding.kind, Counter())[outcome] += 1
        if outcome not in ALLOWED:
            bad.append(finding)
            print(*finding, flush=True)
        if sum(outcomes.values()) % 500 == 0:
            print(dict(outcomes), flush=True)
    result = {
        "cases": options.cases,
        "seed": options.seed,
        "outcomes": outcomes,
        "kinds": by_kind,
        "findings": [finding._asdict() for finding in bad],
        "seconds": round(time.perf_counter() - start),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": platform.platform(),
    }
    if options.first == 0:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "fuzz-cpu.json").write_text(json.dumps(result, indent=2) + "\n")
    print(f"{len(bad)} of {options.cases} damaged files crashed or hung.")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
