"""Paths, arrays and tensors as the batches that methods take, and results in the layout of those."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mfif.errors import InputError
from mfif.fusion.rasters import FileRaster, OpaqueRaster, Scratch, with_alpha
from mfif.fusion.stack import Portrait, portray
from mfif.fusion.tiles import Raster, as_tensor
from mfif.images import Metadata, Page, find_pages, open_strips, read_photo

Image = Tensor | NDArray[Any] | str | Path | Page
OnError = Literal["raise", "skip"]


class Frames:
    """Images by their number, read when they are asked for: files again each time, but for the last two.

    Args:
        images: By their numbers: paths, pages of files, arrays ``(H, W)`` or ``(H, W, C)``, or tensors ``(C, H, W)`` or
            ``(B, C, H, W)``; C is 1 for gray, 3 for RGB, and one more with an alpha channel.
        device: Where their batches are wanted.
        scratch: Where images of files wait that cannot be read by parts; None reads all of them into memory.

    Attributes:
        metadata: What the first file that can be read carries beside its pixels.
        pixels: Of one of the images, once surveyed.

    Raises:
        ValueError: There are fewer than two.
    """

    def __init__(self, images: Mapping[int, Image], device: torch.device, scratch: Scratch | None = None) -> None:
        if len(images) < 2:
            raise ValueError(f"Expected `images` to be at least two images, got {len(images)}.")
        self.images = images
        self.device = device
        self.metadata = Metadata()
        self.pixels = 0
        self._channels = 0
        self._scratch = scratch
        self._read = lru_cache(maxsize=2)(self._read_anew)

    def survey(
        self, on_error: OnError, look: Callable[[int, Raster], None] | None = None
    ) -> tuple[dict[int, Portrait], dict[int, str]]:
        """Read every image once.

        Args:
            on_error: Whether an image that cannot be read stops all, or is skipped.
            look: Is shown the number and the pixels of every image that can be read, all of one kind.

        Returns:
            Portraits of the images that can be read, and what is wrong with the others, by their numbers.

        Raises:
            InputError: An image cannot be read, or with ``"skip"`` all but one.
            ValueError: Images differ in size, type, or in being gray or RGB.
            TypeError: An image is of a kind that cannot be fused.
        """
        portraits: dict[int, Portrait] = {}
        skipped: dict[int, str] = {}
        kinds: dict[str, int] = {}
        for number in self.images:
            try:
                frame, metadata = self._read(number)
                portrait = portray(frame, of_pair=len(self.images) == 2)
            except InputError as error:
                if on_error == "raise":
                    raise
                skipped[number] = str(error)
                continue
            kinds.setdefault(_describe(frame), number)
            if len(kinds) > 1:
                described = " and ".join(f"{self._name(number)} of {kind}" for kind, number in kinds.items())
                raise ValueError(
                    f"Expected `images` to have one size, number of channels and type, got {described}. "
                    "Crop or convert them alike first; resizing one would blur it."
                )
            if look is not None:
                look(number, frame)
            self.pixels = frame.shape[-2] * frame.shape[-1]
            self._channels = max(self._channels, frame.shape[1])
            self.metadata = self.metadata if portraits else metadata
            portraits[number] = portrait
        if len(portraits) < 2:
            reasons = " ".join(skipped.values())
            raise InputError(f"Expected at least two images that can be read, got {len(portraits)}. {reasons}")
        return portraits, skipped

    def __getitem__(self, number: int) -> Raster:
        """An image as ``(B, C, H, W)``, once surveyed; opaque where it has no alpha channel and another one has."""
        frame, _ = self._read(number)
        if frame.shape[1] == self._channels:
            return frame
        return with_alpha(frame) if isinstance(frame, Tensor) else OpaqueRaster(frame)

    def _read_anew(self, number: int) -> tuple[Raster, Metadata]:
        image = self.images[number]
        if not isinstance(image, str | Path | Page):
            return to_batch(image).to(self.device), Metadata()
        if self._scratch is None:
            pixels, metadata = read_photo(image)
            return to_batch(pixels).to(self.device), metadata
        strips = open_strips(Path(image) if isinstance(image, str) else image)
        if strips is not None:
            kind = torch.from_numpy(np.empty(0, strips.dtype)).dtype
            return FileRaster(strips.read, strips.shape, kind, self.device), strips.metadata
        pixels, metadata = read_photo(image)
        return self._scratch([to_batch(pixels)], len(pixels)), metadata

    def array(self, number: int) -> NDArray[Any]:
        """An image as an array ``(H, W)`` or ``(H, W, C)``, once surveyed.

        Raises:
            TypeError: It is a tensor.
        """
        if isinstance(self.images[number], Tensor):
            raise TypeError("Expected `images` to be arrays or paths where they are aligned, got tensors.")
        array: NDArray[Any] = self.image_like(number, as_tensor(self[number]))  # type: ignore[assignment]
        return array

    def image_like(self, number: int, image: Tensor) -> Tensor | NDArray[Any]:
        """A fused image ``(B, C, H, W)`` in the layout of an image, an array for a path."""
        like = self.images[number]
        if isinstance(like, Tensor):
            return (image if like.ndim == 4 else image[0]).to(like.device)
        array = image[0].movedim(0, -1).cpu().numpy()
        in_plane = array.shape[2] == 1 and not (isinstance(like, np.ndarray) and like.ndim == 3)
        return np.ascontiguousarray(array[..., 0] if in_plane else array)

    def map_like(self, number: int, values: Tensor | None) -> Tensor | NDArray[Any] | None:
        """A map ``(B, 1, H, W)`` as ``(H, W)`` for an array or a path, or in the layout of a tensor."""
        like = self.images[number]
        if values is None:
            return None
        if isinstance(like, Tensor):
            return (values if like.ndim == 4 else values[0]).to(like.device)
        return values[0, 0].cpu().numpy()

    def _name(self, number: int) -> str:
        image = self.images[number]
        return str(image) if isinstance(image, str | Path | Page) else f"image {number}"


def each_page(images: Sequence[Image] | str | Path) -> list[Image]:
    """The images, or those of one file; each page of a file with several is one.

    Raises:
        InputError: The pages of a file differ in more than depth.
    """
    named = [images] if isinstance(images, str | Path) else images
    return [page for image in named for page in (find_pages(Path(image)) if isinstance(image, str | Path) else [image])]


def to_batch(image: Tensor | NDArray[Any]) -> Tensor:
    """An array or a tensor as a tensor ``(B, C, H, W)`` that shares its memory where that is possible.

    Raises:
        ValueError: Its shape is not that of an image.
        TypeError: It is neither, or of a type that cannot be fused.
    """
    if isinstance(image, Tensor):
        batch = image if image.ndim == 4 else image[None]
    elif isinstance(image, np.ndarray):
        array = np.require(image[..., None] if image.ndim == 2 else image, requirements=["C", "W"])
        batch = torch.from_numpy(array).movedim(-1, 0)[None]
    else:
        raise TypeError(f"Expected `images` to be paths, arrays or tensors, got {type(image).__name__}.")
    if batch.ndim != 4 or not 1 <= batch.shape[1] <= 4 or 0 in batch.shape:
        raise ValueError(
            "Expected `images` to be arrays (H, W) or (H, W, C), or tensors (C, H, W) or (B, C, H, W), with C = 1 or "
            f"3, or one more with an alpha channel, got shape {tuple(image.shape)}."
        )
    if not batch.dtype.is_floating_point and batch.dtype not in (torch.uint8, torch.uint16):
        raise TypeError(f"Expected `images` to be uint8, uint16 or floating point, got {batch.dtype}.")
    return batch


def _describe(frame: Raster) -> str:
    batch, channels, height, width = frame.shape
    of_batch = f"{batch} x " if batch > 1 else ""
    kind = str(frame.dtype).removeprefix("torch.")
    return f"{of_batch}{width}x{height} pixels, {'RGB' if channels > 2 else 'gray'}, {kind}"
