"""Pictures of a fusion: pure drawing, arrays in and arrays out."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
import torch
from matplotlib import pyplot as plt
from numpy.typing import NDArray
from torch import Tensor

from mfif.files import replacing


def to_uint8(image: Tensor) -> NDArray[np.uint8]:
    """Image ``(C, H, W)`` or ``(H, W)`` in [0, 1] as ``(H, W, C)`` or ``(H, W)`` uint8; one channel becomes gray."""
    if image.ndim == 3:
        image = image[0] if image.shape[0] == 1 else image.movedim(0, -1)
    levels: NDArray[np.uint8] = (image.float().clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
    return levels


def difference(fused: Tensor, source: Tensor) -> Tensor:
    """Signed difference of two images in [0, 1], shown around middle gray: 0.5 where they agree, same shape."""
    return ((fused - source) / 2 + 0.5).clamp(0, 1)


def panel(rows: Sequence[Sequence[Tensor]], gap: int = 4, scale: int = 1) -> NDArray[np.uint8]:
    """Images of equal size in rows and columns, on white.

    Args:
        rows: Images ``(1 or 3, H, W)`` in [0, 1].
        gap: Pixels between them.
        scale: Side in pixels of the square that shows one pixel.

    Returns:
        ``(rows * (scale * H + gap) - gap, columns * (scale * W + gap) - gap, 3)``.
    """
    height, width = (scale * side for side in rows[0][0].shape[-2:])
    columns = max(len(row) for row in rows)
    sheet = np.full((len(rows) * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, dtype=np.uint8)
    for i, row in enumerate(rows):
        for j, image in enumerate(row):
            top, left = i * (height + gap), j * (width + gap)
            pixels = to_uint8(image.expand(3, -1, -1)).repeat(scale, axis=0).repeat(scale, axis=1)
            sheet[top : top + height, left : left + width] = pixels
    return sheet


def draw_curves(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], path: Path) -> None:
    """Draw each curve in a frame of its own, one below the other.

    Args:
        curves: Steps and values by name.
        path: Where the picture goes.
    """
    figure, axes = plt.subplots(len(curves), 1, figsize=(8, 2.4 * len(curves)), sharex=True, squeeze=False)
    for axis, (name, (steps, values)) in zip(axes[:, 0], curves.items(), strict=True):
        axis.plot(steps, values, linewidth=1.2, marker="." if len(steps) < 40 else None)
        axis.set_ylabel(name)
        axis.grid(alpha=0.3)
    axes[-1, 0].set_xlabel("iteration")
    figure.tight_layout()
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110)
    plt.close(figure)
