"""Fuse any number of frames, in an order that their content alone decides."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, pad

from mfif.fusion.fusers import Fuser, Method
from mfif.fusion.levels import blend_levels, colour, to_unit
from mfif.pair import luma

_CELLS = 32  # along each side of an image, in which the energy of the Laplacian is compared
_LEAST_ENERGY = 1e-12  # of a cell, below which there is none to share


class Portrait(NamedTuple):
    """What is kept of a frame to find its place among the others.

    Attributes:
        digest: Of its pixels.
        energy: Energy of its Laplacian in each of the cells it is divided into, float64.
    """

    digest: bytes
    energy: Tensor


@dataclass(frozen=True)
class StackFusion:
    """What a stack is fused to.

    Attributes:
        image: The fused image, in the shape, type and range of the frames.
        decision: Where there are two frames, the decision map ``(B, 1, H, W)``, 1 where the one of the lower number
            was taken; None with more, or where the method works without one.
        index: Number of the frame that each pixel came from, or that has the largest weight in it, ``(B, 1, H, W)``
            int16; None where the method works without maps.
        order: Numbers of the frames, by the depth they are focused at.
    """

    image: Tensor
    decision: Tensor | None
    index: Tensor | None
    order: list[int]


@dataclass(frozen=True)
class _Layer:
    """A frame, or what several were fused to; of a single one, number and weight are single values.

    Attributes:
        image: Its pixels.
        index: Number of the frame with the largest weight in a pixel.
        weight: That weight.
        focus: Degree of focus, where the method knows it of one image.
    """

    image: Tensor
    index: Tensor
    weight: Tensor
    focus: Tensor | None


def portray(frame: Tensor) -> Portrait:
    """Read a frame ``(B, C, H, W)``, see `mfif.fusion.fusers.Method`, for `focus_order`; in strips, to spare memory."""
    digest = hashlib.sha256(repr((frame.shape, frame.dtype)).encode())
    energies = []
    for strip in torch.split(frame, -(-frame.shape[-2] // _CELLS), dim=-2):
        digest.update(strip.contiguous().cpu().numpy().tobytes())
        gray = luma(to_unit(colour(strip)))
        framed = pad(gray, (1, 1, 1, 1), mode="replicate")
        beside = framed[..., 1:-1, :-2] + framed[..., 1:-1, 2:] + framed[..., :-2, 1:-1] + framed[..., 2:, 1:-1]
        energies.append(adaptive_avg_pool2d((beside - 4 * gray) ** 2, (1, _CELLS)))
    return Portrait(digest.digest(), torch.cat(energies).double().flatten().cpu())


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
    energy = torch.stack([portraits[number].energy for number in by_digest])
    # Squares, so that cells count in which a frame stands out, and not the many that are blurred in all of them.
    shares = (energy / energy.sum(0).clamp(min=_LEAST_ENERGY)) ** 2
    alike = shares @ shares.T
    fiedler = torch.linalg.eigh(alike.sum(1).diag() - alike).eigenvectors[:, 1]
    place = fiedler * fiedler[fiedler.abs().argmax()].sign()
    return [by_digest[position] for position in place.argsort(stable=True).tolist()]


def fuse_stack(load: Callable[[int], Tensor], portraits: Mapping[int, Portrait], method: Method) -> StackFusion:
    """Fuse frames in their `focus_order`, so that the result does not depend on how they are numbered.

    A method of pairs fuses neighbours, then the results of neighbours, and so on; so only about log2 of their number
    are in memory at a time. Where it knows the degree of focus of one image, that is what is compared on the way, and
    each pixel comes from the frame with the largest. Other methods get all frames at once.

    Args:
        load: Gives the frame of a number, ``(B, C, H, W)``, see `mfif.fusion.fusers.Method`; called once for each.
        portraits: Of at least two frames, all of one shape and type, by their numbers.
        method: What fuses. One that tells sources by their place gets them in the order of `portraits`.

    Returns:
        The fusion.

    Raises:
        InputError: The method takes no more than two frames.
    """
    by_place = _trait(method, "by_place")
    order = list(portraits) if by_place else focus_order(portraits)
    if len(order) == 2:
        return _fuse_two(load, order, method)
    if by_place or not (isinstance(method, Fuser) or _trait(method, "pairwise")):
        return StackFusion(method.fuse([load(number) for number in order]).image, None, None, order)
    folded = _fold(load, order, method)
    # Without maps the number of the first leaf is all that is there.
    return StackFusion(folded.image, None, folded.index if folded.index.ndim else None, order)


def _trait(method: Method, name: str) -> bool:
    return getattr(getattr(method, "estimator", None), name, False)


def _fuse_two(load: Callable[[int], Tensor], order: list[int], method: Method) -> StackFusion:
    image, decision = method.fuse([load(number) for number in order])
    if decision is None:
        return StackFusion(image, None, None, order)
    first, second = (torch.tensor(number, dtype=torch.int16, device=decision.device) for number in order)
    index = torch.where(decision >= 0.5, first, second)
    return StackFusion(image, decision if first < second else 1 - decision, index, order)


def _fold(load: Callable[[int], Tensor], order: Sequence[int], method: Method) -> _Layer:
    if len(order) > 1:
        middle = len(order) // 2
        return _merge(_fold(load, order[:middle], method), _fold(load, order[middle:], method), method)
    image = load(order[0])
    number = torch.tensor(order[0], dtype=torch.int16, device=image.device)
    focus = method.focus_map(image) if isinstance(method, Fuser) else None
    return _Layer(image, number, torch.ones((), device=image.device), focus)


def _merge(a: _Layer, b: _Layer, method: Method) -> _Layer:
    focus = None
    if not isinstance(method, Fuser) or a.focus is None or b.focus is None:
        image, decision = method.fuse([a.image, b.image])
    else:
        decision = method.refined((a.focus >= b.focus).to(a.focus.dtype), a.image, b.image)
        image = blend_levels(a.image, b.image, decision)
        focus = torch.where(decision >= 0.5, a.focus, b.focus)
    if decision is None:
        return _Layer(image, a.index, a.weight, None)
    share, rest = decision * a.weight, (1 - decision) * b.weight
    return _Layer(image, torch.where(share >= rest, a.index, b.index), torch.maximum(share, rest), focus)
