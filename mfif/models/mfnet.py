"""A network that regresses the fused image itself, after Yan et al. 2018."""

import torch
from torch import Tensor, nn


def _features(inputs: int, width: int, count: int) -> nn.Sequential:
    """So many convolutions, each rectified."""
    layers: list[nn.Module] = []
    for index in range(count):
        convolution = nn.Conv2d(width if index else inputs, width, 3, padding=1)
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        layers += [convolution, nn.ReLU()]
    return nn.Sequential(*layers)


class MFNet(nn.Module):
    """Fused image of a pair of gray images, without a decision map.

    Both sources and their average have features of their own, which are added and turned into an image. The sources
    share weights, so that their order does not matter.

    Only the abstract of the paper was at hand: a fully convolutional network that gives the fused image and learns
    without truth, by structural similarity (`mfif.losses.SharperSourceSsim`). The number of layers is ours, and so is
    that the last one is added to the average: the network learns what the average lacks, and gives the average before
    it has learned anything.

    Args:
        width: Feature maps of every layer; 64 gives 149,569 parameters.

    Raises:
        ValueError: `width` is not positive.

    Source: Yan, Gilani, Qin, Mian, Unsupervised deep multi-focus image fusion, arXiv 1806.07272, 2018.

    Example:
        >>> network = MFNet(width=4)
        >>> network(torch.rand(1, 1, 20, 31), torch.rand(1, 1, 20, 31)).shape
        torch.Size([1, 1, 20, 31])
    """

    gives_image = True  # and not a map
    receptive_radius = 5  # one pixel a layer

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        if width < 1:
            raise ValueError(f"Expected `width` to be positive, got {width}.")
        self.source = _features(1, width, 2)
        self.average = _features(1, width, 2)
        last = nn.Conv2d(width, 1, 3, padding=1)
        for parameter in last.parameters():
            nn.init.zeros_(parameter)
        self.image = nn.Sequential(_features(width, width, 2), last)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Fuse two images.

        Args:
            a: First source, gray, ``(B, 1, H, W)`` in [0, 1].
            b: Second source, same shape.

        Returns:
            Fused image ``(B, 1, H, W)``, float32; may leave [0, 1] a little.
        """
        of_a, of_b = self.source(torch.cat([a, b])).unflatten(0, (2, -1))
        average = (a + b) / 2
        fused: Tensor = average + self.image(of_a + of_b + self.average(average)).float()
        return fused
