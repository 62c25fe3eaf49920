"""A partially focused pair, its decision map, and the blend that fuses it."""

from typing import NamedTuple

from torch import Tensor

# First row of the inverse of MATLAB's YIQ matrix, to the digits `rgb2gray` computes with: every reference
# implementation of the field's metrics starts from this gray.
LUMA_WEIGHTS = (0.29893602129377533, 0.58704307445112136, 0.11402090425510324)


class FocusPair(NamedTuple):
    """Two images of one scene, each sharp where the other is blurred, and the truth behind them.

    Attributes:
        a: First source, ``(B, C, H, W)`` in [0, 1].
        b: Second source, same shape.
        alpha: Decision map, ``(B, 1, H, W)`` in [0, 1]; 1 where `a` is in focus.
        sharp: The photograph in focus everywhere, same shape as `a`.
        pristine_a: First source as the lens showed it, before the sources moved apart and before noise, compression and
            rounding; None where it is `a`.
        pristine_b: The second, likewise.
    """

    a: Tensor
    b: Tensor
    alpha: Tensor
    sharp: Tensor
    pristine_a: Tensor | None = None
    pristine_b: Tensor | None = None

    def tensors(self) -> dict[str, Tensor]:
        """The attributes that are not None, in order."""
        return {name: value for name, value in self._asdict().items() if value is not None}

    @property
    def pristine(self) -> tuple[Tensor, Tensor]:
        """Both sources as the lens showed them."""
        return (
            self.a if self.pristine_a is None else self.pristine_a,
            self.b if self.pristine_b is None else self.pristine_b,
        )


def blend(a: Tensor, b: Tensor, alpha: Tensor) -> Tensor:
    """Fuse two sources by a decision map: ``alpha * a + (1 - alpha) * b``.

    Args:
        a: First source, ``(B, C, H, W)``.
        b: Second source, same shape.
        alpha: Decision map, ``(B, 1, H, W)``, applied to every channel; 1 selects `a`.

    Returns:
        The fused image, shape and range of the sources. Where `alpha` is exactly 0 or 1 the result is the chosen
        source's value exactly.

    Source: eq. (3) of Zeng et al., ICASSP 2020.
    """
    return alpha * a + (1 - alpha) * b


def binarize(alpha: Tensor, threshold: float = 0.5) -> Tensor:
    """Decide each pixel for one source: 1 where ``alpha >= threshold``, else 0.

    Args:
        alpha: Decision map of any shape.
        threshold: Level from which on a pixel counts as `a`'s.

    Returns:
        Map of zeros and ones, dtype and shape of `alpha`.

    Source: eq. (5) of Zeng et al., ICASSP 2020.
    """
    return (alpha >= threshold).to(alpha.dtype)


def luma(image: Tensor) -> Tensor:
    """Gray of an image as MATLAB's ``rgb2gray`` computes it, without its rounding.

    Args:
        image: ``(B, 1, H, W)``, returned as it is, or ``(B, 3, H, W)``; any range.

    Returns:
        ``(B, 1, H, W)`` in the range of `image`.

    Raises:
        ValueError: `image` has neither 1 nor 3 channels.
        TypeError: An RGB `image` holds integers.
    """
    if image.ndim != 4 or image.shape[1] not in (1, 3):
        raise ValueError(
            f"Expected `image` to be (B, 1, H, W) or (B, 3, H, W), got {tuple(image.shape)}. "
            "Drop an alpha channel and convert palettes first."
        )
    if image.shape[1] == 1:
        return image
    if not image.is_floating_point():
        raise TypeError(f"Expected `image` to be floating point, got {image.dtype}. Convert it first: image.float().")
    # Plain products keep the type of `image` under autocast, and need no tensor of weights on its device.
    red, green, blue = (image[:, index, None] * weight for index, weight in enumerate(LUMA_WEIGHTS))
    return red + green + blue
