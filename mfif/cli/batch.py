"""A folder of pairs or of stacks, fused one after another."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

from mfif.cli.scene import MAPS, describe, fuse_files
from mfif.data.benchmarks import PairFolder
from mfif.errors import InputError
from mfif.images import find_images, find_pages


class Job(NamedTuple):
    """One scene of a batch.

    Attributes:
        name: Of the pair or the stack.
        images: Its sources.
        is_pair: Whether there have to be two of them.
    """

    name: str
    images: list[Path]
    is_pair: bool

    def path(self, folder: Path) -> Path:
        """Where a picture of this scene goes: a TIFF where the sources are, a PNG else."""
        ending = self.images[0].suffix.lower()
        return folder / f"{self.name}{ending if ending in ('.tif', '.tiff') else '.png'}"


def run_batch(folder: Path, options: argparse.Namespace) -> int:
    """Fuse every scene of a folder that has not been fused yet, and say at the end how it went.

    Args:
        folder: Of pairs, of subfolders that are stacks, or of both.
        options: What was said on the command line; its paths of outputs are folders.

    Returns:
        Exit status: 1 if a scene failed.

    Raises:
        InputError: There is no scene, or one failed and that is to stop the batch.
    """
    places = {name: place for name in MAPS if (place := getattr(options, name)) is not None}
    jobs = find_jobs(folder, {options.output, *places.values()})
    fused: list[dict[str, Any]] = []
    failed: dict[str, str] = {}
    for number, job in enumerate(jobs, start=1):
        if job.path(options.output).exists() and not options.force:
            continue
        try:
            fused.append(_fuse(job, places, options))
            told = describe(fused[-1])
        except InputError as error:
            if options.on_error == "stop":
                raise InputError(f"{job.name}: {error} Or leave it out with --on-error skip.") from error
            failed[job.name] = str(error)
            told = f"{job.name} failed: {error}"
        print(f"[{number}/{len(jobs)}] {told}", file=sys.stderr, flush=True)
    existing = len(jobs) - len(fused) - len(failed)
    if options.json:
        print(json.dumps({"fused": fused, "existing": existing, "failed": failed}, indent=2))
    else:
        print(f"{len(fused)} fused, {existing} there already, {len(failed)} failed; in {options.output}")
    return 1 if failed else 0


def _fuse(job: Job, places: dict[str, Path], options: argparse.Namespace) -> dict[str, Any]:
    if job.is_pair and len(job.images) != 2:
        names = ", ".join(path.name for path in job.images)
        raise InputError(f"Expected two images of the scene, got {names}. Add the partner or remove what is too much.")
    maps = {name: job.path(place) for name, place in places.items()}
    # A map without its image is what an interruption left.
    return fuse_files(job.images, job.path(options.output), maps, options, replace=True)


def find_jobs(folder: Path, outputs: set[Path]) -> list[Job]:
    """The scenes in a folder: pairs by their names, and as stacks subfolders with images and TIFFs of several pages.

    Args:
        folder: Where they are.
        outputs: Folders that are written to; they may be subfolders, but not the folder itself.

    Raises:
        InputError: There is none, or two have one name.
    """
    written = {path.resolve() for path in outputs}
    if folder.resolve() in written:
        raise InputError(f"Expected another folder for the output than {folder}, where the images are.")
    pairs = _pairs(folder)
    jobs = [job for name, paths in sorted(pairs.items()) for job in _jobs_of(name, paths)]
    sides = {path.parent for paths in pairs.values() for path in paths}
    stacks = sorted(path for path in folder.iterdir() if path.is_dir() and path.resolve() not in written)
    jobs += [Job(stack.name, frames, False) for stack in stacks if stack not in sides and (frames := _frames(stack))]
    if not jobs:
        raise InputError(f"Found neither pairs nor subfolders with images in {folder}. See mfif fuse --help.")
    names = [job.name for job in jobs]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(f"Both a pair and a subfolder of {folder} are named {twice[0]}. Rename one.")
    return jobs


def _jobs_of(name: str, paths: list[Path]) -> list[Job]:
    """The pair that files of one name are, after those of them that are stacks by themselves."""
    stacks = [path for path in paths if _is_stack(path)]
    pair = [path for path in paths if path not in stacks]
    return [Job(path.stem, [path], False) for path in stacks] + ([Job(name, pair, True)] if pair else [])


def _is_stack(path: Path) -> bool:
    try:
        return len(find_pages(path)) > 1
    except InputError:  # pages that are no stack: to be told when its turn comes
        return True


def _pairs(folder: Path) -> dict[str, list[Path]]:
    try:
        return PairFolder(str(folder)).find()
    except InputError:  # no image at its top
        return {}


def _frames(folder: Path) -> list[Path]:
    try:
        return find_images(folder)
    except InputError:  # no image
        return []
