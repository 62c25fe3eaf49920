"""Synthesize training pairs: draw the parameters on the CPU, apply them where the photographs are."""

import math
from typing import NamedTuple, get_args

import torch
from torch import Generator, Tensor

from mfif.pair import FocusPair
from mfif.synthesis.compose import Boundary, compose
from mfif.synthesis.kernels import blur, gaussian_kernels
from mfif.synthesis.sets import KernelSet, TemplateSet


class PairDraw(NamedTuple):
    """All that a batch of pairs depends on, small enough to travel.

    Attributes:
        crop: Index of each sample's photograph in the crop bank, ``(B,)``.
        kernel: Drawn parameters of the kernels, ``(B, ...)``.
        template: Drawn parameters of the templates, ``(B, ...)``.
        exchange: Whether the sources change places, bool ``(B,)``.
        noise: Standard deviation of the noise of each sample, ``(B,)``.
        seed: Seed of the noise, which is drawn where it is added.
    """

    crop: Tensor
    kernel: Tensor
    template: Tensor
    exchange: Tensor
    noise: Tensor
    seed: int

    def part(self, start: int, stop: int) -> "PairDraw":
        """The draw of some of the batch's pairs, with noise of its own."""
        crop, kernel, template, exchange, noise, seed = self
        part = slice(start, stop)
        return PairDraw(crop[part], kernel[part], template[part], exchange[part], noise[part], seed + start)


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
            where the blur of the foreground covers what lies beside it (see `compose`).
        edge: Standard deviation in pixels of the Gaussian that softens the edges of the templates; 0 keeps them hard.

    Raises:
        ValueError: `noise` or `edge` is negative, or `boundary` is neither of the two.

    Source: sec. 3.1 of Zeng et al., ICASSP 2020; the noise and the soft edge are ours.
    """

    def __init__(
        self,
        kernels: KernelSet,
        templates: TemplateSet,
        exchange: bool = True,
        noise: float = 0.0,
        boundary: Boundary = "selection",
        edge: float = 0.0,
    ) -> None:
        for name, value in {"noise": noise, "edge": edge}.items():
            if value < 0:
                raise ValueError(f"Expected `{name}` to be zero or positive, got {value}.")
        if boundary not in get_args(Boundary):
            raise ValueError(f"Expected `boundary` to be 'selection' or 'spread', got {boundary!r}.")
        self.kernels = kernels
        self.templates = templates
        self.exchange = exchange
        self.noise = noise
        self.boundary: Boundary = boundary
        self.edge = edge

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
        kernel = pair % self.kernels.variants
        template = pair // self.kernels.variants % self.templates.variants
        coin = torch.rand(len(pair), generator=generator) < 0.5
        return PairDraw(
            crop=pair // self.pairs_per_crop,
            kernel=self.kernels.draw(kernel, generator),
            template=self.templates.draw(template, generator),
            exchange=coin & self.exchange,
            noise=self.noise * torch.rand(len(pair), generator=generator),
            seed=int(torch.randint(2**62, (), generator=generator)),
        )

    def __call__(self, sharp: Tensor, draw: PairDraw) -> FocusPair:
        """Apply a draw to photographs, on their device; one that is not square takes the centre of its template.

        Args:
            sharp: The draw's photographs, ``(B, C, H, W)`` in [0, 1].
            draw: What `draw` decided, on the device of `sharp`.

        Returns:
            The pairs.
        """
        height, width = sharp.shape[-2:]
        side = max(height, width)
        top, left = (side - height) // 2, (side - width) // 2
        template = self._soften(self.templates.render(draw.template, side))
        template = template[..., top : top + height, left : left + width]
        pair = compose(sharp, self.kernels.render(draw.kernel), template, draw.exchange, self.boundary)
        return self._add_noise(pair, draw) if self.noise else pair

    def _soften(self, template: Tensor) -> Tensor:
        if not self.edge:
            return template
        size = 2 * math.ceil(3 * self.edge) + 1
        sigma = torch.full((len(template),), self.edge, device=template.device)
        return blur(template, gaussian_kernels(torch.full_like(sigma, size), sigma, size))

    def _add_noise(self, pair: FocusPair, draw: PairDraw) -> FocusPair:
        generator = torch.Generator(pair.a.device).manual_seed(draw.seed)
        level = draw.noise[:, None, None, None]
        noisy = [
            (source + level * torch.randn(source.shape, generator=generator, device=source.device)).clamp(0, 1)
            for source in (pair.a, pair.b)
        ]
        return pair._replace(a=noisy[0], b=noisy[1])
