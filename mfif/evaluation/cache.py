"""Results kept by the content they come from, so that nothing is computed twice."""

import json
import logging
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from mfif.evaluation.measure import Cost
from mfif.files import replacing
from mfif.fusion.fusers import Fusion

log = logging.getLogger(__name__)


class Fused(NamedTuple):
    """A fusion and what it cost.

    Attributes:
        fusion: Image and decision map, on the CPU.
        cost: Of the call that made it.
    """

    fusion: Fusion
    cost: Cost


class Cache:
    """A folder of results; files are named by the fingerprint of all they depend on, so none is ever out of date.

    Args:
        folder: Where it lies or shall lie; None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def fused(self, key: str) -> Fused | None:
        """The fusion kept under a key, or None."""
        path = self._path("fused", f"{key}.npz")
        if path is None or not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as content:
                image, decision = (torch.from_numpy(content[name]) for name in ("image", "decision"))
                seconds, peak_mb = content["cost"].tolist()
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
            log.warning("Passed over the damaged %s: %s", path, error)
            return None
        return Fused(
            Fusion(image, decision if decision.numel() else None), Cost(seconds, None if np.isnan(peak_mb) else peak_mb)
        )

    def keep_fused(self, key: str, fused: Fused) -> None:
        """Keep a fusion.

        Raises:
            InputError: The disk has no room, or the folder cannot be written to.
        """
        path = self._path("fused", f"{key}.npz")
        if path is None:
            return
        image, decision = fused.fusion
        cost = np.array([np.nan if figure is None else figure for figure in fused.cost])
        pixels = np.empty(0) if decision is None else decision.numpy()
        with replacing(path) as temporary:
            np.savez_compressed(temporary, image=image.numpy(), decision=pixels, cost=cost)

    def scores(self, key: str) -> dict[str, float]:
        """Scores kept under a key, by the fingerprint of their metric."""
        path = self._path("scores", f"{key}.json")
        if path is None or not path.is_file():
            return {}
        try:
            scores: dict[str, float] = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            log.warning("Passed over the damaged %s: %s", path, error)
            return {}
        return scores

    def keep_scores(self, key: str, scores: dict[str, float]) -> None:
        """Keep scores in place of those under the same key.

        Raises:
            InputError: The disk has no room, or the folder cannot be written to.
        """
        path = self._path("scores", f"{key}.json")
        if path is not None:
            with replacing(path) as temporary:
                temporary.write_text(json.dumps(scores))

    def _path(self, kind: str, name: str) -> Path | None:
        # A folder for each of 256 beginnings: directories of many thousand files are slow on some systems.
        return None if self.folder is None else self.folder / kind / name[:2] / name
