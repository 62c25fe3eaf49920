"""One scene of `mfif fuse`, from files to files."""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfif.errors import InputError

if TYPE_CHECKING:
    from mfif.fusion.inference import FuseResult
    from mfif.fusion.registration import FrameMotion
    from mfif.images import Page, Pixels

MAPS = ("decision_map", "index_map", "depth_preview")
"""Names of the options that ask for a picture beside the fused one."""


def fuse_files(
    images: list[Path], output: Path, maps: dict[str, Path], options: argparse.Namespace, replace: bool
) -> dict[str, Any]:
    """Fuse files into files.

    Args:
        images: The sources; each page of a TIFF with several is one.
        output: The fused image; it is written last.
        maps: What else to write and where, by the names of `MAPS`.
        options: What was said on the command line.
        replace: Whether files that exist are written anew.

    Returns:
        A summary of plain values.

    Raises:
        InputError: Something cannot be read, fused or written, or exists.
    """
    from mfif.files import replacing
    from mfif.fusion.output import SUFFIXES
    from mfif.images import find_pages, write_image

    pages = [page for path in images for page in find_pages(path)]
    if len(pages) < 2:
        raise InputError(f"Expected two images or more to fuse, got {', '.join(map(str, pages))}. Name the others.")
    _check_outputs(pages, [output, *maps.values()], replace)
    if "decision_map" in maps and len(pages) > 2:
        raise InputError("A decision map tells two images apart. Ask for --index-map with more.")
    _check_depth(pages, output, options.on_error)
    start = time.perf_counter()
    if output.suffix.lower() in SUFFIXES:  # written while it is fused
        with replacing(output) as temporary:
            result = _fuse(pages, options, temporary, maps)
            _write_maps(maps, result)
    else:
        result = _fuse(pages, options, None, maps)
        _write_maps(maps, result)
        write_image(output, result.image, result.metadata, options.quality)
    return _summary([str(page) for page in pages], output, maps, options, result, time.perf_counter() - start)


def _fuse(
    images: "list[Path | Page]", options: argparse.Namespace, output: Path | None, maps: dict[str, Path]
) -> "FuseResult":
    from mfif.cli.progress import shown
    from mfif.fusion.inference import fuse

    try:
        with shown() as progress:
            return fuse(
                images,
                options.method,
                align=options.align,
                border=options.border,
                exposure=options.exposure,
                check_motion=True,
                refine=options.refine,
                blend_width=options.blend_width,
                tile=options.tile or None,
                device=options.device,
                precision=options.precision,
                self_ensemble=options.self_ensemble,
                scales=options.scales,
                on_error="skip" if options.on_error == "skip" else "raise",
                output=output,
                maps=bool(maps),
                progress=progress,
            )
    except InputError:
        raise
    except ValueError as error:  # of what the files hold, together
        raise InputError(str(error)) from error
    except RuntimeError as error:
        if "memory" not in str(error):
            raise
        raise MemoryError from error


def _write_maps(maps: dict[str, Path], result: "FuseResult") -> None:
    from mfif.images import write_image

    pictures = {name: _picture(name, result) for name in maps}
    for name, path in maps.items():
        write_image(path, pictures[name])


def _check_outputs(images: "list[Path | Page]", outputs: list[Path], replace: bool) -> None:
    from mfif.images import Page, check_writable

    sources = {(image.path if isinstance(image, Page) else image).resolve() for image in images}
    for number, path in enumerate(outputs):
        check_writable(path)
        if path.resolve() in sources:
            raise InputError(f"{path} is one of the images to fuse. Choose another name for the output.")
        if path in outputs[:number]:
            raise InputError(f"{path} is asked for twice. Choose another name for one of the outputs.")
        if path.exists() and not replace:
            raise InputError(f"{path} exists and is kept. Replace it with --force, or choose another name.")


def _check_depth(images: "list[Path | Page]", output: Path, on_error: str) -> None:
    """Raise if the output cannot hold the depth of the first image that can be read."""
    from mfif.images import check_writable, is_deep

    for path in images:
        try:
            deep = is_deep(path)
        except InputError:
            if on_error == "stop":
                raise
            continue
        check_writable(output, deep)
        return


