"""Fixtures for all tests."""

import gc
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
collect_ignore = ["elsewhere.py"]  # importing it gives this process another device
LONGEST = (
    "tests/test_cluster.py",
    "tests/test_train.py",
    "tests/test_conf.py",
    "tests/training/test_tracking.py",
    "tests/test_launch.py",
    "tests/test_evaluate.py",
    "tests/training/test_sweeps.py",
    "tests/test_elsewhere.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take minutes, so that at the end no process waits for another."""
    places = {ROOT / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over all tests and imports: an evaluation calls it before each fusion."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def no_job_left() -> Iterator[None]:
    """Let no test find the job that Hydra ran in the one before."""
    yield
    if (hydra_config := sys.modules.get("hydra.core.hydra_config")) is not None:
        hydra_config.HydraConfig.instance().cfg = None


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository, importable, so that tests reach train.py and evaluate.py."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    return ROOT


@pytest.fixture(scope="session")
def train_here(root: Path) -> Callable[..., int]:
    """Run train.py with arguments in this process, in one thread like those of their own; its exit status.

    A process of its own takes three times as long, most of it for imports.
    """
    import torch
    from hydra.core.global_hydra import GlobalHydra

    import train
    from mfif.entry import run_entry_point

    def train_here(*arguments: str) -> int:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        GlobalHydra.instance().clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.argv", ["train.py", *arguments])
            patch.delenv("HYDRA_FULL_ERROR", raising=False)
            try:
                return run_entry_point(train.main, "train")
            finally:
                torch.set_num_threads(threads)

    return train_here


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real pairs and reference values; they lie beside the repository where they are at all."""
    folder = Path(os.environ.get("MFIF_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        reason = f"needs {folder} (real pairs and reference values), absent here"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


def photograph(seed: int, height: int = 72, width: int = 96, channels: int = 3) -> np.ndarray:
    """A picture with edges and texture at several scales, ``(H, W, 3)`` or ``(H, W)`` uint8."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, channels))
    for cell in (24, 8, 3, 1):
        coarse = rng.random((-(-height // cell), -(-width // cell), channels))
        picture += np.kron(coarse, np.ones((cell, cell, 1)))[:height, :width]
    levels = (picture / 4 * 255).astype(np.uint8)
    return levels if channels > 1 else levels[..., 0]


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of six small photographs."""
    folder = tmp_path_factory.mktemp("photos")
    for index in range(6):
        Image.fromarray(photograph(index)).save(folder / f"photo-{index}.png")
    return folder


@pytest.fixture
def scalar_reads() -> Any:
    """Counts, inside ``with``, how often a value of a tensor is read by Python, for which a GPU would be waited for."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    class ScalarReads(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            self.count += func is torch.ops.aten._local_scalar_dense.default
            return func(*args, **(kwargs or {}))

    return ScalarReads()


@pytest.fixture
def pair_folder(tmp_path: Path) -> Path:
    """Two real-looking pairs, colour and gray, each image sharp on one half and blurred on the other."""
    from scipy.ndimage import gaussian_filter

    folder = tmp_path / "pairs"
    folder.mkdir()
    for name, channels in (("colour", 3), ("gray", 1)):
        sharp = photograph(7, 64, 80, channels)
        blurred = gaussian_filter(sharp, (2, 2, 0) if channels == 3 else 2)
        left = np.arange(80) < 40
        mask = left[None, :, None] if channels == 3 else left[None, :]
        Image.fromarray(np.where(mask, sharp, blurred)).save(folder / f"{name}-A.png")
        Image.fromarray(np.where(mask, blurred, sharp)).save(folder / f"{name}-B.png")
    return folder
