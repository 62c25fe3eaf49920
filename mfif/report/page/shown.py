"""What there is to see of a pair in the folder of an evaluation."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mfif.images import image_size
from mfif.report.page.content import Content
from mfif.report.page.embedding import to_8_bit


def shown_pictures(folder: Path, name: str, methods: Sequence[str], files: dict[Path, int]) -> Content:
    """Find the pictures of a pair.

    A result that is nothing but the sources weighted by the map is left to the page to put together, from pictures that
    are there anyway: what was taken from a source then differs from it in no bit, and takes no space.

    Args:
        folder: Of the benchmark.
        name: Of the pair.
        methods: What has fused it.
        files: Takes the pictures that the page needs, and gives each a number.

    Returns:
        ``size``, width and height in pixels, or None where nothing was drawn; ``shown``: for each picture its
        ``label``, its ``kind`` (source, result or map), and the number of its ``picture``, or of the map that
        ``weights`` the sources.
    """
    a, b = (folder / f"{name}-{side}.png" for side in "AB")
    if not (a.is_file() and b.is_file()):
        return {"size": None, "shown": []}
    found = [("source A", "source", a), ("source B", "source", b)]
    found += [("truth", "result", folder / f"{name}-sharp.png"), ("truth", "map", folder / f"{name}-map.png")]
    for method in methods:
        found += [(method, "result", folder / method / f"{name}-fused.png")]
        found += [(method, "map", folder / method / f"{name}-map.png")]
    shown = []
    for label, kind, file in found:
        if file.is_file():
            weights = file.with_name(f"{name}-map.png")
            composed = kind == "result" and weights.is_file() and _is_weighted(file, a, b, weights)
            needed = weights if composed else file
            number = files.setdefault(needed, len(files))
            shown.append({"label": label, "kind": kind, "weights" if composed else "picture": number})
    height, width = image_size(a)
    return {"size": [width, height], "shown": shown}


def _is_weighted(fused: Path, a: Path, b: Path, weights: Path) -> bool:
    """Whether an image is ``w a + (1 - w) b`` to a level of 8 bits, which is what rounding leaves open."""
    image, first, second = (to_8_bit(file).astype(np.float32) for file in (fused, a, b))
    share = to_8_bit(weights).astype(np.float32) / 255
    share = share if image.ndim == 2 else share[..., None]
    return bool(np.abs(share * first + (1 - share) * second - image).max() <= 1)
