"""`mfif fuse`: what may be said on the command line."""

import argparse
import json
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mfif.cli.scene import MAPS, describe, fuse_files
from mfif.errors import InputError
from mfif.memory import keep_freed_memory

if TYPE_CHECKING:
    from argparse import _SubParsersAction

_DESCRIPTION = """\
Fuse photographs of one scene, each focused elsewhere, into one that is sharp everywhere.

  mfif fuse near.jpg far.jpg -o fused.png                 two photographs
  mfif fuse stack/*.tif -o fused.tif                      any number of them, in any order
  mfif fuse stack/ -o fused.tif                           the same: all images of a folder
  mfif fuse stack.tif -o fused.tif                        the same: all pages of a TIFF
  mfif fuse *.jpg -o fused.png --align                    hand-held, or with focus breathing
  mfif fuse *.jpg -o fused.png --index-map index.png --depth-preview depth.png
  mfif fuse a.png b.png -o fused.png --method best.ckpt   with a network trained by train.py
  mfif fuse shoots/ -o fused/ --on-error skip             a batch: pairs by name, subfolders as stacks

In a batch, pairs are found by their names (beetle-A.jpg beside beetle-B.jpg, or 1 and 2) or in two subfolders A and B;
any other subfolder with images is a stack, and so is a TIFF of several pages. What is there already is passed over, so
that an interrupted batch goes on.

Pixels keep their depth (8 or 16 bit), colour and transparency, and the file the colour profile and camera data of the
first source. Where the map is not blended, every pixel is a pixel of a source, unchanged; so take PNG or TIFF. From
TIFF to TIFF, pictures need not fit into memory: they are read and written strip by strip.
"""
_MAX_PIXELS = 200_000_000
KEPT_BLOCK = 1 << 27  # bytes of memory that is kept: features of a tile, but not whole pictures
_MODELS = ("auto", "translation", "similarity", "affine", "homography")


def add_to(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to a parser."""
    command = commands.add_parser(
        "fuse",
        help="fuse photographs",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_argument(
        "images",
        nargs="+",
        type=Path,
        metavar="IMAGE",
        help="two photographs or more, a TIFF of several pages, or a folder",
    )
    command.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="the fused image; a folder for a batch"
    )
    command.add_argument("--force", action="store_true", help="replace what exists; otherwise it is kept")
    command.add_argument("--json", action="store_true", help="print a summary that programs can read")

    how = command.add_argument_group("how to fuse")
    how.add_argument(
        "--method", default="default", metavar="NAME|CKPT", help="see `mfif methods` (default: %(default)s)"
    )
    how.add_argument(
        "--align",
        nargs="?",
        const="auto",
        choices=_MODELS,
        metavar="MOTION",
        help="move the images onto each other first: auto, translation, similarity, affine or homography",
    )
    how.add_argument(
        "--border",
        default="crop",
        choices=("crop", "fill"),
        help="with --align, crop to what all images show, or fill the rest (default: %(default)s)",
    )
    how.add_argument("--exposure", action="store_true", help="with --align, make the images equally bright, too")
    how.add_argument(
        "--refine", metavar="STEP", help="what is done to the map: none, small_regions, guided_filter or liu2017"
    )
    how.add_argument(
        "--blend-width",
        type=float,
        default=0.0,
        metavar="PIXELS",
        help="mix the images so far into each side of a seam",
    )

    what = command.add_argument_group("what to write beside the fused image (folders for a batch)")
    what.add_argument(
        "--decision-map", type=Path, metavar="FILE", help="of two images: white where the first was taken"
    )
    what.add_argument("--index-map", type=Path, metavar="FILE", help="the number of the image taken, counted from 0")
    what.add_argument(
        "--depth-preview", type=Path, metavar="FILE", help="the depth each pixel was in focus at, coloured"
    )
    what.add_argument("--quality", type=int, default=95, metavar="1-100", help="of a JPEG (default: %(default)s)")

    limits = command.add_argument_group("limits")
    limits.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps ... (default: %(default)s)")
    limits.add_argument(
        "--precision",
        default="32",
        choices=("32", "bf16"),
        help="of the network's numbers; bf16 is faster where the hardware has it (default: %(default)s)",
    )
    limits.add_argument(
        "--self-ensemble",
        type=int,
        default=1,
        choices=(1, 2, 4, 8),
        help="orientations the network sees the pair in: fewer mistakes, as many times the time (default: %(default)s)",
    )
    limits.add_argument(
        "--scales",
        type=int,
        default=None,
        metavar="N",
        help="resolutions the network sees the pair in, each half of the former (default: as the size asks for)",
    )
    limits.add_argument(
        "--tile",
        type=int,
        default=768,
        metavar="PIXELS",
        help="side of the tiles large images are cut into; 0 for none",
    )
    limits.add_argument(
        "--on-error",
        default="stop",
        choices=("stop", "skip"),
        help="at an image that cannot be used, stop, or go on without it (default: %(default)s)",
    )
    limits.add_argument(
        "--max-pixels",
        type=int,
        default=_MAX_PIXELS,
        metavar="N",
        help="refuse larger images, which may be traps; 0 for no limit (default: %(default)s)",
    )
    command.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from mfif.images import SUFFIXES, find_images

    _check(options)
    keep_freed_memory(KEPT_BLOCK)
    with _pixel_limit(options.max_pixels):
        if not any(path.is_dir() for path in options.images):
            return _run_one(options, options.images)
        if len(options.images) > 1:
            raise InputError(
                "Expected images, or one folder of them, got a folder among others. Fuse one after another."
            )
        (folder,) = options.images
        if options.output.suffix.lower() in SUFFIXES:
            return _run_one(options, find_images(folder))
        from mfif.cli.batch import run_batch

        return run_batch(folder, options)


def _check(options: argparse.Namespace) -> None:
    for name, low, high in (("quality", 1, 100), ("tile", 0, None), ("max_pixels", 0, None), ("blend_width", 0, None)):
        value = getattr(options, name)
        if not low <= value <= (math.inf if high is None else high):
            asked = f"from {low} to {high}" if high is not None else f"{low} or more"
            raise InputError(f"Expected --{name.replace('_', '-')} to be {asked}, got {value}.")


@contextmanager
def _pixel_limit(pixels: int) -> Iterator[None]:
    """Have Pillow refuse images of more than so many pixels, without its warnings."""
    from PIL import Image

    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = -(-pixels // 2) or None  # it refuses from twice this on
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="PIL")
            warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _run_one(options: argparse.Namespace, images: list[Path]) -> int:
    maps = {name: path for name in MAPS if (path := getattr(options, name)) is not None}
    summary = fuse_files(images, options.output, maps, options, replace=options.force)
    print(json.dumps(summary, indent=2) if options.json else describe(summary))
    return 0
