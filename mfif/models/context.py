"""Two streams at half resolution whose map is decided in a wide context."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mfif.models.two_stream import ResidualBlock, Stream, complement_exactly, draw_weights


class PairConv(nn.Conv2d):
    """A 3x3 layer on the features of two sources side by side, in one order and the other.

    Args:
        width: Feature maps of a source.
        outputs: Feature maps that it gives.
        context: Further maps, of each order, beside those of the sources.
    """

    def __init__(self, width: int, outputs: int, context: int = 0) -> None:
        super().__init__(2 * width + context, outputs, kernel_size=3, padding=1)
        self.parts = [width, width, context]

    def forward(self, sources: Tensor, context: Tensor | None = None) -> Tensor:
        """Features ``(2 B, outputs, H, W)``, of all pairs in their order and then of all in the other.

        Args:
            sources: Features of all first sources, then of all second ones, ``(2 B, width, H, W)``.
            context: Maps of all pairs in their order and then of all in the other, ``(2 B, context, H, W)``.
        """
        # Parts of the weights on parts of the input, whose copies side by side would cost a third of the layer.
        first, second, rest = torch.split(self.weight, self.parts, dim=1)
        other = F.conv2d(sources, second, padding=1).chunk(2)
        features = F.conv2d(sources, first, self.bias, padding=1).add_(torch.cat(other[::-1]))
        return features if context is None else features.add_(F.conv2d(context, rest, padding=1))


class Detail(nn.Module):
    """A last look at full resolution: what the sources show of each pixel, beside what their surroundings say of it.

    Args:
        width: Feature maps, even; half as many come from the surroundings.
        bias: Whether the score has a bias.
    """

    def __init__(self, width: int, bias: bool) -> None:
        super().__init__()
        self.input = nn.Conv2d(1, width, kernel_size=3, padding=1)
        self.block = ResidualBlock(width)
        self.g = PairConv(width, width, width // 2)
        self.alpha = nn.Conv2d(width, 1, kernel_size=3, padding=1, bias=bias)

    def forward(self, sources: Tensor, guess: Tensor) -> Tensor:
        """Scores ``(2 B, 1, H, W)`` of all pairs in their order and then of all in the other.

        Args:
            sources: All first sources, then all second ones, ``(2 B, 1, H, W)``.
            guess: Of each order a score, which is added to, and further maps, ``(2 B, 1 + width / 2, H, W)``.
        """
        score, maps = guess[:, :1], guess[:, 1:]
        features = self.block(self.input(sources).relu_())
        corrected: Tensor = score + self.alpha(self.g(features, maps).relu_())
        return corrected


class ContextTwoStream(nn.Module):
    """Latent decision map of a pair of gray images, by two shared streams and the coarse context of their features.

    The streams, the merging of low- and high-level features and the map are those of `mfif.models.TwoStream`. What
    differs serves smooth regions, which only their surroundings can decide, at a cost a CPU can bear:

    - The streams see blocks of 2x2 pixels as four channels, and the last layer gives four values of the map for each:
      twice the width and field of view at the same cost.
    - The mean of both sources around each pixel is taken off them first: focus shows in what remains.
    - With `detail`, the map is drawn at full resolution, from a few features of its own and what was decided so far.
    - Their features also go, at 1/4, 1/8, ... of the resolution, through residual blocks and back up, each level added
      to the one above; the result joins the features on the way to G.

    Args:
        width: Feature maps of the streams and of G; the context has twice as many.
        levels: Resolutions of the context, the first of them 1/4.
        detail: Feature maps, even, of a last look at full resolution, which draws the seam; 0 for none.
        antisymmetric: Whether swapping the sources gives exactly 1 - alpha, in every bit. What follows the streams
            then sees both orders of their features, and the map is that of the difference.

    Raises:
        ValueError: `width` or `levels` is not positive, or `detail` is odd or negative.

    Source: the streams, eq. (1), (2) of Zeng et al., ICASSP 2020; blocks of pixels as channels, Shi et al., CVPR 2016;
    the context, a U-Net of sums (Ronneberger et al., MICCAI 2015). The combination is ours.

    Example:
        >>> network = ContextTwoStream(width=8)
        >>> network(torch.rand(1, 1, 21, 30), torch.rand(1, 1, 21, 30)).shape
        torch.Size([1, 1, 21, 30])
    """

    _MEAN_RADIUS = 4  # pixels on each side, of the mean that is taken off
    _CONTRAST = 8.0  # about one over the standard deviation of what remains in photographs

    def __init__(self, width: int = 16, levels: int = 3, antisymmetric: bool = True, detail: int = 0) -> None:
        super().__init__()
        if width < 1:
            raise ValueError(f"Expected `width` to be positive, got {width}.")
        if levels < 1:
            raise ValueError(f"Expected `levels` to be positive, got {levels}.")
        if detail < 0 or detail % 2:
            raise ValueError(f"Expected `detail` to be even and not negative, got {detail}.")
        coarse = 2 * width
        self.antisymmetric = antisymmetric
        self.stride = 2 << levels
        self.stream = Stream(width, inputs=4)
        self.merge = PairConv(2 * width, coarse)
        self.down = nn.ModuleList(ResidualBlock(coarse) for _ in range(levels))
        self.up = nn.ModuleList(ResidualBlock(coarse) for _ in range(levels - 1))
        self.context = nn.Conv2d(coarse, width, kernel_size=1)
        self.g = PairConv(2 * width, width, width)
        maps = 4 * (1 + detail // 2)
        self.alpha = nn.Conv2d(width, maps, kernel_size=3, padding=1, bias=not antisymmetric or detail > 0)
        self.detail = Detail(detail, bias=not antisymmetric) if detail else None
        self.receptive_radius = self._MEAN_RADIUS + _receptive_radius(levels) + 2 * (detail > 0)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights anew, those that end a residual block small: else its many sums drown the last layer."""
        draw_weights(self)
        with torch.no_grad():
            for block in self.modules():
                if isinstance(block, ResidualBlock):
                    _, outer = block
                    outer.weight.mul_(0.3)  # type: ignore[operator]
            self.alpha.weight.mul_(0.2)
            if self.detail is not None:
                self.alpha.weight[4:].mul_(50)  # undone: the maps of the last look are no scores
                self.detail.alpha.weight.mul_(0.02)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Estimate the degree of focus of `a` against `b`.

        Args:
            a: First source, gray, ``(B, 1, H, W)`` in [0, 1].
            b: Second source, same shape.

        Returns:
            Decision map ``(B, 1, H, W)`` in [0, 1], float32; 1 where `a` is in focus.
        """
        height, width = a.shape[-2:]
        a, b = _pad(a, self.stride), _pad(b, self.stride)
        mean = self._local_mean((a + b) / 2)
        sources = torch.cat([a - mean, b - mean]) * self._CONTRAST
        features = torch.cat(self.stream(F.pixel_unshuffle(sources, 2)), dim=1)
        context = self._context(self.merge(F.avg_pool2d(features, 2)).relu_())
        score: Tensor = F.pixel_shuffle(self.alpha(self.g(features, context).relu_()), 2)
        if self.detail is not None:
            score = self.detail(sources, score)
        score = score[..., :height, :width]
        forth, back = score.float().chunk(2)
        if not self.antisymmetric:
            return forth.sigmoid()
        score = forth - back
        return complement_exactly(score, score.abs().sigmoid())

    def _local_mean(self, image: Tensor) -> Tensor:
        side = 2 * self._MEAN_RADIUS + 1
        rows = F.avg_pool2d(F.pad(image, [self._MEAN_RADIUS] * 4, mode="replicate"), (side, 1), stride=1)
        return F.avg_pool2d(rows, (1, side), stride=1)

    def _context(self, level: Tensor) -> Tensor:
        """What all levels make of the merged features at a quarter of the resolution, back at half of it."""
        ways = [self.down[0](level)]
        for block in list(self.down)[1:]:
            ways.append(block(F.avg_pool2d(ways[-1], 2)))
        level = ways.pop()
        for block, way in zip(self.up, reversed(ways), strict=True):
            level = block(_doubled(level) + way)
        return _doubled(self.context(level))


def _doubled(image: Tensor) -> Tensor:
    return F.interpolate(image, scale_factor=2.0, mode="bilinear")


def _receptive_radius(levels: int) -> int:
    """Pixels on each side that a decision may depend on: by the 3x3 layers of each resolution, and by its blocks."""
    radius = 2 * 7  # streams, G and alpha
    for level in range(levels):
        layers = (2 if level == levels - 1 else 4) + (level == 0)
        radius += (4 << level) * layers
    return radius + (4 << levels)  # places within the largest block, and the neighbours that enlarging mixes


def _pad(image: Tensor, stride: int) -> Tensor:
    """The image with its last rows and columns repeated up to multiples of the stride."""
    height, width = image.shape[-2:]
    return F.pad(image, (0, -width % stride, 0, -height % stride), mode="replicate")
