"""Makes docs/stack.jpg: a focus stack of a photograph inside scikit-image whose depth is known, and its fusion."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from skimage import data

import mfif
from mfif.fusion.depth import depth_preview
from mfif.synthesis.kernels import blur, disc_kernels

FRAMES, STRENGTH, SHOWN = 7, 0.16, (240, 160)


def stack(photo: np.ndarray, disparity: np.ndarray) -> list[np.ndarray]:
    """Frames focused at depths from near to far; each pixel blurred by a disc as wide as it is out of focus."""
    image = torch.from_numpy(photo).movedim(-1, 0)[None].float() / 255
    radii = torch.arange(0.0, 8.5, 0.5)
    levels = [image, *(blur(image, disc_kernels(radius[None], 17)) for radius in radii[1:])]
    frames = []
    for focus in np.linspace(np.percentile(disparity, 3), np.percentile(disparity, 97), FRAMES):
        level = (STRENGTH * np.abs(disparity - focus) / 0.5).round().clip(0, len(levels) - 1).astype(int)
        chosen = sum((torch.from_numpy(level == number) * picture) for number, picture in enumerate(levels))
        frames.append((255 * chosen[0].movedim(0, -1)).round().byte().numpy())
    return frames


def filled(disparity: np.ndarray) -> np.ndarray:
    """The disparity with its median where it is not known."""
    known = np.isfinite(disparity)
    return np.where(known, disparity, np.median(disparity[known])).astype(np.float32)


def main() -> None:
    """Write the picture."""
    photo, _, disparity = data.stereo_motorcycle()
    frames = stack(photo, filled(disparity))
    result = mfif.fuse(frames)
    depth = depth_preview(result.index, result.order)
    pictures = [frames[0], frames[FRAMES // 2], frames[-1], result.image, depth, photo]
    tiles = [np.asarray(Image.fromarray(picture).resize(SHOWN, Image.Resampling.LANCZOS)) for picture in pictures]
    sheet = np.concatenate([np.concatenate(tiles[:3], 1), np.concatenate(tiles[3:], 1)])
    Image.fromarray(sheet).save(Path(__file__).parent / "stack.jpg", quality=90)


if __name__ == "__main__":
    main()
