"""The two-stream network that regresses the latent decision map."""

from typing import Literal

import torch
from torch import Tensor, nn

Squash = Literal["sigmoid", "clamp", "none"]


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel_size=3, padding=1)


class ResidualBlock(nn.ModuleList):
    """Two convolutions; the input is added after the second rectifier, and the sum is not rectified again (eq. 1)."""

    def __init__(self, width: int) -> None:
        super().__init__([_conv(width, width), _conv(width, width)])

    def forward(self, features: Tensor) -> Tensor:
        """Features ``(B, width, H, W)`` to such features."""
        inner, outer = self
        refined: Tensor = outer(inner(features).relu_()).relu_() + features
        return refined


class Stream(nn.ModuleDict):
    """Features of what it sees: a convolution and residual blocks (eq. 1).

    Args:
        width: Feature maps of every layer.
        depth: Number of residual blocks.
        inputs: Images it sees at once.
    """

    def __init__(self, width: int, depth: int = 2, inputs: int = 1) -> None:
        blocks = {f"block{number + 1}": ResidualBlock(width) for number in range(depth)}
        super().__init__({"input": _conv(inputs, width), **blocks})

    def forward(self, image: Tensor) -> list[Tensor]:
        """Features after each block, ``(B, width, H, W)``, of images ``(B, inputs, H, W)``; with two, C and D."""
        first, *blocks = self.values()
        features = [first(image).relu_()]
        for block in blocks:
            features.append(block(features[-1]))
        return features[1:]


def draw_weights(network: nn.Module) -> None:
    """Draw the weights of a network whose last layer is named `alpha`, by He et al., ICCV 2015, and that one small."""
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
            if name == "alpha":
                with torch.no_grad():
                    layer.weight.mul_(0.1)


def complement_exactly(score: Tensor, larger: Tensor) -> Tensor:
    """The map of a score that changes its sign where the sources change places, by the larger of the two degrees."""
    return torch.where(score < 0, 1 - larger, larger)


