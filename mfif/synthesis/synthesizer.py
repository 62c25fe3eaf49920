"""Synthesize training pairs: draw the parameters on the CPU, apply them where the photographs are."""

import math
from collections.abc import Sequence
from typing import NamedTuple, get_args

import torch
from torch import Generator, Tensor

from mfif.pair import FocusPair
from mfif.synthesis.compose import Boundary, compose
from mfif.synthesis.degrade import add_noise, compress, translate
from mfif.synthesis.kernels import blur, gaussian_kernels
from mfif.synthesis.sets import KernelSet, TemplateSet
from mfif.synthesis.transfer import send


class PairDraw(NamedTuple):
    """All that a batch of pairs depends on, small enough to travel.

    Attributes:
        crop: Index of each sample's photograph in the crop bank, ``(B,)``.
        kernel: Drawn parameters of the kernels, ``(B, ...)``.
        template: Drawn parameters of the templates, ``(B, ...)``.
        exchange: Whether the sources change places, bool ``(B,)``.
        noise: Standard deviation of the noise of each sample, ``(B,)``.
        background: Index of the photograph behind each sample's, ``(B,)``; its own where there is none.
        softness: Standard deviation in pixels of the blur of the whole scene, ``(B,)``.
        shift: How far the sources lie apart along y and x, in pixels, ``(B, 2)``.
        quality: JPEG quality of both sources, ``(B,)``; 0 where they are not compressed. Stays on the CPU.
        seed: Seed of the noise, which is drawn where it is added.
    """

    crop: Tensor
    kernel: Tensor
    template: Tensor
    exchange: Tensor
    noise: Tensor
    background: Tensor
    softness: Tensor
    shift: Tensor
    quality: Tensor
    seed: int

    def part(self, start: int, stop: int) -> "PairDraw":
        """The draw of some of the batch's pairs, with noise of its own."""
        return PairDraw._make([*(field[start:stop] for field in self[:-1]), self.seed + start])

    def pack(self) -> Tensor:
        """All that `to` moves as one tensor of numbers, from which `unpack` makes it anew."""
        return torch.cat([field.flatten().double() for field in self[:-2]])

    def unpack(self, packed: Tensor) -> "PairDraw":
        """The draw that was packed, of the same shapes and types as this one, on the device of `packed`."""
        parts = torch.split(packed, [field.numel() for field in self[:-2]])
        fields = [part.view(old.shape).to(old.dtype) for part, old in zip(parts, self[:-2], strict=True)]
        return PairDraw._make([*fields, self.quality, self.seed])

    def to(self, device: torch.device | str) -> "PairDraw":
        """The draw on a device, but for `quality`, whose bounds are read; Lightning moves batches by this."""
        return PairDraw._make([*(send(field, device) for field in self[:-2]), self.quality, self.seed])


