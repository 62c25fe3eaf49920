import csv
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from mfif.metrics.functional.precision import computing_in

REPO = Path(__file__).resolve().parents[2]


class Golden:
    """The reference values and the images they belong to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = {(row["pair"], row["method"]): row for row in self._read("manifest.csv")}

    def _read(self, name: str) -> list[dict[str, str]]:
        with (self.root / name).open(newline="") as file:
            return list(csv.DictReader(file))

    def values(self, metric: str) -> list[tuple[str, str, str, float]]:
        """(file, pair, method, value) of every stored value of the metric; an error of the reference is a NaN."""
        return [
            (file, row["pair"], row["method"], float(row["value"]))
            for file in ("golden.csv", "matlab.csv")
            for row in self._read(file)
            if row["metric"] == metric
        ]

    def images(self, pair: str, method: str, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """Fused image and both sources, (1, 1, H, W) in [0, 1], 0..255 for uint8."""
        files = self.files[pair, method]
        images = (torch.from_numpy(np.array(Image.open(self.root / files[key])))[None, None] for key in "FAB")
        return tuple(image if dtype == torch.uint8 else image.to(dtype) / 255 for image in images)


@pytest.fixture(autouse=True)
def same_everywhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One thread, to keep the time of many small runs steady on shared cores; float64 sums, also on a Mac."""
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def golden(shared: Path) -> Golden:
    return Golden(shared / "golden")


@pytest.fixture(scope="session")
def lytro(shared: Path) -> Path:
    return shared / "data" / "lytro"


@pytest.fixture
def meets_golden(golden: Golden) -> Callable[..., None]:
    """Check a score of (fused, a, b) against every stored value of a metric, of which there are `rows`."""

    def check(metric: str, score: Callable[..., Tensor], dtype: torch.dtype, tolerance: float, rows: int = 67) -> None:
        values = golden.values(metric)
        assert len(golden.files) == 67
        assert sum(file == "golden.csv" for file, *_ in values) == rows
        scores: dict[tuple[str, str], float] = {}
        misses = []
        for file, pair, method, want in values:
            if (pair, method) not in scores:
                scores[pair, method] = score(*golden.images(pair, method, dtype)).item()
            got = scores[pair, method]
            # Relative; absolute where the reference is rounding noise around zero.
            scale = abs(want) if abs(want) > 1e-9 else 1.0
            if math.isnan(want) != math.isnan(got) or abs(got - want) > tolerance * scale:
                misses.append((file, pair, method, want, got))
        assert not misses

    return check


@pytest.fixture
def without_float64() -> Iterator[None]:
    """Compute as on a device that has no float64."""
    with computing_in(torch.float32):
        yield


@pytest.fixture
def images() -> tuple[Tensor, Tensor, Tensor]:
    """Fused, a, b of three random scenes, (3, 3, 52, 47), 8-bit levels in [0, 1]: a and b each blurred on one half."""
    generator = torch.Generator().manual_seed(7)
    coarse = torch.rand(3, 3, 13, 12, generator=generator, dtype=torch.float64)
    sharp = torch.nn.functional.interpolate(coarse, (52, 47), mode="bilinear")
    sharp = (sharp + 0.3 * (torch.rand(sharp.shape, generator=generator, dtype=torch.float64) - 0.5)).clamp(0, 1)
    blurred = torch.nn.functional.avg_pool2d(sharp, 5, 1, 2, count_include_pad=False)
    left = (torch.arange(47) < 20).double()
    fused, a, b = sharp.lerp(blurred, 0.2), blurred.lerp(sharp, left), sharp.lerp(blurred, left)
    return tuple((255 * image).round() / 255 for image in (fused, a, b))


@pytest.fixture
def repo_environment() -> dict[str, str]:
    """Environment for a Python process of its own, which finds `mfif` and takes one core."""
    path = os.pathsep.join(filter(None, [str(REPO), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
