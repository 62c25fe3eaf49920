"""The call all methods answer: images in their own type in; the fused image and, where there is one, its map out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, Protocol, Self, get_args

import torch
from torch import Tensor, nn

from mfif.errors import InputError
from mfif.fusion.levels import blend_bands, blend_levels, colour, from_unit, gain_of, to_unit
from mfif.fusion.refine import Refinement, refined
from mfif.fusion.scales import View, check_scales, log_odds, scales_of, score_of, scores_at
from mfif.fusion.self_ensemble import check_self_ensemble, mean_map
from mfif.fusion.tiles import Raster, Watch, as_tensor, bands, tiled, whole
from mfif.pair import binarize, luma

Precision = Literal["32", "bf16"]

_PART = 1024  # side in pixels of what is converted at once


def check_precision(precision: str) -> None:
    """Raise unless a precision is one that networks compute in here.

    Raises:
        InputError: It is none of the two.
    """
    if precision not in get_args(Precision):
        raise InputError(f"Expected `precision` to be 32 or bf16, got {precision!r}.")


class Fusion(NamedTuple):
    """What a method makes of its sources.

    Attributes:
        image: The fused image, in the shape, type and range of the sources.
        decision: The decision map ``(B, 1, H, W)``, 1 where the first source was taken; None where the method works
            without one.
    """

    image: Tensor
    decision: Tensor | None


class Method(Protocol):
    """What fuses: a `Fuser`, an `ImageFuser`, or whatever else answers this call."""

    def fuse(self, sources: Sequence[Tensor]) -> Fusion:
        """Fuse sources ``(B, C, H, W)`` of one shape and type: integers of full range, or floats in [0, 1].

        They are gray or RGB, with an alpha channel after those or none; it plays no part in the decision.
        """

    def to(self, device: torch.device | str) -> Self:
        """The same method on another device."""


@dataclass(frozen=True)
class Fuser:
    """A method that estimates a decision map of two sources, and selects by it.

    Args:
        estimator: ``(a, b) -> alpha`` on gray images ``(B, 1, H, W)`` in [0, 1]. What it may have besides:
            ``takes_colour``, true where it wants the images as they are;
            ``receptive_radius``, which allows tiles, and ``stride``, of which their beginnings are multiples then;
            ``focus(image)``, the degree of focus of one image, by which ``estimator(a, b)`` selects the larger;
            ``fuse(a, b)``, image and map at once, where the image is more than the blend by a continuous map;
            ``by_place``, true where it tells the sources by their place, not by what they show.
        threshold: Level at which the map is cut to zeros and ones; None keeps it continuous.
        refine: What is done to the thresholded map, given it and both sources as they are; see `mfif.fusion.refine`.
        tile: Side in pixels of the tiles that larger images are cut into, so that memory stays bounded; None takes
            every image whole, as do estimators without ``receptive_radius``.
        precision: What the network computes in: ``"32"``, or ``"bf16"`` for bfloat16 where autocast takes it, faster on
            hardware that has it. The map then differs in few pixels, and tiles agree with the whole only nearly.
        self_ensemble: In how many orientations the network sees the pair: 1, 2, 4 or 8, for as many times the time. The
            map is the mean, see `mfif.fusion.self_ensemble`.
        scales: In how many resolutions, each half of the former, a network looks at the pair; None takes as many as
            the size asks for. What it is not sure of at full resolution is decided by the others, see
            `mfif.fusion.scales`. A method without a network has one.
        gain: What levels are multiplied by before the estimator sees them; None takes the least that
            `mfif.fusion.levels.gain_of` says of the sources. Every pixel of the result is a source's all the same.
        watch: Is told of every tile that has been decided, in pixels.

    Raises:
        InputError: `tile` is not positive, or `precision` is none of the two, or not 32 for what is no network, or
            `self_ensemble` is none of the four, or not 1 for what is no network, and so `scales`, which is positive.
        ValueError: `refine` is given without a threshold.
    """

    estimator: Callable[[Tensor, Tensor], Tensor]
    threshold: float | None = 0.5
    refine: Refinement | None = None
    tile: int | None = 768
    precision: Precision = "32"
    self_ensemble: int = 1
    scales: int | None = 1
    gain: float | None = None
    watch: Watch | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_tile(self.tile)
        check_precision(self.precision)
        check_self_ensemble(self.self_ensemble)
        check_scales(self.scales)
        if self.precision != "32" and not self.has_network:
            raise InputError("Expected `precision` to be 32 for a method without a network. Leave it out.")
        if self.self_ensemble != 1 and not self.has_network:
            raise InputError("Expected `self_ensemble` to be 1 for a method without a network. Leave it out.")
        if self.scales not in (1, None) and not self.has_network:
            raise InputError("Expected `scales` to be 1 for a method without a network. Leave it out.")
        if self.refine is not None and self.threshold is None:
            raise ValueError("Expected `threshold` to be set where `refine` is: only a binary map is refined.")

    @property
    def has_network(self) -> bool:
        """Whether the estimator has weights."""
        return isinstance(self.estimator, nn.Module) and any(True for _ in self.estimator.parameters())

    def to(self, device: torch.device | str) -> "Fuser":
        """The same method on another device."""
        if not isinstance(self.estimator, nn.Module):
            return self
        return replace(self, estimator=self.estimator.to(device))

    def fuse(self, sources: Sequence[Tensor]) -> Fusion:
        """Fuse two sources, see `Method`. Integers are a source's value exactly wherever the map is 0 or 1.

        Raises:
            ValueError: The sources differ in shape or type, or floats lie outside of [0, 1].
            InputError: There are not two of them.
        """
        parts, decision = self.fuse_by_bands(sources)
        return Fusion(whole(parts, sources[0].shape[-2]), decision.float())

    def fuse_by_bands(self, sources: Sequence[Raster]) -> tuple[Iterator[Tensor], Tensor]:
        """Fuse two sources that may stay in files, as `fuse` does.

        Returns:
            The fused image band by band from the top, each computed when it is asked for, and the decision map
            ``(B, 1, H, W)``, of uint8 where it is one of zeros and ones.
        """
        check_sources(sources)
        if len(sources) != 2:
            raise InputError(wants_two(self.estimator, len(sources)))
        if self.gain is None:
            return self._in_range(sources).fuse_by_bands(sources)
        a, b = sources
        if self.threshold is None and hasattr(self.estimator, "fuse"):
            image, alpha = self._fuse_at_once(as_tensor(a), as_tensor(b))
            return iter([image]), alpha
        decision = self.refined(self._decided(a, b), a, b)
        return blend_bands(a, b, decision), decision

    def decision_map(self, a: Tensor, b: Tensor) -> Tensor:
        """Decide for each pixel.

        Args:
            a: First source, see `Method`.
            b: Second source, same shape.

        Returns:
            ``(B, 1, H, W)``; 1 where `a` is in focus. The result of tiles is that of the whole image.
        """
        if self.gain is None:
            return self._in_range([a, b]).decision_map(a, b)
        return self.refined(self._decided(a, b), a, b).float()

    def focus_bands(self, image: Raster) -> Iterator[Tensor] | None:
        """Degree of focus of one source, ``(B, 1, H, W)``, in bands; None where the method only compares two."""
        return self._bands(self._focus, image) if hasattr(self.estimator, "focus") else None

    def refined(self, decision: Tensor, a: Raster, b: Raster) -> Tensor:
        """A map of zeros and ones ``(B, 1, H, W)`` of two sources, refined if that is part of the method."""
        return decision if self.refine is None else refined(decision, a, b, self.refine)

    def _in_range(self, sources: Sequence[Raster]) -> "Fuser":
        return replace(self, gain=min(map(gain_of, sources)))

    def _decided(self, a: Raster, b: Raster) -> Tensor:
        scales = (self.scales or scales_of(*a.shape[-2:])) if self.has_network else 1
        if scales == 1:
            return whole(self._bands(self._decide, a, b), a.shape[-2])
        share = 1 / sum(4.0**-level for level in range(scales))
        watch = self.watch
        told = self if watch is None else replace(self, watch=lambda pixels: watch(pixels * share))
        score = scores_at(scales, a, b, self._view, told._score)
        if self.threshold is None:
            return score.float().sigmoid()
        return (score >= log_odds(self.threshold)).to(torch.uint8)

    def _score(self, view: View, a: Raster, b: Raster) -> Tensor:
        def score(a: Tensor, b: Tensor) -> Tensor:
            return score_of(self._alpha(view(a), view(b)))

        return whole(self._bands(score, a, b), a.shape[-2])

    def _decide(self, a: Tensor, b: Tensor) -> Tensor:
        alpha = self._alpha(self._view(a), self._view(b))
        return alpha if self.threshold is None else binarize(alpha, self.threshold).to(torch.uint8)

    @torch.no_grad()
    def _alpha(self, a: Tensor, b: Tensor) -> Tensor:
        with self._autocast(a):
            return mean_map(self.estimator, a, b, self.self_ensemble, getattr(self.estimator, "stride", 1))

    @torch.no_grad()
    def _focus(self, image: Tensor) -> Tensor:
        view = self._view(image)
        with self._autocast(image):
            focus: Tensor = self.estimator.focus(view)  # type: ignore[attr-defined]
        return focus.float()

    @torch.no_grad()
    def _fuse_at_once(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        image, decision = self.estimator.fuse(self._view(a), self._view(b))  # type: ignore[attr-defined]
        levels = from_unit(image / (self.gain or 1), a.dtype)
        channels = levels.shape[1]
        return torch.cat([levels, blend_levels(a[:, channels:], b[:, channels:], decision)], dim=1), decision

    def _autocast(self, image: Tensor) -> torch.autocast:
        return torch.autocast(image.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def _view(self, image: Tensor) -> Tensor:
        """What the estimator sees of an image, made part by part."""
        return tiled(self._view_of_part, [image], _PART, halo=0)

    def _view_of_part(self, image: Tensor) -> Tensor:
        unit = to_unit(colour(image)) * (self.gain or 1)
        return unit if getattr(self.estimator, "takes_colour", False) else luma(unit)

    def _bands(self, call: Callable[..., Tensor], *images: Raster) -> Iterator[Tensor]:
        halo, stride = getattr(self.estimator, "receptive_radius", None), getattr(self.estimator, "stride", 1)
        return bands(call, images, self.tile, halo, stride, self.watch)


@dataclass(frozen=True)
class IdealFuser:
    """Fuses by the true map: the reference point at the top, for synthesized pairs. An evaluation tells it the truth.

    Args:
        truth: The true decision map ``(B, 1, H, W)``.
    """

    truth: Tensor | None = None

    def to(self, device: torch.device | str) -> "IdealFuser":
        """The same method on another device."""
        return self if self.truth is None else IdealFuser(self.truth.to(device))

    def fuse(self, sources: Sequence[Tensor]) -> Fusion:
        """Fuse two sources, see `Method`.

        Raises:
            InputError: The truth is not known.
        """
        if self.truth is None:
            raise InputError("The true map is known of synthesized pairs alone.")
        a, b = sources
        return Fusion(blend_levels(a, b, self.truth), self.truth)


def check_sources(sources: Sequence[Raster]) -> None:
    """Raise unless there are at least two sources, all of one shape and type.

    Args:
        sources: Batches, see `Method`.

    Raises:
        ValueError: There are fewer, or they differ.
    """
    if len(sources) < 2:
        raise ValueError(f"Expected `images` to be at least two images, got {len(sources)}.")
    if len({(source.shape, source.dtype) for source in sources}) > 1:
        described = " and ".join(f"{tuple(source.shape)} {source.dtype}" for source in sources)
        raise ValueError(f"Expected `images` to have one size, number of channels and type, got {described}.")


def wants_two(estimator: object, count: int) -> str:
    """The error of an estimator that got another number of images."""
    return f"{type(estimator).__name__} takes two images, got {count}. Fuse two at a time."


def check_tile(tile: int | None) -> None:
    """Raise unless the side of tiles is positive, or None.

    Raises:
        InputError: It is not.
    """
    if tile is not None and tile < 1:
        raise InputError(f"Expected `tile` to be positive, got {tile}.")
