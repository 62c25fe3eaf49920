"""The siamese network of Liu et al. 2017, which classifies patches as sharp in one source or in the other."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_PATCH = 16  # side in pixels of what is classified
_STRIDE = 2  # pixels from one patch to the next, by the pooling


class Cnn(nn.Module):
    """Focus map of a pair of gray images: the mean over all patches that cover a pixel.

    Both sources go through the same three convolutions; their features, side by side, are classified. On a patch of
    16x16 pixels that gives one probability, which is the whole map; a larger image is classified at once, in patches
    two pixels apart. So training on patches of one focus is training on their maps.

    The two last layers of the full network have nothing between them in the authors' test code. They are trained as
    two and applied as one, their product: the same function, at a hundredth of the work.

    Args:
        width: Feature maps of the first convolution; 64 is the paper's, with 8,759,042 parameters.
        light: Whether the features are classified by one layer, as in the authors' later variant: 435,202 parameters.

    Raises:
        ValueError: `width` is not positive.

    Source: sec. 3.2 of Liu et al., Multi-focus image fusion with a deep convolutional neural network, Information
    Fusion 36, 2017; `light`: Liu et al., IJWMIP 16(3), 2018. He initialization is ours, and so are sizes they do not
    meet: images are continued by their last row and column up to 16 pixels and an even side.

    Example:
        >>> network = Cnn(width=4)
        >>> network(torch.rand(1, 1, 20, 31), torch.rand(1, 1, 20, 31)).shape
        torch.Size([1, 1, 20, 31])
    """

    stride = _STRIDE  # tiles begin at multiples of it
    receptive_radius = 20  # patches reach 15 pixels and their convolutions 4 more; rounded up to whole strides

    def __init__(self, width: int = 64, light: bool = False) -> None:
        super().__init__()
        if width < 1:
            raise ValueError(f"Expected `width` to be positive, got {width}.")
        self.branch = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(_STRIDE),
            nn.Conv2d(2 * width, 4 * width, 3, padding=1),
            nn.ReLU(),
        )
        side = _PATCH // _STRIDE
        self.full = None if light else nn.Conv2d(8 * width, 4 * width, side)
        self.classes = nn.Conv2d(8 * width, 2, side) if light else nn.Conv2d(4 * width, 2, 1)
        for layer in self.branch:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Estimate the degree of focus of `a` against `b`.

        Args:
            a: First source, gray, ``(B, 1, H, W)`` in [0, 1].
            b: Second source, same shape.

        Returns:
            Focus map ``(B, 1, H, W)`` in [0, 1], float32; 1 where `a` is in focus.
        """
        height, width = a.shape[-2:]
        below, right = (max(_PATCH, side + side % _STRIDE) - side for side in (height, width))
        both = F.pad(torch.cat([a, b]), (0, right, 0, below), mode="replicate")
        features = torch.cat(self.branch(both).unflatten(0, (2, -1)).unbind(), dim=1)
        # One row and one column of patches more, which do not count: torch.export takes a size of one for a constant.
        focus = F.conv2d(F.pad(features, (0, 1, 0, 1)), *self._head()).float().softmax(dim=1)[:, :1]
        rows, columns = (torch.arange(side, device=focus.device) < side - 1 for side in focus.shape[-2:])
        counts = (rows[:, None] & columns).to(focus)[None, None]
        square = torch.ones(1, 1, _PATCH, _PATCH, device=focus.device)
        covering = F.conv_transpose2d(counts, square, stride=_STRIDE).clamp(min=1)
        focus_map = F.conv_transpose2d(counts * focus, square, stride=_STRIDE) / covering
        # Not by slices, whose strides torch.export would take for those of every size.
        rows, columns = (torch.arange(side, device=focus.device) for side in (height, width))
        return focus_map.index_select(-2, rows).index_select(-1, columns)

    def _head(self) -> tuple[Tensor, Tensor | None]:
        """Weight and bias of what follows the features, as one layer."""
        classes = self.classes
        if self.full is None:
            return classes.weight, classes.bias
        product = classes.weight[:, :, 0, 0]
        weight = torch.einsum("oi,i...->o...", product, self.full.weight)
        return weight, product @ self.full.bias + classes.bias  # type: ignore[operator]