class Synthesizer:
    """Turns indices of pairs into pairs.

    Pairs are enumerated, not stored: pair ``n`` of a bank of ``N`` crops is crop ``n // (T K)`` with template
    ``n // K % T`` and kernel ``n % K``, for ``T`` templates and ``K`` kernels; sets that draw at random count as one.

    Args:
        kernels: The blur kernels.
        templates: The focus templates.
        exchange: Whether the two sources change places at random, with probability one half.
        noise: Largest standard deviation of Gaussian noise added to both sources, in units of the range [0, 1]; each
            sample draws its own level uniformly from 0, and values are clipped. The sharp photograph stays clean.
        boundary: What happens where sharp and blurred parts meet: ``"selection"`` as in the paper, or ``"spread"``,
            where the blur of the foreground covers what lies beside it, or ``"occlusion"``, where it does so before
            another photograph alone (see `compose`).
        edge: Standard deviation in pixels of the Gaussian that softens the edges of the templates; 0 keeps them hard.
        backgrounds: Share of the pairs that have another photograph of the batch behind the foreground, with
            ``"spread"`` or ``"occlusion"`` (see `compose`).
        softness: Largest standard deviation in pixels of a Gaussian blur of the whole scene: few photographs are sharp
            to the pixel. Each sample draws its own uniformly from 0.
        shift: Largest distance in pixels, along each axis, by which the sources lie apart; each moves by half of it.
        jpeg: Smallest and largest JPEG quality of the sources; half of the samples are compressed. None spares all.
        rounded: Whether the sources have 256 levels, as files have; what is fainter then is no sign of focus.
        clean: Share of the pairs that `noise`, `softness`, `shift` and `jpeg` leave alone.
        margin: How much nearer to the scene the foreground's source must be for the true map to leave the template
            beside a foreground: its error below this share of the other's (see `compose`).

    Raises:
        ValueError: A number is negative, `boundary` is none of the three, `backgrounds` is no share or goes with
            ``"selection"``, `clean` or `margin` is no share, or `jpeg` is not made of qualities.

    Source: sec. 3.1 of Zeng et al., ICASSP 2020; what comes after `exchange` is ours.
    """

    def __init__(
        self,
        kernels: KernelSet,
        templates: TemplateSet,
        exchange: bool = True,
        noise: float = 0.0,
        boundary: Boundary = "selection",
        edge: float = 0.0,
        backgrounds: float = 0.0,
        softness: float = 0.0,
        shift: float = 0.0,
        jpeg: Sequence[int] | None = None,
        rounded: bool = False,
        clean: float = 0.0,
        margin: float = 1.0,
    ) -> None:
        for name, value in {"noise": noise, "edge": edge, "softness": softness, "shift": shift}.items():
            if value < 0:
                raise ValueError(f"Expected `{name}` to be zero or positive, got {value}.")
        if boundary not in get_args(Boundary):
            raise ValueError(f"Expected `boundary` to be 'selection', 'spread' or 'occlusion', got {boundary!r}.")
        if not 0 <= backgrounds <= 1 or (backgrounds and boundary == "selection"):
            raise ValueError(
                f"Expected `backgrounds` to be a share, and 0 with the boundary 'selection', got {backgrounds} with "
                f"{boundary!r}."
            )
        for name, value in {"clean": clean, "margin": margin}.items():
            if not 0 <= value <= 1:
                raise ValueError(f"Expected `{name}` to be a share, from 0 to 1, got {value}.")
        if jpeg is not None and (len(jpeg) != 2 or not 1 <= jpeg[0] <= jpeg[1] <= 100):
            raise ValueError(f"Expected `jpeg` to be two qualities, 1 <= low <= high <= 100, got {list(jpeg)}.")
        self.kernels = kernels
        self.templates = templates
        self.exchange = exchange
        self.noise = noise
        self.boundary: Boundary = boundary
        self.edge = edge
        self.backgrounds = backgrounds
        self.softness = softness
        self.shift = shift
        self.rounded = rounded
        self.clean = clean
        self.margin = margin
        self.jpeg = None if jpeg is None else (int(jpeg[0]), int(jpeg[1]))

    @property
    def pairs_per_crop(self) -> int:
        """Pairs in which each crop takes part once an epoch."""
        return self.templates.variants * self.kernels.variants

    def draw(self, pair: Tensor, generator: Generator) -> PairDraw:
        """Decide everything about a batch.

        Args:
            pair: Indices of pairs, ``(B,)`` in [0, crops * pairs_per_crop).
            generator: Source of all randomness, on the CPU.

        Returns:
            The draw, on the CPU.
        """
        count = len(pair)
        crop = pair // self.pairs_per_crop
        kernel = pair % self.kernels.variants
        template = pair // self.kernels.variants % self.templates.variants
        coin = torch.rand(count, generator=generator) < 0.5
        low, high = self.jpeg or (0, 0)
        draw = PairDraw(
            crop=crop,
            kernel=self.kernels.draw(kernel, generator),
            template=self.templates.draw(template, generator),
            exchange=coin & self.exchange,
            noise=self.noise * torch.rand(count, generator=generator),
            background=crop,
            softness=torch.zeros(count),
            shift=torch.zeros(count, 2),
            quality=torch.zeros(count),
            seed=int(torch.randint(2**62, (), generator=generator)),
        )
        # What follows costs as much as what precedes; where all of it is switched off, it is not drawn.
        if not (self.backgrounds or self.softness or self.shift or self.jpeg or (self.noise and self.clean)):
            return draw
        # Drawn last, so that what is switched off leaves the draws before it as they were.
        behind = torch.rand(count, generator=generator) < self.backgrounds
        compressed = torch.rand(count, generator=generator) < 0.5
        softness = self.softness * torch.rand(count, generator=generator)
        shift = self.shift * (2 * torch.rand(count, 2, generator=generator) - 1)
        quality = compressed * (low + (high - low) * torch.rand(count, generator=generator))
        degraded = torch.rand(count, generator=generator) >= self.clean
        return draw._replace(
            noise=draw.noise * degraded,
            background=torch.where(behind, crop.roll(1), crop),
            softness=softness * degraded,
            shift=shift * degraded[:, None],
            quality=quality * degraded,
        )

    def __call__(self, sharp: Tensor, draw: PairDraw, background: Tensor | None = None) -> FocusPair:
        """Apply a draw to photographs, on their device; one that is not square takes the centre of its template.

        Args:
            sharp: The draw's photographs, ``(B, C, H, W)`` in [0, 1].
            draw: What `draw` decided, moved to the device of `sharp` by its `to`.
            background: The draw's photographs behind those, same shape; None for the same.

        Returns:
            The pairs.
        """
        return self.expose(self.arrange(sharp, draw, background), draw)

    def arrange(self, sharp: Tensor, draw: PairDraw, background: Tensor | None = None) -> FocusPair:
        """The pairs as lenses show them, moved apart, before noise, compression and rounding; takes what a call takes.

        Every batch of a size takes the same kernels, whatever was drawn, and none of them waits for the device.
        """
        height, width = sharp.shape[-2:]
        side = max(height, width)
        top, left = (side - height) // 2, (side - width) // 2
        template = self._soften(self.templates.render(draw.template, side))
        template = template[..., top : top + height, left : left + width]
        if self.softness:
            size = 2 * math.ceil(3 * self.softness) + 1
            lens = gaussian_kernels(torch.full_like(draw.softness, size), draw.softness.clamp(min=1e-3), size)
            sharp = blur(sharp, lens)
            background = None if background is None else blur(background, lens)
        pair = compose(
            sharp,
            self.kernels.render(draw.kernel),
            template,
            draw.exchange,
            self.boundary,
            background if self.backgrounds else None,
            self.margin,
        )
        if not self.shift:
            return pair
        a, b = translate(pair.a, draw.shift / 2), translate(pair.b, -draw.shift / 2)
        return pair._replace(a=a, b=b, pristine_a=pair.a, pristine_b=pair.b)

    def expose(self, pair: FocusPair, draw: PairDraw) -> FocusPair:
        """The pairs as files hold them: with noise, compressed, rounded; and as they were."""
        if not (self.noise or self.jpeg or self.rounded):
            return pair
        a, b = pair.a, pair.b
        if self.noise:
            generator = torch.Generator(a.device).manual_seed(draw.seed)
            level = send(draw.noise, a.device)
            a, b = add_noise(a, level, generator), add_noise(b, level, generator)
        if self.jpeg:
            # Both in one pass of the codec, which is many small kernels.
            a, b = compress(torch.cat([a, b]), draw.quality.repeat(2)).chunk(2)
        if self.rounded:
            a, b = (a * 255).round() / 255, (b * 255).round() / 255
        pristine_a, pristine_b = pair.pristine
        return pair._replace(a=a, b=b, pristine_a=pristine_a, pristine_b=pristine_b)

    def _soften(self, template: Tensor) -> Tensor:
        if not self.edge:
            return template
        size = 2 * math.ceil(3 * self.edge) + 1
        sigma = torch.full((len(template),), self.edge, device=template.device)
        return blur(template, gaussian_kernels(torch.full_like(sigma, size), sigma, size))
