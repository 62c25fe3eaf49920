"""Sources of sharp photographs, and the bank of crops that training draws from."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mfif.data.download import fetch_dataset
from mfif.errors import InputError
from mfif.images import find_images, image_size, read_image
from mfif.pair import luma

log = logging.getLogger(__name__)

Split = Literal["train", "val"]
OnBadPhoto = Literal["stop", "skip"]


class Photos(Protocol):
    """A source of sharp photographs."""

    def paths(self, split: Split) -> list[Path]:
        """The photographs to train on or to validate with; no photograph is in both."""


class LibraryPhotos:
    """Photographs that ship inside scikit-image and scikit-learn: nothing is downloaded.

    Eleven to train on, three to validate with. They are few; any real training wants a folder of more.

    Raises:
        InputError: scikit-learn is not installed.
    """

    # Chosen for being in focus throughout or nearly so. The three textures and the two micrographs are gray or stained,
    # yet teach what sharp looks like.
    _TRAIN = (
        "skimage/astronaut.png",
        "skimage/brick.png",
        "skimage/camera.png",
        "skimage/coffee.png",
        "skimage/grass.png",
        "skimage/gravel.png",
        "skimage/hubble_deep_field.jpg",
        "skimage/ihc.png",
        "skimage/motorcycle_left.png",
        "skimage/page.png",
        "sklearn/flower.jpg",
    )
    _VAL = ("skimage/chelsea.png", "skimage/rocket.jpg", "sklearn/china.jpg")

    def paths(self, split: Split) -> list[Path]:
        """The library photographs of a split."""
        folders = {"skimage": _package_folder("skimage") / "data"}
        if find_spec("sklearn") is None:
            raise InputError("Library photographs need scikit-learn. Install it with: pip install 'mfif[demo]'.")
        folders["sklearn"] = _package_folder("sklearn") / "datasets" / "images"
        names = self._TRAIN if split == "train" else self._VAL
        return [folders[package] / name for package, name in (entry.split("/") for entry in names)]


def _package_folder(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise InputError(f"Library photographs need the package {package}. Install it with: pip install 'mfif[demo]'.")
    return Path(spec.origin).parent


class FolderPhotos:
    """Every image directly in a folder.

    Args:
        root: The folder.
        holdout: Share of the photographs kept for validation, at least one; taken evenly over the sorted names.
        val_root: A folder of photographs for validation instead; then all of `root` trains.

    Raises:
        InputError: A folder is missing or has too few images.
    """

    def __init__(self, root: str, holdout: float = 0.1, val_root: str | None = None) -> None:
        if not 0 < holdout < 1:
            raise ValueError(f"Expected `holdout` to be between 0 and 1, got {holdout}.")
        self.root = Path(root)
        self.val_root = None if val_root is None else Path(val_root)
        self.holdout = holdout

    def paths(self, split: Split) -> list[Path]:
        """The photographs of a split."""
        if self.val_root is not None:
            return find_images(self.root if split == "train" else self.val_root)
        images = find_images(self.root)
        if len(images) < 2:
            raise InputError(
                f"Expected at least 2 photographs in {self.root}, one to validate with, got 1. "
                "Add some, or name a second folder with photos.val_root=DIR."
            )
        count = max(1, round(self.holdout * len(images)))
        held_out = {round((index + 0.5) * len(images) / count - 0.5) for index in range(count)}
        return [path for index, path in enumerate(images) if (index in held_out) == (split == "val")]


class Div2kPhotos:
    """DIV2K, fetched from its public address on first use: 800 photographs to train on, 100 to validate with.

    The licence is for academic research only.

    Args:
        root: Where the downloads lie or shall lie; 3.5 GB and 0.4 GB, about twice that with the extracted images.

    Source: Agustsson and Timofte, CVPR Workshops 2017.
    """

    def __init__(self, root: str = "data") -> None:
        self.root = Path(root)

    def paths(self, split: Split) -> list[Path]:
        """The photographs of a split."""
        return find_images(fetch_dataset("div2k_train" if split == "train" else "div2k_valid", self.root))


def crop_bank(
    paths: Sequence[Path],
    count: int,
    size: int,
    *,
    seed: int,
    colour: bool = False,
    flips: bool = False,
    reduction: float = 1.0,
    on_bad_photo: OnBadPhoto = "stop",
) -> Tensor:
    """Cut random square crops out of photographs, as many from each as the count allows.

    Args:
        paths: The photographs. 16-bit ones are reduced to 8 bit.
        count: Number of crops.
        size: Side of a crop in pixels. Photographs with a shorter side are passed over, with a warning.
        seed: Seed of the positions; a photograph's crops depend on it and on the photograph's rank in `paths` alone.
        colour: Whether crops are RGB; else gray by `mfif.pair.luma`.
        flips: Whether each crop is turned by quarters and mirrored at random, in one of the eight ways.
        reduction: Largest factor by which photographs are reduced, as far as they are large enough. Each crop draws its
            own from 1, log-uniformly; the window is so much larger, and is resampled with an antialiasing filter.
        on_bad_photo: Whether a photograph that cannot be read stops the run or is passed over, with a warning.

    Returns:
        ``(count, 1 or 3, size, size)``, uint8.

    Raises:
        InputError: No photograph is large enough, or one cannot be read.
    """
    usable = [path for path in paths if _large_enough(path, size, on_bad_photo)]
    if not usable:
        raise InputError(
            f"Expected a photograph of at least {size}x{size} px to cut crops from, but none of the {len(paths)} is. "
            "Take smaller crops (data.crop) or larger photographs."
        )
    # Crop n comes from photograph n modulo their number, so that any stretch of the bank mixes photographs.
    places = [range(rank, count, len(usable)) for rank in range(len(usable))]
    bank = torch.empty(count, 3 if colour else 1, size, size, dtype=torch.uint8)

    def cut(rank: int) -> bool:
        photo = _load_photo(usable[rank], colour, on_bad_photo)
        if photo is None:
            return False
        rng = np.random.default_rng([seed, rank])
        for place in places[rank]:
            bank[place] = _cut(photo, size, rng, flips, reduction)
        return True

    with ThreadPoolExecutor() as pool:
        readable = list(pool.map(cut, range(len(usable))))
    if all(readable):
        return bank
    rest = [path for path, good in zip(usable, readable, strict=True) if good]
    return crop_bank(
        rest, count, size, seed=seed, colour=colour, flips=flips, reduction=reduction, on_bad_photo=on_bad_photo
    )


def _cut(photo: Tensor, size: int, rng: np.random.Generator, flips: bool, reduction: float) -> Tensor:
    window = size
    if reduction > 1:
        window = min(round(size * reduction ** rng.random()), *photo.shape[1:])
    top, left = (int(rng.integers(side - window + 1)) for side in photo.shape[1:])
    crop = photo[:, top : top + window, left : left + window]
    if window > size:
        reduced = F.interpolate(crop[None].float(), (size, size), mode="bilinear", antialias=True)
        crop = reduced[0].round().to(torch.uint8)
    if flips:
        mirrored, quarters = divmod(int(rng.integers(8)), 4)
        crop = (crop.mT if mirrored else crop).rot90(quarters, (-2, -1))
    return crop


def _large_enough(path: Path, size: int, on_bad_photo: OnBadPhoto) -> bool:
    try:
        height, width = image_size(path)
    except InputError as error:
        _stop_or_warn(error, on_bad_photo)
        return False
    if min(height, width) < size:
        log.warning("Passed over %s: it is %dx%d px, smaller than a crop of %d.", path, width, height, size)
    return min(height, width) >= size


def _load_photo(path: Path, colour: bool, on_bad_photo: OnBadPhoto) -> Tensor | None:
    try:
        pixels = read_image(path)
    except InputError as error:
        _stop_or_warn(error, on_bad_photo)
        return None
    if pixels.dtype == np.uint16:
        pixels = (pixels / 257).round().astype(np.uint8)
    photo = torch.from_numpy(np.array(pixels)).reshape(*pixels.shape[:2], -1).permute(2, 0, 1)
    if colour:
        return photo.expand(3, -1, -1)
    return luma(photo[None].float())[0].round().to(torch.uint8)


def _stop_or_warn(error: InputError, on_bad_photo: OnBadPhoto) -> None:
    if on_bad_photo == "stop":
        raise InputError(f"{error} Or pass such photographs over with data.on_bad_photo=skip.") from error
    log.warning("Passed over a photograph: %s", error)
