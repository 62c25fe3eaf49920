"""Put a partially focused pair together from a sharp photograph, a blur kernel and a template."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from mfif.pair import FocusPair, blend
from mfif.synthesis.kernels import blur

Boundary = Literal["selection", "spread", "occlusion"]


_REACH = 0.01  # share of the foreground in a pixel from which on its blur is seen there


def compose(
    sharp: Tensor,
    kernel: Tensor,
    template: Tensor,
    exchange: Tensor,
    boundary: Boundary = "selection",
    background: Tensor | None = None,
    margin: float = 1.0,
) -> FocusPair:
    """Blur the photograph and hand its sharp and its blurred part to two sources.

    With I the photograph, m the template and B the blur, the sources are:

    - ``"selection"``: ``m I + (1 - m) B(I)`` and ``m B(I) + (1 - m) I``. Each pixel is sharp in one of them, and the
      blend by the true map is I wherever m is 0 or 1.
    - ``"spread"``: the template is the matte of a foreground. The first source, focused on it, is the same. In the
      second the foreground is out of focus, and so is its matte, whose blur spreads over what lies behind:
      ``B(m) B(I) + (1 - B(m)) I``. In a band beside the foreground then no source is sharp.
    - ``"occlusion"``: spread where one photograph stands before another, selection where there is but one.

    The true map is m in all. Where m is 1 the first source is exact. Where m is 0 the first source is off by
    ``B(I) - I`` and the second by ``B(m)`` of that, so that a binary m takes at every pixel the source nearer to the
    photograph; only the photograph itself is out of reach in the band.

    With a `background` J of its own behind the foreground I, the scene is ``m I + (1 - m) J``; the first source,
    focused on the foreground, is ``m I + (1 - m) B(J)``, the second ``B(m I) + (1 - B(m)) J``. So the edges of the
    template are edges of the scene, as where one thing stands before another. Beside the foreground, where its blur
    reaches, the second source is off by the foreground's colour and often the farther one: there the true map is that
    of the source nearer to the scene, in the mean over 5x5 pixels. The `margin` says by how much it must be nearer.

    Args:
        sharp: Photographs, ``(B, C, H, W)`` in [0, 1].
        kernel: One blur kernel per sample, ``(B, K)`` or ``(B, K, K)``.
        template: One map per sample, ``(B, 1, H, W)`` in [0, 1]; 1 where the first source stays sharp.
        exchange: ``(B,)``, true where the two sources change places, and the map becomes its complement.
        boundary: What happens where sharp and blurred parts meet.
        background: Photographs behind the first, ``(B, C, H, W)`` in [0, 1], not with ``"selection"``; None for the
            same. A sample whose two are equal has but one.
        margin: The map leaves the template where the first source's error is below this share of the second's, in
            [0, 1]: 1 takes the nearer source, 0 the template.

    Returns:
        The pair.

    Raises:
        ValueError: There is a `background` with the boundary ``"selection"``.

    Source: sec. 3.1 of Zeng et al., ICASSP 2020. The spread: the alpha-matte boundary defocus model of Ma et al., IEEE
    TIP 2020, as the data of MFIF-GAN (Wang et al., 2021) are made: with the blurred photograph as blurred foreground.
    """
    if background is not None:
        if boundary == "selection":
            raise ValueError("Expected `boundary` to be 'spread' or 'occlusion' with a `background`, got 'selection'.")
        matte, behind = blur(template, kernel), blur(background, kernel)
        near = blend(sharp, behind, template)
        far = blur(template * sharp, kernel) + (1 - matte) * background
        beside = matte > _REACH
        if boundary == "occlusion":
            alone = (sharp == background).flatten(1).all(1)[:, None, None, None]
            far = torch.where(alone, blend(behind, sharp, template), far)
            beside = beside & ~alone
        sharp = blend(sharp, background, template)
        template = torch.where(beside & _nearer(near, far, sharp, margin), torch.ones_like(template), template)
    else:
        blurred = blur(sharp, kernel)
        matte = blur(template, kernel) if boundary == "spread" else template
        near, far = blend(sharp, blurred, template), blend(blurred, sharp, matte)
    swap = exchange[:, None, None, None]
    a, b = torch.where(swap, far, near), torch.where(swap, near, far)
    return FocusPair(a, b, torch.where(swap, 1 - template, template), sharp)


def _nearer(near: Tensor, far: Tensor, sharp: Tensor, margin: float) -> Tensor:
    """Where the first source is nearer to the photograph than the second by the margin, ``(B, 1, H, W)``."""
    errors = [(source - sharp).abs().mean(1, keepdim=True) for source in (near, far)]
    of_near, of_far = (F.avg_pool2d(error, 5, stride=1, padding=2, count_include_pad=False) for error in errors)
    return of_near < margin * of_far
