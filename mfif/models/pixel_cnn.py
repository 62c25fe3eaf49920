"""A pixel-wise CNN as focus measure, after Tang et al. 2018."""

import torch
from torch import Tensor, nn

_DILATIONS = (1, 2, 4, 8)


class PixelCnn(nn.Module):
    """Decision map of a pair of gray images, from what a network says of every pixel of each source by itself.

    The network sees 31x31 pixels around a pixel and weighs three classes: focused, defocused, undecided. Of two sources
    one is focused where the other is not, or both are undecided. The map is the probability that it is the first, and
    half of that it is neither: the source with the larger odds of focused against defocused is the one chosen.
    Swapping the sources gives 1 - alpha.

    Only the abstract of the paper was at hand: a CNN measures the focus of every pixel, of patches of 32x32 in three
    classes, and is applied to whole images. Layers, the field (the odd size next to 32), and the training on pairs
    instead of on single patches are ours.

    Args:
        width: Feature maps of every layer; 64 gives 111,619 parameters.

    Raises:
        ValueError: `width` is not positive.

    Source: Tang, Xiao, Li, Wang, Pixel convolutional neural network for multi-focus image fusion, Information Sciences
    433-434, 2018.

    Example:
        >>> network = PixelCnn(width=4)
        >>> network(torch.rand(1, 1, 20, 31), torch.rand(1, 1, 20, 31)).shape
        torch.Size([1, 1, 20, 31])
    """

    receptive_radius = sum(_DILATIONS)

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        if width < 1:
            raise ValueError(f"Expected `width` to be positive, got {width}.")
        layers: list[nn.Module] = []
        for inputs, dilation in zip((1, width, width, width), _DILATIONS, strict=True):
            convolution = nn.Conv2d(inputs, width, 3, padding=dilation, dilation=dilation)
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
            layers += [convolution, nn.ReLU()]
        self.classes = nn.Sequential(*layers, nn.Conv2d(width, 3, 1))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Estimate the degree of focus of `a` against `b`.

        Args:
            a: First source, gray, ``(B, 1, H, W)`` in [0, 1].
            b: Second source, same shape.

        Returns:
            Decision map ``(B, 1, H, W)`` in [0, 1], float32; 1 where `a` is in focus.
        """
        of_a, of_b = self.classes(torch.cat([a, b])).float().unflatten(0, (2, -1))
        (focused_a, defocused_a, undecided_a), (focused_b, defocused_b, undecided_b) = of_a.unbind(1), of_b.unbind(1)
        together = [focused_a + defocused_b, defocused_a + focused_b, undecided_a + undecided_b]
        first, _, neither = torch.stack(together, dim=1).softmax(dim=1).chunk(3, dim=1)
        return first + neither / 2

    def focus(self, image: Tensor) -> Tensor:
        """Logarithm of the odds of focused against defocused: where it is the larger, `forward` gives more than 1/2.

        Args:
            image: Gray, ``(B, 1, H, W)`` in [0, 1].

        Returns:
            Degree of focus ``(B, 1, H, W)``, float32.
        """
        focused, defocused, _ = self.classes(image).float().unbind(1)
        odds: Tensor = focused - defocused
        return odds[:, None]
