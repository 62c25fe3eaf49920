"""Frames that are moved onto one grid of pixels as they are read, so that a stack need not fit into memory."""

from collections.abc import Sequence
from typing import overload

from mfif.fusion.align import Border, Box, common_box, resample
from mfif.fusion.frames import Frames, to_batch
from mfif.fusion.rasters import Scratch
from mfif.fusion.registration import FrameMotion, Image, Model, choose_reference, register
from mfif.fusion.tiles import Raster


class AlignedFrames:
    """Frames by their numbers, aligned to the one that is most like all others, or of two to the first.

    Args:
        frames: Surveyed frames, arrays or paths.
        numbers: Which of them, at least two.
        model: What motions to allow, see `mfif.fusion.registration.register`.
        border: ``"crop"`` to what all frames cover, or ``"fill"`` with the nearest pixel of the frame.
        exposure: Whether frames are brought to the brightness of the one they are aligned to.
        scratch: Where aligned frames wait for their use; None leaves them in memory.

    Attributes:
        motions: What was found for each frame, by its number.

    Raises:
        ValueError: The frames cover nothing together, or are of a kind that cannot be aligned.
        TypeError: Frames are tensors.
    """

    def __init__(
        self,
        frames: Frames,
        numbers: Sequence[int],
        model: Model,
        border: Border = "crop",
        exposure: bool = False,
        scratch: Scratch | None = None,
    ) -> None:
        arrays = _Arrays(frames, numbers)
        reference = choose_reference(arrays)
        motions = register(arrays, reference, model)
        height, width = arrays[reference].shape[:2]
        self.motions: dict[int, FrameMotion] = dict(zip(numbers, motions, strict=True))
        self._box = common_box(motions, height, width) if border == "crop" else Box(0, 0, height, width)
        self._frames, self._exposure, self._scratch = frames, exposure, scratch

    def __getitem__(self, number: int) -> Raster:
        """An aligned frame as ``(1, C, H, W)``."""
        moved = resample(self._frames.array(number), self.motions[number], self._box, self._exposure)
        frame = to_batch(moved).to(self._frames.device)
        return frame if self._scratch is None else self._scratch([frame], len(moved))


class _Arrays(Sequence[Image]):
    """Frames as arrays, read when asked for."""

    def __init__(self, frames: Frames, numbers: Sequence[int]) -> None:
        self._frames, self._numbers = frames, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, position: int) -> Image: ...
    @overload
    def __getitem__(self, position: slice) -> Sequence[Image]: ...
    def __getitem__(self, position: int | slice) -> Image | Sequence[Image]:
        if isinstance(position, slice):
            return _Arrays(self._frames, self._numbers[position])
        return self._frames.array(self._numbers[position])
