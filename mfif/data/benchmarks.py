"""Pairs to evaluate on: real ones in a folder, and synthesized ones with a known truth."""

import re
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mfif.data.photos import Photos
from mfif.errors import InputError, suggest
from mfif.images import Pixels, find_images, read_image
from mfif.synthesis import PairDraw, Synthesizer


class BenchmarkPair(NamedTuple):
    """A pair to fuse, and the truth where it is known.

    Attributes:
        name: Names the pair in tables and files.
        a: First source, ``(1, 1 or 3, H, W)``, uint8 or uint16.
        b: Second source, same shape and type.
        sharp: The photograph in focus everywhere, same shape and type, or None.
        alpha: The true decision map ``(1, 1, H, W)``, or None.
    """

    name: str
    a: Tensor
    b: Tensor
    sharp: Tensor | None = None
    alpha: Tensor | None = None


PairLoader = Callable[[], BenchmarkPair]

_PAIR_NAME = re.compile(r"(?P<scene>.*?)[-_ .]?(?P<side>[AaBb12])")
_SUBFOLDERS = (("A", "B"), ("a", "b"), ("source_1", "source_2"), ("source1", "source2"), ("1", "2"))


class PairFolder:
    """Real pairs in a folder.

    Two layouts are understood: ``scene-A.png`` beside ``scene-B.png`` (also with 1 and 2, any of ``-_ .`` or nothing
    between, any format), or two subfolders (A and B, or source_1 and source_2) with equal names.

    Args:
        root: The folder.
        name: Where `root` has a subfolder of this name, that is meant; without `root`, ``data/NAME``.
        scenes: The only pairs to take; None takes all.
    """

    def __init__(self, root: str | None, name: str | None = None, scenes: Sequence[str] | None = None) -> None:
        if root is None and name is None:
            raise InputError("Expected a folder of pairs. Name it with benchmark.root=DIR.")
        self.root = Path(root) if root is not None else Path("data")
        if name is not None and (root is None or (self.root / name).is_dir()):
            self.root = self.root / name
        self.scenes = scenes
        self.hint = f" `make data` fetches {name} into data/{name}." if name in ("lytro", "grayscale") else ""

    def pairs(self) -> list[tuple[str, PairLoader]]:
        """Name of each pair, sorted, and what loads it; loading raises `InputError` where the pair cannot be used.

        Raises:
            InputError: The folder is missing, has no image, or lacks one of the scenes asked for.
        """
        try:
            found = self.find()
        except InputError as error:
            raise InputError(f"{error}{self.hint}") from error
        wanted = sorted(found) if self.scenes is None else self.scenes
        for name in wanted:
            if name not in found:
                raise InputError(f"There is no pair {name!r} in {self.root}.{suggest(name, found)}{self.hint}")
        return [(name, _loader(name, found[name])) for name in wanted]

    def find(self) -> dict[str, list[Path]]:
        """Images of each scene by its name: two, where nothing is missing or too much.

        Raises:
            InputError: The folder is missing, or has no image.
        """
        scenes: dict[str, list[Path]] = {}
        for first, second in _SUBFOLDERS:
            if (self.root / first).is_dir() and (self.root / second).is_dir():
                for side in (first, second):
                    for path in find_images(self.root / side):
                        scenes.setdefault(path.stem, []).append(path)
                return scenes
        for path in find_images(self.root):
            match = _PAIR_NAME.fullmatch(path.stem)
            scenes.setdefault(match["scene"] if match else path.stem, []).append(path)
        return scenes


def _loader(name: str, paths: Sequence[Path]) -> PairLoader:
    def load() -> BenchmarkPair:
        if len(paths) != 2:
            listed = ", ".join(path.name for path in paths)
            raise InputError(
                f"Expected two images of the scene {name!r}, named {name}-A and {name}-B, got {listed} in "
                f"{paths[0].parent}. Add the partner or remove what does not belong."
            )
        a, b = (read_image(path) for path in paths)
        if a.shape != b.shape or a.dtype != b.dtype:
            described = " and ".join(_describe(path, pixels) for path, pixels in zip(paths, (a, b), strict=True))
            raise InputError(f"Expected a pair of one size, colour and depth, got {described}. Align and convert them.")
        return BenchmarkPair(name, to_batch(a), to_batch(b))

    return load


