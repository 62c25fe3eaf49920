"""A map as the mean of those of a pair turned and mirrored."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from mfif.errors import InputError

ORIENTATIONS = (1, 2, 4, 8)
# Whether it is transposed, and quarter turns after that.
_TURNS = ((False, 0), (False, 2), (True, 0), (True, 2), (False, 1), (False, 3), (True, 1), (True, 3))


def check_self_ensemble(orientations: int) -> None:
    """Raise unless a network can see a pair in so many orientations.

    Raises:
        InputError: It cannot.
    """
    if orientations not in ORIENTATIONS:
        raise InputError(f"Expected `self_ensemble` to be 1, 2, 4 or 8, got {orientations!r}.")


def mean_map(
    estimator: Callable[[Tensor, Tensor], Tensor], a: Tensor, b: Tensor, orientations: int, stride: int = 1
) -> Tensor:
    """Mean of the maps that an estimator makes of a pair in several orientations, each turned back.

    A network trained on photographs as they stand sees a pair that is turned a little otherwise; what it gets wrong by
    chance differs, and the mean has less of it.

    Args:
        estimator: ``(a, b) -> alpha``.
        a: First source, ``(B, C, H, W)``.
        b: Second source, same shape.
        orientations: How many: 1, 2 (with half a turn), 4 (each transposed as well) or 8 (with all quarter turns).
        stride: Sides are continued to multiples of it by the last pixels, so that tiles which begin at such are seen
            as they are in the whole image whatever the turn.

    Returns:
        ``(B, 1, H, W)``.

    Source: the self-ensemble of Lim et al., CVPR Workshops 2017 (EDSR+), here of maps.
    """
    if orientations == 1:
        return estimator(a, b)
    height, width = a.shape[-2:]
    a, b = (F.pad(image, (0, -width % stride, 0, -height % stride), mode="replicate") for image in (a, b))
    total = torch.zeros((), device=a.device)
    for transposed, quarters in _TURNS[:orientations]:
        turned = ((image.mT if transposed else image).rot90(quarters, (-2, -1)) for image in (a, b))
        seen = estimator(*(image.contiguous() for image in turned)).rot90(-quarters, (-2, -1))
        # Around one half, so that sources that change places give exactly the opposite sum.
        total = total + ((seen.mT if transposed else seen) - 0.5)
    return (total / orientations + 0.5)[..., :height, :width]
