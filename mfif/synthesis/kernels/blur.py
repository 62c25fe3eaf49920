"""Filter every sample of a batch with its own kernel."""

from kornia.filters import filter2d, filter2d_separable
from torch import Tensor


def blur(image: Tensor, kernel: Tensor) -> Tensor:
    """Filter every sample with its own kernel, mirroring at the border.

    Args:
        image: ``(B, C, H, W)``; each side longer than half the kernel.
        kernel: ``(B, K)``, applied along both axes, or ``(B, K, K)``.

    Returns:
        Blurred image, shape of `image`.

    Raises:
        ValueError: The image is too small for the kernel.
    """
    if min(image.shape[-2:]) <= kernel.shape[-1] // 2:
        raise ValueError(
            f"Expected `image` to be larger than half the blur kernel ({kernel.shape[-1] // 2} px), "
            f"got {tuple(image.shape[-2:])}. Take larger crops (data.crop) or a smaller kernel."
        )
    if kernel.ndim == 2:
        return filter2d_separable(image, kernel, kernel)
    return filter2d(image, kernel)