class TwoStream(nn.Module):
    """Latent decision map of a pair of gray images, by two streams of residual blocks and a fusion head.

    With the defaults this is the network of the paper: 1,257,217 parameters with shared streams, 1,848,833 with
    separate ones. The text leaves open whether the streams share their weights and how the map is kept in [0, 1].
    Sharing is the default: on Lytro it scored higher than separate streams at width 16, at two thirds of the size.

    Args:
        width: Feature maps of every layer up to F; G has half of it.
        depth: Residual blocks of a stream.
        shared_streams: Whether both sources go through the same weights.
        early_fusion: Whether one stream sees both sources at once instead of two that see one each.
        squash: How the map is kept in [0, 1]: ``"sigmoid"``, ``"clamp"`` or ``"none"``.
        input_skip: Whether the sum M of the sources joins E on the way to F.
        feature_skip: Whether what the blocks of all streams give (C and D) joins F on the way to G.
        antisymmetric: Whether swapping the sources gives exactly 1 - alpha, in every bit. G and alpha then see both
            orders of the streams' features, and the map is that of their difference.

    Raises:
        ValueError: `width` is not even and positive, `depth` is not positive, `squash` is none of the three, or
            `antisymmetric` does not go with the rest.

    Source: eq. (1), (2) and Fig. 2 of Zeng et al., ICASSP 2020. He initialization (He et al., ICCV 2015) and the small
    last layer are ours; the paper names none. So are `early_fusion` and `antisymmetric`.

    Example:
        >>> network = TwoStream(width=8)
        >>> network(torch.rand(1, 1, 20, 30), torch.rand(1, 1, 20, 30)).shape
        torch.Size([1, 1, 20, 30])
    """

    def __init__(
        self,
        width: int = 128,
        depth: int = 2,
        shared_streams: bool = True,
        early_fusion: bool = False,
        squash: Squash = "sigmoid",
        input_skip: bool = True,
        feature_skip: bool = True,
        antisymmetric: bool = False,
    ) -> None:
        super().__init__()
        if width < 2 or width % 2:
            raise ValueError(f"Expected `width` to be even and at least 2, got {width}.")
        if depth < 1:
            raise ValueError(f"Expected `depth` to be positive, got {depth}.")
        if squash not in ("sigmoid", "clamp", "none"):
            raise ValueError(f"Expected `squash` to be 'sigmoid', 'clamp' or 'none', got {squash!r}.")
        if antisymmetric and (early_fusion or not shared_streams or not feature_skip):
            # Separate streams tell the sources apart; and without C and D the decision sees only F, which cannot.
            raise ValueError("Expected `antisymmetric` with `shared_streams`, `feature_skip` and no `early_fusion`.")
        self.squash = squash
        self.early_fusion = early_fusion
        self.input_skip = input_skip
        self.feature_skip = feature_skip
        self.antisymmetric = antisymmetric
        self.receptive_radius = 1 + 2 * depth + 4  # pixels on each side that a decision depends on, one a 3x3 layer
        self.stream_a = Stream(width, depth, inputs=2 if early_fusion else 1)
        self.stream_b = None if shared_streams or early_fusion else Stream(width, depth)
        self.e = _conv(width, width)
        self.f = _conv(width + input_skip, width)
        skipped = depth if early_fusion else 2 * depth
        self.g = _conv((skipped + 1) * width if feature_skip else width, width // 2)
        self.alpha = _conv(width // 2, 1)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights anew; the first map is close to one half everywhere, so that neither source leads."""
        draw_weights(self)
        if self.squash != "sigmoid":
            nn.init.constant_(self.alpha.bias, 0.5)  # type: ignore[arg-type]

    def features(self, a: Tensor, b: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Features after each block (C and D) of both sources; with `early_fusion` of both in one, and none."""
        if self.early_fusion:
            return self.stream_a(torch.cat([a, b], dim=1)), []
        if self.stream_b is not None:
            return self.stream_a(a), self.stream_b(b)
        # A batch of both could compute its halves with different roundings, and without gradients its larger features
        # are the slower ones, on a CPU and on a GPU: they leave the cache.
        if self.antisymmetric or not torch.is_grad_enabled():
            return self.stream_a(a), self.stream_a(b)
        both = [features.unflatten(0, (2, -1)) for features in self.stream_a(torch.cat([a, b]))]
        return [first for first, _ in both], [second for _, second in both]

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Estimate the degree of focus of `a` against `b`.

        Args:
            a: First source, gray, ``(B, 1, H, W)`` in [0, 1].
            b: Second source, same shape.

        Returns:
            Decision map ``(B, 1, H, W)``, float32; in [0, 1] unless `squash` is ``"none"``; 1 where `a` is in focus.
        """
        features_a, features_b = self.features(a, b)
        fused = self.e(features_a[-1] + features_b[-1] if features_b else features_a[-1]).relu()
        if self.input_skip:
            fused = torch.cat([a + b, fused], dim=1)
        fused = self.f(fused).relu()
        score = self._score(features_a, fused, features_b)
        if not self.antisymmetric:
            return self._squash(score)
        # E and F are the same in both orders, and a difference only changes its sign. The larger of the two degrees of
        # focus is squashed and the other is what it leaves to one, which is exact; squashing both would round twice.
        score = score - self._score(features_b, fused, features_a)
        return complement_exactly(score, self._squash(score.abs() if self.squash == "sigmoid" else score.abs() + 0.5))

    def _score(self, features_a: list[Tensor], fused: Tensor, features_b: list[Tensor]) -> Tensor:
        """The last two layers."""
        if self.feature_skip:
            fused = torch.cat([*features_a, fused, *features_b], dim=1)
        score: Tensor = self.alpha(self.g(fused).relu()).float()
        return score

    def _squash(self, score: Tensor) -> Tensor:
        if self.squash == "sigmoid":
            return score.sigmoid()
        return score.clamp(0, 1) if self.squash == "clamp" else score
