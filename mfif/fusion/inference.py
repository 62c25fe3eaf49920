"""Fuse images of any kind with a method."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfif.errors import InputError
from mfif.fusion.frames import Frames, Image, OnError, each_page
from mfif.fusion.fusers import Fuser, Method, Precision
from mfif.fusion.image_fusers import ImageFuser
from mfif.fusion.loading import choose_device, load, load_refinement
from mfif.fusion.output import tiff_name, write_bands
from mfif.fusion.rasters import Scratch
from mfif.fusion.refine import BlendSeam, InTurn, Refinement
from mfif.fusion.stack import calls_of, focus_order, fuse_stack
from mfif.fusion.tiles import Raster, whole
from mfif.images import Metadata

Progress = Callable[[str, float], None]

if TYPE_CHECKING:
    from mfif.fusion.align import Border
    from mfif.fusion.registration import FrameMotion, Model


@dataclass(frozen=True)
class FuseResult:
    """What `fuse` makes of images.

    Attributes:
        image: The fused image, in the type, range and layout of the images, an array for paths; with `output`, that
            file as an array which is read where it is looked at.
        decision: For two images, the decision map, 1 where the first was taken; None with more, or where the method
            works without one. ``(H, W)`` for arrays and paths, ``(1, H, W)`` or ``(B, 1, H, W)`` for tensors; float32,
            but with `output` uint8 where all are zeros and ones.
        index: Number of the image, counted from 0, that each pixel came from, or that has the largest weight in it;
            None where the method works without maps. Layout of `decision`, int16.
        order: Numbers of the images that were fused, by the depth they are focused at; `mfif.fusion.depth` draws the
            index by it.
        skipped: What is wrong with the images left out, by their numbers.
        motions: How images lay to the one they were aligned to, by their numbers; empty where none was asked for.
        apart: Where that was asked for, by how many pixels images lie off the first one that could be read, at the
            corner where it is most, by their numbers: those that clearly do; None for one that hardly resembles it.
        metadata: What the first file that could be read carries beside its pixels; see `mfif.images.write_image`.
    """

    image: Any
    decision: Any
    index: Any
    order: list[int]
    skipped: dict[int, str]
    motions: "dict[int, FrameMotion]"
    apart: dict[int, float | None] = field(default_factory=dict)
    metadata: Metadata = field(default_factory=Metadata)


def fuse(
    images: Sequence[Image] | str | Path,
    method: str | Path | Method = "default",
    *,
    align: "Model | None" = None,
    border: "Border" = "crop",
    exposure: bool = False,
    check_motion: bool = False,
    refine: str | Refinement | None = None,
    blend_width: float = 0.0,
    tile: int | None = 768,
    device: str = "auto",
    precision: Precision = "32",
    self_ensemble: int = 1,
    scales: int | None = None,
    on_error: OnError = "raise",
    output: str | Path | None = None,
    maps: bool = True,
    progress: Progress | None = None,
) -> FuseResult:
    """Fuse images of one scene into one that is sharp everywhere.

    The result does not depend on the order of the images, unless the method goes by it, as ``source_a`` does. Images
    are read when they are needed: of many paths, about log2 of their number are in memory at a time where the method
    compares two images. Methods that take all images at once hold all of them.

    Args:
        images: Two images or more: paths, arrays ``(H, W)`` or ``(H, W, C)``, or tensors ``(C, H, W)`` or
            ``(B, C, H, W)``, with C = 1 for gray, 3 for RGB, and one more with an alpha channel. Integers of 8 or 16
            bit have their full range, floats lie in [0, 1]. Each page of a TIFF with several is an image, and one
            such file is enough.
        method: A name of the ``method`` group, a checkpoint, or what `load` returned.
        align: The motion to undo first, see `mfif.fusion.align.align`; None leaves the images as they lie. Tensors
            cannot be aligned.
        border: Where images are aligned, ``"crop"`` to what all of them show, or ``"fill"`` with the nearest pixels.
        exposure: Whether images that are aligned are made equally bright, too.
        check_motion: Whether images that are not aligned are compared, coarsely, for how far they lie apart; see
            `FuseResult`.
        refine: What is done to the map in place of the method's own: a name of the ``refine`` group, or a function as
            in `mfif.fusion.refine`; None leaves the method as it is.
        blend_width: Pixels on each side of the seam over which the images are mixed, at last; 0 mixes none.
        tile: Side in pixels of the tiles that larger images are cut into; None takes them whole. The result is the
            same.
        device: Where to compute; ``auto`` is a GPU if there is one.
        precision: ``"bf16"`` lets the network of a method compute in bfloat16; see `mfif.fusion.fusers.Fuser`.
        self_ensemble: In how many orientations the network of a method sees the pair, 1, 2, 4 or 8: a map with fewer
            mistakes, for as many times the time; see `mfif.fusion.fusers.Fuser`.
        scales: In how many resolutions, each half of the former, the network of a method sees the pair; None leaves it
            to the method, and those of `load` have it by the size of the images; see `mfif.fusion.scales`.
        on_error: ``"skip"`` leaves out images that cannot be read, ``"raise"`` stops.
        output: A name that ends in .tif, to write the fused image to, strip by strip, as are the images read that are
            paths: memory then holds the map, of 1 byte a pixel where it is not blended, and not the images. What else
            is needed waits in temporary files beside it. An existing file is replaced.
        maps: Whether decision and index are wanted; without them less memory is needed.
        progress: Is told now and then what is done, ``"reading"``, ``"aligning"`` or ``"fusing"``, and the share of it
            that has been.

    Returns:
        The fused image, with maps and notes. Where the map is 0 or 1, the image has a source's value exactly.

    Raises:
        InputError: An image cannot be read, the method cannot be loaded, takes another number of images, or has no
            binary map to refine or no network for a `precision`, `self_ensemble` or `scales`; `output` is no TIFF or
            cannot be written.
        ValueError: There are fewer than two images, or they differ in shape or type.
        TypeError: An image is of a kind that cannot be fused.

    Example:
        >>> import numpy as np
        >>> near, far = np.zeros((8, 8), np.uint8), np.full((8, 8), 9, np.uint8)
        >>> fuse([near, far], method="source_b").image[0, 0]
        np.uint8(9)

        Tensors, with the seam blended:

        >>> import torch
        >>> near, far = torch.rand(2, 3, 32, 32)
        >>> fuse([near, far], method="laplacian", blend_width=3).decision.shape
        torch.Size([1, 32, 32])

        A stack of files, and where it is near or far:

        >>> result = fuse(sorted(Path("stack").glob("*.tif")), "laplacian", on_error="skip")  # doctest: +SKIP
        >>> preview = depth_preview(result.index, result.order)  # doctest: +SKIP

        Pictures larger than memory, from files into a file:

        >>> fuse(["near.tif", "far.tif"], output="fused.tif", maps=False).image.shape  # doctest: +SKIP
    """
    place = choose_device(device)
    loaded = load(method) if isinstance(method, str | Path) else method
    configured = _configured(loaded, refine, blend_width, tile, precision, self_ensemble, scales)
    scratch = None if output is None else Scratch(tiff_name(output).parent, place)
    frames = Frames(dict(enumerate(each_page(images))), place, scratch)
    told = progress or _nobody
    apart = None
    if check_motion and align is None:
        from mfif.fusion.apart import Apart  # OpenCV, which the rest does without

        apart = Apart()

    def look(number: int, frame: Raster) -> None:
        told("reading", (number + 1) / len(frames.images))
        if apart is not None:
            apart.look(number, frame)

    portraits, skipped = frames.survey(on_error, look)
    read, motions = frames.__getitem__, {}
    if align is not None:
        told("aligning", 0.0)
        from mfif.fusion.aligned import AlignedFrames  # OpenCV, too

        aligned = AlignedFrames(frames, focus_order(portraits), align, border, exposure, scratch)
        read, motions = aligned.__getitem__, aligned.motions
    watched = _watched(configured, len(portraits), frames.pixels, told)
    fused = fuse_stack(read, portraits, watched.to(place), scratch or whole, indexed=maps)
    like = min(portraits)
    image: Any
    if output is not None:
        image, decision = write_bands(tiff_name(output), fused, frames.metadata), fused.decision
    else:
        image = frames.image_like(like, fused.image())
        decision = None if fused.decision is None else fused.decision.float()
    return FuseResult(
        image,
        frames.map_like(like, decision),
        frames.map_like(like, fused.index),
        fused.order,
        skipped,
        motions,
        {} if apart is None else apart.found,
        frames.metadata,
    )


def _nobody(_what: str, _share: float) -> None:
    """Not to be told."""


def _watched(method: Method, count: int, pixels: int, told: Progress) -> Method:
    """The method as it tells what share of so many images, each of so many pixels, it has fused."""
    if not isinstance(method, Fuser | ImageFuser):
        return method
    total = pixels * calls_of(method, count)
    done = 0.0

    def watch(more: float) -> None:
        nonlocal done
        done += more
        told("fusing", min(done / total, 1.0))

    return replace(method, watch=watch)


def _configured(
    method: Method,
    refine: str | Refinement | None,
    blend_width: float,
    tile: int | None,
    precision: Precision,
    self_ensemble: int,
    scales: int | None,
) -> Method:
    """The method with what `fuse` was told about it."""
    told: dict[str, Any] = {"precision": precision} if precision != "32" else {}
    told |= {"self_ensemble": self_ensemble} if self_ensemble != 1 else {}
    told |= {"scales": scales} if scales is not None else {}
    if isinstance(method, Fuser):
        method = replace(method, tile=tile, **told)
    elif told:
        name = next(iter(told))
        plain = 32 if name == "precision" else 1
        raise InputError(f"Expected `{name}` to be {plain} for a method that makes no map by a network. Leave it out.")
    elif isinstance(method, ImageFuser):
        method = replace(method, tile=tile)
    if refine is None and not blend_width:
        return method
    if not isinstance(method, Fuser) or method.threshold is None:
        raise InputError("Expected `refine` and `blend_width` only with a method that cuts its map to zeros and ones.")
    own = load_refinement(refine) if isinstance(refine, str) else refine or method.refine
    steps = {"own": own, "seam": BlendSeam(blend_width) if blend_width else None}
    return replace(method, refine=InTurn({name: step for name, step in steps.items() if step is not None}))
