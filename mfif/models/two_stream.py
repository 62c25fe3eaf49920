"""The two-stream network that regresses the latent decision map."""

from typing import Literal

import torch
from torch import Tensor, nn

Squash = Literal["sigmoid", "clamp", "none"]


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel_size=3, padding=1)


class Stream(nn.Module):
    """Features of one source: a convolution and two residual blocks (eq. 1).

    Each block adds its input after the rectifier, and the sum is not rectified again.

    Args:
        width: Feature maps of every layer.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.input = _conv(1, width)
        self.block1 = nn.ModuleList([_conv(width, width), _conv(width, width)])
        self.block2 = nn.ModuleList([_conv(width, width), _conv(width, width)])

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Low- and high-level features ``C`` and ``D``, both ``(B, width, H, W)``, of an image ``(B, 1, H, W)``."""
        features = self.input(image).relu()
        low = self.block1[1](self.block1[0](features).relu()).relu() + features
        high = self.block2[1](self.block2[0](low).relu()).relu() + low
        return low, high


class TwoStream(nn.Module):
    """Latent decision map of a pair of gray images, by two streams of residual blocks and a fusion head.

    With the defaults this is the network of the paper: 1,257,217 parameters with shared streams, 1,848,833 with
    separate ones. The text leaves open whether the streams share their weights and how the map is kept in [0, 1].
    Sharing is the default: on Lytro it scored higher than separate streams at width 16, at two thirds of the size.

    Args:
        width: Feature maps of every layer up to F; G has half of it.
        shared_streams: Whether both sources go through the same weights.
        squash: How the map is kept in [0, 1]: ``"sigmoid"``, ``"clamp"`` or ``"none"``.
        input_skip: Whether the sum M of the sources joins E on the way to F.
        feature_skip: Whether C and D of both streams join F on the way to G.

    Raises:
        ValueError: `width` is not even and positive, or `squash` is none of the three.

    Source: eq. (1), (2) and Fig. 2 of Zeng et al., ICASSP 2020. He initialization (He et al., ICCV 2015) and the small
    last layer are ours; the paper names none.

    Example:
        >>> network = TwoStream(width=8)
        >>> network(torch.rand(1, 1, 20, 30), torch.rand(1, 1, 20, 30)).shape
        torch.Size([1, 1, 20, 30])
    """

    receptive_radius = 9
    """Pixels on each side of a pixel that its decision depends on: nine 3x3 layers."""

    def __init__(
        self,
        width: int = 128,
        shared_streams: bool = True,
        squash: Squash = "sigmoid",
        input_skip: bool = True,
        feature_skip: bool = True,
    ) -> None:
        super().__init__()
        if width < 2 or width % 2:
            raise ValueError(f"Expected `width` to be even and at least 2, got {width}.")
        if squash not in ("sigmoid", "clamp", "none"):
            raise ValueError(f"Expected `squash` to be 'sigmoid', 'clamp' or 'none', got {squash!r}.")
        self.squash = squash
        self.input_skip = input_skip
        self.feature_skip = feature_skip
        self.stream_a = Stream(width)
        self.stream_b = None if shared_streams else Stream(width)
        self.e = _conv(width, width)
        self.f = _conv(width + input_skip, width)
        self.g = _conv(5 * width if feature_skip else width, width // 2)
        self.alpha = _conv(width // 2, 1)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights anew; the first map is close to one half everywhere, so that neither source leads."""
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        with torch.no_grad():
            self.alpha.weight.mul_(0.1)
            if self.squash != "sigmoid":
                self.alpha.bias.fill_(0.5)  # type: ignore[union-attr]

    def features(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """``C1, D1, C2, D2`` of both sources; shared streams take them in one batch."""
        if self.stream_b is None:
            low, high = self.stream_a(torch.cat([a, b]))
            (low_a, low_b), (high_a, high_b) = low.chunk(2), high.chunk(2)
            return low_a, high_a, low_b, high_b
        return *self.stream_a(a), *self.stream_b(b)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Estimate the degree of focus of `a` against `b`.

        Args:
            a: First source, gray, ``(B, 1, H, W)`` in [0, 1].
            b: Second source, same shape.

        Returns:
            Decision map ``(B, 1, H, W)``, float32; in [0, 1] unless `squash` is ``"none"``; 1 where `a` is in focus.
        """
        low_a, high_a, low_b, high_b = self.features(a, b)
        fused = self.e(high_a + high_b).relu()
        if self.input_skip:
            fused = torch.cat([a + b, fused], dim=1)
        fused = self.f(fused).relu()
        if self.feature_skip:
            fused = torch.cat([low_a, high_a, fused, low_b, high_b], dim=1)
        alpha: Tensor = self.alpha(self.g(fused).relu()).float()
        if self.squash == "sigmoid":
            return alpha.sigmoid()
        return alpha.clamp(0, 1) if self.squash == "clamp" else alpha
