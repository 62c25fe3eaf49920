import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mfif.images import read_image, write_image
from mfif.report.page.embedding import Level, embed, to_8_bit


def decoded(uri: str) -> np.ndarray:
    kind, _, content = uri.partition(",")
    assert kind == "data:image/webp;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Eight pictures of noise, every other one a map."""
    rng = np.random.default_rng(0)
    for index in range(8):
        noise = rng.integers(0, 256, (60, 80, 3)).astype(np.uint8)
        write_image(
            tmp_path / f"{index}.png", noise if index % 2 else np.where(noise[..., 0] > 200, 255, 0).astype("u1")
        )
    return sorted(tmp_path.iterdir())


def test_nothing_is_lost_where_there_is_room(files: list[Path]) -> None:
    uris, level = embed(files, 1_000_000)
    assert level == Level(None, 80)
    for uri, file in zip(uris, files, strict=True):
        pixels = read_image(file)
        assert np.array_equal(decoded(uri), pixels if pixels.ndim == 3 else pixels[..., None].repeat(3, axis=2))


@pytest.mark.parametrize("budget", [70_000, 40_000, 20_000, 8_000])
def test_the_budget_is_kept(files: list[Path], budget: int) -> None:
    uris, level = embed(files, budget)
    assert budget / 4 < sum(map(len, uris)) <= budget
    assert level.quality in (80, 90)
    for uri, file in zip(uris, files, strict=True):
        pixels = decoded(uri)
        assert max(pixels.shape) == level.side
        if read_image(file).ndim == 2:
            assert set(np.unique(pixels)) <= {0, 255}


def test_quality_goes_before_size(files: list[Path]) -> None:
    sizes = [sum(map(len, embed(files, budget)[0])) for budget in (70_000, 55_000)]
    levels = [embed(files, budget)[1] for budget in (1_000_000, *(size + 1 for size in sizes), 8_000)]
    order = [(level.side, level.quality or 100) for level in levels]
    assert order == sorted(order, reverse=True)
    assert levels[-1].side < levels[0].side


def test_16_bit(tmp_path: Path) -> None:
    write_image(tmp_path / "deep.png", np.array([[0, 257, 128 * 257 + 100, 65535]], np.uint16))
    assert to_8_bit(tmp_path / "deep.png").tolist() == [[0, 1, 128, 255]]


def test_no_pictures() -> None:
    assert embed([], 10)[0] == []
