"""What happens to a source on its way from the scene to the file: it moves, it takes on noise, it is compressed."""

import torch
from kornia.enhance import jpeg_codec_differentiable
from torch import Tensor
from torch.nn import functional as F

from mfif.synthesis.transfer import send


def translate(image: Tensor, offset: Tensor) -> Tensor:
    """Move every sample by its own offset, bilinearly, mirroring at the border.

    Args:
        image: ``(B, C, H, W)``.
        offset: Along y and x in pixels, ``(B, 2)``; positive moves the content down and to the right.

    Returns:
        The moved images, shape of `image`.
    """
    height, width = image.shape[-2:]
    down, right = offset.unbind(1)
    one, zero = torch.ones_like(down), torch.zeros_like(down)
    # Stacked, for a number written into a place is copied from the host, which waits for a GPU.
    transform = torch.stack([one, zero, -2 / width * right, zero, one, -2 / height * down], dim=1).view(-1, 2, 3)
    grid = F.affine_grid(transform, list(image.shape), align_corners=False)
    return F.grid_sample(image, grid, padding_mode="reflection", align_corners=False)


def add_noise(image: Tensor, level: Tensor, generator: torch.Generator) -> Tensor:
    """Add Gaussian noise and clip to [0, 1].

    Args:
        image: ``(B, C, H, W)`` in [0, 1].
        level: Standard deviation of each sample's noise, ``(B,)``.
        generator: Source of the noise, on the device of `image`.

    Returns:
        The noisy images, shape of `image`.
    """
    noise = torch.randn(image.shape, generator=generator, device=image.device)
    return (image + level[:, None, None, None] * noise).clamp(0, 1)


def compress(image: Tensor, quality: Tensor) -> Tensor:
    """Compress every sample as JPEG of its own quality does, and round to 8 bit.

    Args:
        image: ``(B, 1 or 3, H, W)`` in [0, 1].
        quality: 1 to 100, as of libjpeg, ``(B,)``; where it is 0 the sample stays as it is. Best on the CPU, for kornia
            reads its bounds, and an accelerator would be waited for.

    Returns:
        The compressed images, shape of `image`.

    Source: ITU-T T.81 (1992), as `kornia.enhance.jpeg_codec_differentiable` computes it.
    """
    rows = quality.nonzero()[:, 0]
    if not len(rows):
        return image
    # Of those samples alone: the codec costs more than all else that is done to a pair.
    chosen = send(rows, image.device)
    coded = jpeg_codec_differentiable(image[chosen].expand(-1, 3, -1, -1), quality[rows])
    return image.index_copy(0, chosen, (coded[:, : image.shape[1]] * 255).round() / 255)