def _picture(name: str, result: "FuseResult") -> "Pixels":
    """What an option asks for as pixels."""
    import numpy as np

    if name == "decision_map" and result.decision is not None:
        if result.decision.dtype == np.uint8:
            return result.decision * np.uint8(255)  # type: ignore[no-any-return]
        levels: Pixels = np.rint(255 * result.decision).astype(np.uint8)
        return levels
    if name == "index_map" and result.index is not None:
        numbers: Pixels = result.index.astype(np.uint8 if result.index.max() < 256 else np.uint16)
        return numbers
    if name == "depth_preview" and result.index is not None:
        from mfif.fusion.depth import depth_preview

        return depth_preview(result.index, result.order)
    raise InputError(f"This method has no map to make a --{name.replace('_', '-')} of. Take another method.")


def _summary(
    images: list[str],
    output: Path,
    maps: dict[str, Path],
    options: argparse.Namespace,
    result: "FuseResult",
    seconds: float,
) -> dict[str, Any]:
    return {
        "inputs": images,
        "skipped": {images[number]: reason for number, reason in result.skipped.items()},
        "method": str(options.method),
        "width": result.image.shape[1],
        "height": result.image.shape[0],
        "depth": 8 * result.image.itemsize,
        "seconds": round(seconds, 3),
        "apart": {
            images[number]: None if pixels is None else round(pixels, 1) for number, pixels in result.apart.items()
        },
        "motions": [_motion(images[number], motion) for number, motion in sorted(result.motions.items())],
        "output": str(output),
        **{name: str(path) for name, path in maps.items()},
    }


def _motion(image: str, motion: "FrameMotion") -> dict[str, Any]:
    return {
        "image": image,
        "shift": [round(float(pixels), 3) for pixels in motion.shift],
        "scale": round(float(motion.scale), 6),
        "rotation_degrees": round(float(motion.rotation_degrees), 4),
        "gain": round(float(motion.gain), 4),
        "bias": round(float(motion.bias), 5),
        "residual_before": round(float(motion.residual_before), 4),
        "residual_after": round(float(motion.residual_after), 4),
        "moved": motion.moved,
        "refused": motion.refused,
    }


def describe(summary: dict[str, Any]) -> str:
    """A summary for people: what went wrong, how the images lay, what was written."""
    lines = [f"skipped: {reason}" for reason in summary["skipped"].values()]
    lines += _hints(summary)
    for motion in summary["motions"]:
        x, y = motion["shift"]
        told = (
            f"shift {x:+.1f} {y:+.1f} px, scale {motion['scale']:.4f}, turn {motion['rotation_degrees']:+.2f} degrees, "
            f"residual {motion['residual_before']:.3f} -> {motion['residual_after']:.3f}"
        )
        verdict = f"left as it was: {motion['refused']}" if motion["refused"] else "" if motion["moved"] else "in place"
        lines.append(f"{Path(motion['image']).name}: {told}{f' ({verdict})' if verdict else ''}")
    count = len(summary["inputs"]) - len(summary["skipped"])
    lines.append(
        f"{summary['output']}: {count} images of {summary['width']}x{summary['height']}, {summary['method']}, "
        f"{summary['seconds']:.1f} s"
    )
    return "\n".join(lines)


def _hints(summary: dict[str, Any]) -> list[str]:
    """What to look at in the fused image, where images do not lie on the first one that could be read."""
    first = Path(next(name for name in summary["inputs"] if name not in summary["skipped"])).name
    apart: dict[str, float | None] = summary["apart"]
    hints = [
        f"hint: {Path(name).name} hardly resembles {first}. Is it of the same scene? If it lies far off, try --align."
        for name, pixels in apart.items()
        if pixels is None
    ]
    off = {name: pixels for name, pixels in apart.items() if pixels is not None}
    if off:
        names = list(off)
        which = f"{Path(names[0]).name} lies" if len(off) == 1 else f"{len(off)} of {len(summary['inputs'])} images lie"
        hints.append(
            f"hint: {which} up to {max(off.values()):.1f} pixels off {first}. Where edges come out double, add --align."
        )
    return hints