def _describe(path: Path, pixels: Pixels) -> str:
    height, width = pixels.shape[:2]
    return f"{path.name} {width}x{height} {'gray' if pixels.ndim == 2 else 'RGB'} {pixels.dtype}"


def to_batch(pixels: Pixels) -> Tensor:
    """Pixels ``(H, W)`` or ``(H, W, 3)`` as a tensor ``(1, 1 or 3, H, W)`` of their type."""
    array = pixels[..., None] if pixels.ndim == 2 else pixels
    return torch.from_numpy(np.array(array)).movedim(-1, 0)[None]


def to_pixels(batch: Tensor) -> Pixels:
    """Inverse of `to_batch`."""
    pixels: Pixels = batch[0].movedim(0, -1).squeeze(-1).numpy()
    return pixels


class SyntheticPairs:
    """Pairs made of whole validation photographs, with the truth beside them.

    Args:
        photos: Where the photographs come from; those of its validation split are taken.
        synthesizer: What is done to them.
        per_photo: Pairs made of each photograph.
        seed: What the draws depend on.
        enlarged: How many times photographs are enlarged along each side before that, bicubically: soft pictures of
            many pixels.

    Raises:
        ValueError: `per_photo` or `enlarged` is not positive.
    """

    def __init__(
        self, photos: Photos, synthesizer: Synthesizer, per_photo: int = 2, seed: int = 0, enlarged: int = 1
    ) -> None:
        for name, value in {"per_photo": per_photo, "enlarged": enlarged}.items():
            if value < 1:
                raise ValueError(f"Expected `{name}` to be positive, got {value}.")
        self.enlarged = enlarged
        self.photos = photos
        self.synthesizer = synthesizer
        self.per_photo = per_photo
        self.seed = seed

    def pairs(self) -> list[tuple[str, PairLoader]]:
        """Name of each pair and what makes it."""
        paths = self.photos.paths("val")
        generator = torch.Generator().manual_seed(self.seed)
        draws = self.synthesizer.draw(torch.arange(len(paths) * self.per_photo), generator)
        makers: list[tuple[str, PairLoader]] = []
        for index, (place, turn) in enumerate(product(range(len(paths)), range(self.per_photo))):
            name, behind = f"{paths[place].stem}-{turn + 1}", paths[place - 1]
            makers.append((name, partial(self._make, name, paths[place], behind, draws.part(index, index + 1))))
        return makers

    def _make(self, name: str, path: Path, behind: Path, draw: PairDraw) -> BenchmarkPair:
        photo = to_batch(read_image(path))
        white = torch.iinfo(photo.dtype).max
        background = _fitted(to_batch(read_image(behind)), photo) if self.synthesizer.backgrounds else photo
        units = [image.float() / torch.iinfo(image.dtype).max for image in (photo, background)]
        scene, rear = map(self._enlarge, units)
        pair = self.synthesizer(scene, draw, rear)
        a, b, sharp = ((image * white).round().to(photo.dtype) for image in (pair.a, pair.b, pair.sharp))
        return BenchmarkPair(name, a, b, sharp, pair.alpha)

    def _enlarge(self, image: Tensor) -> Tensor:
        if self.enlarged == 1:
            return image
        return F.interpolate(image, scale_factor=float(self.enlarged), mode="bicubic").clamp(0, 1)


def _fitted(image: Tensor, like: Tensor) -> Tensor:
    """An image in the size and channels of another: turned, repeated at its border and cut, as it needs."""
    height, width = like.shape[-2:]
    if (image.shape[-2] < image.shape[-1]) != (height < width):
        image = image.mT
    image = image[..., torch.arange(height) % image.shape[-2], :][..., torch.arange(width) % image.shape[-1]]
    return image[:, :1].expand(-1, like.shape[1], -1, -1) if image.shape[1] != like.shape[1] else image
