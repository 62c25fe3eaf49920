"""Fuse pairs of any size: a method, a threshold, and tiles that change nothing."""

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import hydra
import numpy as np
import torch
from numpy.typing import NDArray
from omegaconf import OmegaConf
from torch import Tensor, nn

import mfif.models
from mfif.config import CONFIG_DIR
from mfif.errors import InputError, suggest
from mfif.images import read_image
from mfif.pair import binarize, blend, luma

Image = Tensor | NDArray[Any] | str | Path


@dataclass(frozen=True)
class Fuser:
    """A method ready to fuse.

    Args:
        estimator: ``(a, b) -> alpha`` on gray images ``(B, 1, H, W)`` in [0, 1]. Its attribute ``receptive_radius``,
            if it has one, allows tiles.
        threshold: Level at which the map is cut to zeros and ones; None keeps it continuous.
        refine: What is done to the thresholded map.
        tile: Side in pixels of the tiles that larger images are cut into, so that memory stays bounded; None takes
            every image whole, as do estimators without ``receptive_radius``.

    Raises:
        InputError: `tile` is not positive.
        ValueError: `refine` is given without a threshold.
    """

    estimator: Callable[[Tensor, Tensor], Tensor]
    threshold: float | None = 0.5
    refine: Callable[[Tensor], Tensor] | None = None
    tile: int | None = 512

    def __post_init__(self) -> None:
        if self.tile is not None and self.tile < 1:
            raise InputError(f"Expected `tile` to be positive, got {self.tile}.")
        if self.refine is not None and self.threshold is None:
            raise ValueError("Expected `threshold` to be set where `refine` is: only a binary map is refined.")

    def to(self, device: torch.device | str) -> "Fuser":
        """The same method on another device."""
        if not isinstance(self.estimator, nn.Module):
            return self
        return replace(self, estimator=self.estimator.to(device))

    @torch.inference_mode()
    def decision_map(self, a: Tensor, b: Tensor) -> Tensor:
        """Decide for each pixel.

        Args:
            a: First source, ``(B, 1 or 3, H, W)`` in [0, 1].
            b: Second source, same shape.

        Returns:
            ``(B, 1, H, W)``; 1 where `a` is in focus. The result of tiles is that of the whole image.
        """
        alpha = self._estimate(luma(a), luma(b))
        if self.threshold is None:
            return alpha
        decision = binarize(alpha, self.threshold)
        return decision if self.refine is None else self.refine(decision)

    def _estimate(self, a: Tensor, b: Tensor) -> Tensor:
        halo = getattr(self.estimator, "receptive_radius", None)
        height, width = a.shape[-2:]
        if self.tile is None or halo is None or max(height, width) <= self.tile:
            return self.estimator(a, b)
        alpha = torch.empty_like(a)
        for top in range(0, height, self.tile):
            for left in range(0, width, self.tile):
                # The halo ends at the border of the image, where the whole image would be padded just the same.
                above, before = max(top - halo, 0), max(left - halo, 0)
                window = (..., slice(above, top + self.tile + halo), slice(before, left + self.tile + halo))
                part = self.estimator(a[window], b[window])
                inner = (
                    ...,
                    slice(top - above, top - above + self.tile),
                    slice(left - before, left - before + self.tile),
                )
                alpha[..., top : top + self.tile, left : left + self.tile] = part[inner]
        return alpha

    def __call__(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Fused image, shape and range of the sources, and decision map ``(B, 1, H, W)`` of two sources in [0, 1]."""
        alpha = self.decision_map(a, b)
        return blend(a, b, alpha), alpha


def load(checkpoint_or_name: str | Path, device: torch.device | str = "cpu") -> Fuser:
    """Load a method to fuse with.

    Args:
        checkpoint_or_name: A checkpoint of ``train.py``, or a name of the ``method`` group (see `method_names`).
        device: Where it shall run.

    Returns:
        The method: thresholded at 0.5 where the name does not say otherwise, not refined.

    Raises:
        InputError: There is no such file or name, or the file is no checkpoint of ours.
    """
    path = Path(checkpoint_or_name)
    if path.is_file():
        return Fuser(load_network(path)).to(device)
    name = str(checkpoint_or_name)
    if name in method_names():
        node = OmegaConf.load(CONFIG_DIR / "method" / f"{name}.yaml")
        method: Fuser = hydra.utils.instantiate(node, _convert_="all")
        return method.to(device)
    if path.suffix or len(path.parts) > 1:
        raise InputError(f"There is no checkpoint at {path}. Train one with: python train.py experiment=quick.")
    raise InputError(
        f"There is no method {name!r} and no such checkpoint.{suggest(name, method_names())} "
        f"Methods: {', '.join(method_names())}."
    )


def method_names() -> list[str]:
    """Names of the ``method`` group that need no checkpoint."""
    return sorted(path.stem for path in (CONFIG_DIR / "method").glob("*.yaml") if path.stem != "checkpoint")


def load_network(checkpoint: Path) -> nn.Module:
    """Build the network of a checkpoint and load its weights; nothing in the file is executed.

    Args:
        checkpoint: A file written by ``train.py``.

    Returns:
        The network, in evaluation mode, on the CPU.

    Raises:
        InputError: The file is no checkpoint of ours, or its weights do not fit the network it names.
    """
    content = read_checkpoint(checkpoint)
    try:
        node = dict(content["hyper_parameters"]["configuration"]["network"])
        prefix = "network."
        weights = {
            key.removeprefix(prefix): value for key, value in content["state_dict"].items() if key.startswith(prefix)
        }
    except (KeyError, TypeError, ValueError) as error:
        raise _no_checkpoint(checkpoint) from error
    # A checkpoint names its network. Only ours are built, so that a file from elsewhere cannot name anything else.
    package, _, name = str(node.pop("_target_", "")).rpartition(".")
    if package != mfif.models.__name__ or name not in mfif.models.__all__:
        known = ", ".join(mfif.models.__all__)
        raise InputError(f"Expected {checkpoint} to name a network of mfif.models ({known}), got {name!r}.")
    try:
        network: nn.Module = getattr(mfif.models, name)(**node)
        network.load_state_dict(weights)
    except (RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"The weights in {checkpoint} do not fit the network it names, {name}: {reason[:300]} "
            "It was written by another version, or changed since."
        ) from error
    return network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Content of a checkpoint; nothing in the file is executed.

    Raises:
        InputError: The file is no checkpoint.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, OSError, RuntimeError, EOFError, KeyError, TypeError, ValueError) as error:
        raise _no_checkpoint(path) from error
    if not isinstance(content, dict) or "state_dict" not in content:
        raise _no_checkpoint(path)
    return content


def _no_checkpoint(path: Path) -> InputError:
    return InputError(
        f"Expected {path} to be a checkpoint written by train.py, but it cannot be read as one. "
        "Name a file such as runs/.../checkpoints/best.ckpt."
    )


def choose_device(device: str) -> torch.device:
    """The device of a name; ``auto`` is a GPU if there is one.

    Raises:
        InputError: The device is not there.
    """
    if device == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return accelerator or torch.device("cpu")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"Expected `device` to be one of this machine, got {device!r}. Try auto or cpu.") from error
    return torch.device(device)


def fuse(
    images: Sequence[Image],
    method: str | Path | Fuser,
    *,
    device: str = "auto",
) -> tuple[Any, NDArray[np.float32] | Tensor]:
    """Fuse two images of one scene into one that is sharp everywhere.

    Args:
        images: Two images: paths, arrays ``(H, W)`` or ``(H, W, 3)``, or tensors ``(1 or 3, H, W)`` or
            ``(B, 1 or 3, H, W)``. Integers of 8 or 16 bit have their full range, floats lie in [0, 1].
        method: A name of the ``method`` group, a checkpoint, or what `load` returned.
        device: Where to compute; ``auto`` is a GPU if there is one.

    Returns:
        The fused image, in the type, range and layout of the sources (an array for paths), and the decision map, 1
        where the first image was taken: ``(H, W)`` float32 for arrays and paths, ``(1, H, W)`` or ``(B, 1, H, W)`` for
        tensors. Where the map is 0 or 1 the fused image has the source's value exactly.

    Raises:
        InputError: An image cannot be read, or the method cannot be loaded.
        ValueError: There are not two images, or they differ in shape or type.
        TypeError: An image is of a kind that cannot be fused.

    Example:
        >>> a, b = np.zeros((8, 8), np.uint8), np.full((8, 8), 9, np.uint8)
        >>> image, decision_map = fuse([a, b], method="mean")
        >>> image.dtype, image[0, 0], decision_map.shape
        (dtype('uint8'), np.uint8(4), (8, 8))
    """
    if len(images) != 2:
        raise ValueError(f"Expected `images` to be two images, got {len(images)}.")
    sources = [read_image(image) if isinstance(image, str | Path) else image for image in images]
    place = choose_device(device)
    a, b = (_to_batch(source).to(place) for source in sources)
    if a.shape != b.shape or a.dtype != b.dtype:
        described = " and ".join(f"{tuple(batch.shape)} {batch.dtype}" for batch in (a, b))
        raise ValueError(f"Expected `images` to have one size, number of channels and type, got {described}.")
    fuser = method if isinstance(method, Fuser) else load(method)
    alpha = fuser.to(place).decision_map(_to_unit(a), _to_unit(b))
    fused = blend_levels(a, b, alpha)
    return _like(sources[0], fused), _map_like(sources[0], alpha)


def blend_levels(a: Tensor, b: Tensor, alpha: Tensor) -> Tensor:
    """Fuse sources in their own type; integers are rounded, and exact wherever the map is 0 or 1."""
    if a.dtype.is_floating_point:
        return blend(a, b, alpha.to(a.dtype))
    return blend(a.double(), b.double(), alpha.double()).round().to(a.dtype)


def _to_unit(batch: Tensor) -> Tensor:
    if batch.dtype.is_floating_point:
        low, high = batch.aminmax()
        if not (low >= 0 and high <= 1):
            raise ValueError(
                f"Expected floating-point `images` to lie in [0, 1], got values from {low:g} to {high:g}. "
                "Divide by their white level, or pass integers."
            )
        return batch.float()
    return batch.float() / torch.iinfo(batch.dtype).max


def _to_batch(image: Tensor | NDArray[Any]) -> Tensor:
    if isinstance(image, Tensor):
        batch = image if image.ndim == 4 else image[None]
    elif isinstance(image, np.ndarray):
        array = np.ascontiguousarray(image)
        batch = torch.from_numpy(array[..., None] if array.ndim == 2 else array).movedim(-1, 0)[None]
    else:
        raise TypeError(f"Expected `images` to be paths, arrays or tensors, got {type(image).__name__}.")
    if batch.ndim != 4 or batch.shape[1] not in (1, 3) or 0 in batch.shape:
        raise ValueError(
            "Expected `images` to be arrays (H, W) or (H, W, 3), or tensors (1 or 3, H, W) or (B, 1 or 3, H, W), "
            f"got shape {tuple(image.shape)}."
        )
    if not batch.dtype.is_floating_point and batch.dtype not in (torch.uint8, torch.uint16):
        raise TypeError(f"Expected `images` to be uint8, uint16 or floating point, got {batch.dtype}.")
    return batch


def _like(source: Tensor | NDArray[Any], fused: Tensor) -> Tensor | NDArray[Any]:
    if isinstance(source, Tensor):
        return fused.reshape(source.shape).to(source.device)
    return fused[0].movedim(0, -1).cpu().numpy().reshape(source.shape)


def _map_like(source: Tensor | NDArray[Any], alpha: Tensor) -> Tensor | NDArray[np.float32]:
    if isinstance(source, Tensor):
        return (alpha if source.ndim == 4 else alpha[0]).to(source.device)
    return alpha[0, 0].cpu().numpy()
