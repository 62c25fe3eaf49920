"""Fuse any number of frames, in an order that their content alone decides."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, pad

from mfif.fusion.fusers import Fuser, Method
from mfif.fusion.image_fusers import ImageFuser
from mfif.fusion.levels import blend_bands, colour, gain_of_part, to_unit
from mfif.fusion.tiles import Keep, Raster, as_tensor, bands, whole
from mfif.pair import luma

_CELLS = 32  # along each side of an image, in which the energy of the Laplacian is compared
_LEAST_ENERGY = 1e-12  # of a cell, below which there is none to share
_TILE = 1024  # side in pixels of what is compared at once
_PORTRAYED = 2**18  # pixels that are portrayed at once


class Portrait(NamedTuple):
    """What is kept of a frame to find its place among the others.

    Attributes:
        digest: Of its pixels.
        energy: Energy of its Laplacian in each of the cells it is divided into, float64; empty for one of a pair.
        gain: What its levels are multiplied by, see `mfif.fusion.levels.gain_of`.
    """

    digest: bytes
    energy: Tensor
    gain: float


@dataclass(frozen=True)
class StackFusion:
    """What a stack is fused to.

    Attributes:
        bands: The fused image ``(B, C, H, W)`` of the type and range of the frames, band by band from the top, each
            computed when it is asked for: to be taken once.
        shape: Of the whole image.
        dtype: Of its values.
        decision: Where there are two frames, the decision map ``(B, 1, H, W)``, 1 where the one of the lower number
            was taken, of uint8 if it is one of zeros and ones; None with more, or where the method works without one.
        index: Number of the frame that each pixel came from, or that has the largest weight in it, ``(B, 1, H, W)``
            int16; None where the method works without maps, or it was not asked for.
        order: Numbers of the frames, by the depth they are focused at.
    """

    bands: Iterable[Tensor]
    shape: torch.Size
    dtype: torch.dtype
    decision: Tensor | None
    index: Tensor | None
    order: list[int]

    def image(self) -> Tensor:
        """The bands put together."""
        return whole(self.bands, self.shape[-2])


@dataclass(frozen=True)
class _Layer:
    """A frame, or what several were fused to.

    Attributes:
        image: Its pixels.
        index: Number of the frame with the largest weight in a pixel; None where nobody asks, or there are no maps.
        weight: That weight.
        focus: Degree of focus, where the method knows it of one image.
    """

    image: Raster
    index: Raster | None
    weight: Raster | None
    focus: Raster | None


def portray(frame: Raster, of_pair: bool = False) -> Portrait:
    """Read a frame ``(B, C, H, W)``, see `mfif.fusion.fusers.Method`, for `focus_order`; part by part.

    Args:
        frame: The frame.
        of_pair: Whether there is only one other, so that nothing lies between them, and the digest is enough.
    """
    digest = hashlib.sha256(repr((frame.shape, frame.dtype)).encode())
    energies, gains = [], []
    height, width = frame.shape[-2:]
    rows = -(-height // _CELLS)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        parts = range(top, bottom, max(_PORTRAYED // width, 1))
        sums = []
        for first in parts:
            part = frame[..., first : min(first + parts.step, bottom), :]
            digest.update(part.contiguous().cpu().numpy().tobytes())
            gains.append(gain_of_part(part))
            if not of_pair:
                sums.append(_laplacian_energy(part).double().cpu() * part.shape[-2])
        if sums:
            energies.append(torch.stack(sums).sum(0) / (bottom - top))
    energy = torch.cat(energies).flatten() if energies else torch.empty(0)
    return Portrait(digest.digest(), energy, min(gains))


def _laplacian_energy(part: Tensor) -> Tensor:
    """Mean energy of the Laplacian in each of `_CELLS` parts of the width."""
    gray = luma(to_unit(colour(part)))
    framed = pad(gray, (1, 1, 1, 1), mode="replicate")
    beside = framed[..., 1:-1, :-2] + framed[..., 1:-1, 2:] + framed[..., :-2, 1:-1] + framed[..., 2:, 1:-1]
    return adaptive_avg_pool2d((beside - 4 * gray) ** 2, (1, _CELLS))


def focus_order(portraits: Mapping[int, Portrait]) -> list[int]:
    """Order frames by the depth they are focused at, so that neighbours in focus are neighbours in the order.

    Frames are alike as far as they are the sharper ones in the same cells, and those alike come next to each other.
    Which end comes first, and what comes first where nothing tells frames apart, is decided by digests. So the order
    depends on nothing but the frames.

    Args:
        portraits: Of at least two frames of one shape, by their numbers.

    Returns:
        The numbers.

    Source: Atkins, Boman, Hendrickson, "A spectral algorithm for seriation and the consecutive ones problem", SIAM
    Journal on Computing 28(1), 1998.
    """
    by_digest = sorted(portraits, key=lambda number: portraits[number].digest)
    if len(by_digest) == 2:  # nothing lies between them, also where a pair is what is left of a stack
        return by_digest
    energy = torch.stack([portraits[number].energy for number in by_digest])
    # A high power, so that cells count in which a frame stands out, and not the many that are blurred in all of them.
    # Half of what makes it a cosine, for a frame that is sharp in much would be like all others. Both are those that
    # order seven real stacks, and most of 21 made of known depth, as their depth does.
    shares = (energy / energy.sum(0).clamp(min=_LEAST_ENERGY)) ** 4
    alike = shares @ shares.T
    own = alike.diag().clamp(min=torch.finfo(alike.dtype).tiny) ** 0.25
    alike = alike / (own[:, None] * own)
    fiedler = torch.linalg.eigh(alike.sum(1).diag() - alike).eigenvectors[:, 1]
    place = fiedler * fiedler[fiedler.abs().argmax()].sign()
    return [by_digest[position] for position in place.argsort(stable=True).tolist()]


def fuse_stack(
    load: Callable[[int], Raster],
    portraits: Mapping[int, Portrait],
    method: Method,
    keep: Keep = whole,
    indexed: bool = True,
) -> StackFusion:
    """Fuse frames in their `focus_order`, so that the result does not depend on how they are numbered.

    A method of pairs fuses neighbours, then the results of neighbours, and so on; so only about log2 of their number
    are held at a time. Where it knows the degree of focus of one image, that is what is compared on the way, and
    each pixel comes from the frame with the largest. Other methods get all frames at once.

    Args:
        load: Gives the frame of a number, ``(B, C, H, W)``, see `mfif.fusion.fusers.Method`; called once for each.
        portraits: Of at least two frames, all of one shape and type, by their numbers.
        method: What fuses. One that tells sources by their place gets them in the order of `portraits`.
        keep: How images and maps that are needed on the way are held: in memory, unless told otherwise.
        indexed: Whether the index is wanted.

    Returns:
        The fusion.

    Raises:
        InputError: The method takes no more than two frames.
    """
    if isinstance(method, Fuser | ImageFuser) and method.gain is None:
        method = replace(method, gain=min(portrait.gain for portrait in portraits.values()))
    by_place = _trait(method, "by_place")
    order = list(portraits) if by_place else focus_order(portraits)
    if len(order) == 2:
        return _fuse_two(load, order, method, indexed)
    if by_place or not _of_pairs(method):
        sources = [load(number) for number in order]
        parts, _ = _fused(sources, method)
        return StackFusion(parts, sources[0].shape, sources[0].dtype, None, None, order)
    fold = _Fold(load, method, keep, indexed)
    a, b = fold.halves(order)
    parts, decision = fold.joined(a, b)
    index = fold.labelled(_index, a, b, decision, whole)
    index = None if index is None else as_tensor(index)
    return StackFusion(parts, a.image.shape, a.image.dtype, None, index, order)


def calls_of(method: Method, count: int) -> int:
    """How often `fuse_stack` has a method look at the whole of what it is given, for so many frames."""
    if not _of_pairs(method):
        return 1
    return count if count > 2 and _trait(method, "focus") else count - 1  # one at a time, or two


def _of_pairs(method: Method) -> bool:
    return isinstance(method, Fuser) or _trait(method, "pairwise")


def _trait(method: Method, name: str) -> bool:
    return bool(getattr(getattr(method, "estimator", None), name, False))


def _fused(sources: Sequence[Raster], method: Method) -> tuple[Iterable[Tensor], Tensor | None]:
    """Image, in bands, and map of sources; methods of others get them whole."""
    if isinstance(method, Fuser | ImageFuser):
        return method.fuse_by_bands(sources)
    image, decision = method.fuse(list(map(as_tensor, sources)))
    return [image], decision


def _fuse_two(load: Callable[[int], Raster], order: list[int], method: Method, indexed: bool) -> StackFusion:
    a, b = (load(number) for number in order)
    parts, decision = _fused([a, b], method)
    index = None
    if decision is not None:
        first, second = (torch.tensor(number, dtype=torch.int16, device=decision.device) for number in order)
        index = torch.where(decision >= 0.5, first, second) if indexed else None
        decision = decision if first < second else 1 - decision
    return StackFusion(parts, a.shape, a.dtype, decision, index, order)


@dataclass(frozen=True)
class _Fold:
    """How frames become layers, and two layers one; the attributes are the arguments of `fuse_stack`."""

    load: Callable[[int], Raster]
    method: Method
    keep: Keep
    indexed: bool

    def halves(self, order: Sequence[int]) -> tuple[_Layer, _Layer]:
        middle = len(order) // 2
        return self.layer(order[:middle]), self.layer(order[middle:])

    def layer(self, order: Sequence[int]) -> _Layer:
        if len(order) == 1:
            return self._leaf(order[0])
        a, b = self.halves(order)
        parts, decision = self.joined(a, b)
        image = self.keep(parts, a.image.shape[-2])
        index, weight = (self.labelled(call, a, b, decision, self.keep) for call in (_index, _weight))
        focus = None
        if a.focus is not None and b.focus is not None and decision is not None:
            focus = self.keep(bands(_chosen, [a.focus, b.focus, decision], _TILE, 0), decision.shape[-2])
        return _Layer(image, index, weight, focus)

    def _leaf(self, number: int) -> _Layer:
        image = self.load(number)
        focus = self.method.focus_bands(image) if isinstance(self.method, Fuser) else None
        kept = None if focus is None else self.keep(focus, image.shape[-2])
        if not self.indexed:
            return _Layer(image, None, None, kept)
        shape = (image.shape[0], 1, *image.shape[-2:])  # of one value, which takes no room
        index = torch.tensor(number, dtype=torch.int16).expand(shape)
        return _Layer(image, index, torch.ones(()).expand(shape), kept)

    def joined(self, a: _Layer, b: _Layer) -> tuple[Iterable[Tensor], Tensor | None]:
        """Image, in bands, and map of two layers."""
        if not isinstance(self.method, Fuser) or a.focus is None or b.focus is None:
            return _fused([a.image, b.image], self.method)
        decision = whole(bands(_at_least, [a.focus, b.focus], _TILE, 0), a.image.shape[-2])
        decision = self.method.refined(decision, a.image, b.image)
        return blend_bands(a.image, b.image, decision), decision

    def labelled(
        self, call: Callable[..., Tensor], a: _Layer, b: _Layer, decision: Tensor | None, keep: Keep
    ) -> Raster | None:
        """What a function makes of index and weight of two layers and their map, if there are such."""
        if decision is None or a.index is None or b.index is None or a.weight is None or b.weight is None:
            return None
        maps = [a.index, a.weight, b.index, b.weight, decision]
        return keep(bands(call, maps, _TILE, 0), decision.shape[-2])


def _at_least(a: Tensor, b: Tensor) -> Tensor:
    return (a >= b).to(torch.uint8)


def _chosen(a: Tensor, b: Tensor, decision: Tensor) -> Tensor:
    return torch.where(decision >= 0.5, a, b)


def _index(index_a: Tensor, weight_a: Tensor, index_b: Tensor, weight_b: Tensor, decision: Tensor) -> Tensor:
    index_a, weight_a, index_b, weight_b = (each.to(decision.device) for each in (index_a, weight_a, index_b, weight_b))
    return torch.where(decision * weight_a >= (1 - decision) * weight_b, index_a, index_b)


def _weight(index_a: Tensor, weight_a: Tensor, index_b: Tensor, weight_b: Tensor, decision: Tensor) -> Tensor:
    weight_a, weight_b = weight_a.to(decision.device), weight_b.to(decision.device)
    return torch.maximum(decision * weight_a, (1 - decision) * weight_b)
