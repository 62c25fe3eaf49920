"""Large images in tiles, so that memory stays bounded and the result is that of the whole image."""

from collections.abc import Callable, Sequence

from torch import Tensor


def tiled(
    call: Callable[..., Tensor], images: Sequence[Tensor], side: int | None, halo: int | None, stride: int = 1
) -> Tensor:
    """Call a function on windows of images, and put what it gives together.

    Args:
        call: Takes as many images as there are, ``(..., H, W)``, and gives one of the same height and width.
        images: The images, of one height and width.
        side: Side of a tile in pixels; None takes the images whole.
        halo: Pixels that a result depends on to each side; None takes the images whole, too.
        stride: Tiles and their surroundings begin at multiples of it; sides and halos are rounded up to them.

    Returns:
        ``(..., H, W)``, in the type that the function gives.

    Example:
        >>> import torch
        >>> torch.equal(tiled(lambda image: 2 * image, [torch.eye(9)], side=4, halo=0), 2 * torch.eye(9))
        True
    """
    height, width = images[0].shape[-2:]
    if side is None or halo is None or max(height, width) <= side:
        return call(*images)
    side, halo = (-(-length // stride) * stride for length in (side, halo))
    whole = images[0].new_empty(0)
    for top in range(0, height, side):
        for left in range(0, width, side):
            # The halo ends at the border of the image, where the whole image would be padded just the same.
            above, before = max(top - halo, 0), max(left - halo, 0)
            rows, columns = slice(above, top + side + halo), slice(before, left + side + halo)
            part = call(*(image[..., rows, columns] for image in images))
            if not whole.numel():
                whole = part.new_empty((*part.shape[:-2], height, width))
            own = part[..., top - above : top - above + side, left - before : left - before + side]
            whole[..., top : top + side, left : left + side] = own
    return whole
