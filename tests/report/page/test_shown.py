from pathlib import Path

import numpy as np
import pytest

from mfif.images import write_image
from mfif.report.page.shown import shown_pictures


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A benchmark with a pair p, and results made of it in several ways."""
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 256, (2, 12, 16, 3)).astype(np.uint8)
    soft = rng.integers(0, 256, (12, 16)).astype(np.uint8)
    hard = np.where(soft > 100, 255, 0).astype(np.uint8)
    blended = (soft[..., None] / 255 * a + (1 - soft[..., None] / 255) * b).round().astype(np.uint8)
    touched = np.where(hard[..., None] == 255, a, b)
    touched[3, 4, 1] ^= 2
    write_image(tmp_path / "p-A.png", a)
    write_image(tmp_path / "p-B.png", b)
    results = {"hard": (hard, np.where(hard[..., None] == 255, a, b)), "soft": (soft, blended), "off": (hard, touched)}
    for method, (decision, fused) in results.items():
        write_image(tmp_path / method / "p-fused.png", fused)
        write_image(tmp_path / method / "p-map.png", decision)
    write_image(tmp_path / "mapless" / "p-fused.png", blended)
    return tmp_path


def test_results_that_are_the_weighted_sources_are_not_needed(folder: Path) -> None:
    files: dict[Path, int] = {folder / "earlier.png": 0}
    content = shown_pictures(folder, "p", ["hard", "soft", "off", "mapless", "failed"], files)
    assert content["size"] == [16, 12]
    numbers = {str(file.relative_to(folder)): number for file, number in files.items()}
    assert content["shown"] == [
        {"label": "source A", "kind": "source", "picture": numbers["p-A.png"]},
        {"label": "source B", "kind": "source", "picture": numbers["p-B.png"]},
        {"label": "hard", "kind": "result", "weights": numbers["hard/p-map.png"]},
        {"label": "hard", "kind": "map", "picture": numbers["hard/p-map.png"]},
        {"label": "soft", "kind": "result", "weights": numbers["soft/p-map.png"]},
        {"label": "soft", "kind": "map", "picture": numbers["soft/p-map.png"]},
        {"label": "off", "kind": "result", "picture": numbers["off/p-fused.png"]},
        {"label": "off", "kind": "map", "picture": numbers["off/p-map.png"]},
        {"label": "mapless", "kind": "result", "picture": numbers["mapless/p-fused.png"]},
    ]
    assert sorted(files.values()) == list(range(8))


def test_the_truth_is_shown(folder: Path) -> None:
    write_image(folder / "p-sharp.png", np.zeros((12, 16, 3), np.uint8))
    write_image(folder / "p-map.png", np.zeros((12, 16), np.uint8))
    shown = shown_pictures(folder, "p", [], {})["shown"]
    assert [(item["label"], item["kind"]) for item in shown[2:]] == [("truth", "result"), ("truth", "map")]


def test_without_pictures(tmp_path: Path) -> None:
    assert shown_pictures(tmp_path, "p", ["gf"], {}) == {"size": None, "shown": []}
