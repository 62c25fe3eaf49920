"""What is written strip by strip is what is fused in memory."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

import mfif
from mfif.errors import InputError
from mfif.fusion.fusers import Fuser
from mfif.fusion.image_fusers import ImageFuser
from mfif.fusion.rasters import FileRaster
from mfif.models import Cnn, TwoStream

STORED: list[dict[str, Any]] = [
    {},
    {"compression": "zlib", "predictor": True, "rowsperstrip": 20},
    {"tile": (64, 32), "compression": "zlib"},
    {"rowsperstrip": 7},
    {"byteorder": ">"},
]


def scene(
    count: int, kind: type = np.uint8, channels: int = 3, height: int = 150, width: int = 170
) -> list[np.ndarray]:
    """Frames, each sharp in a band of its own."""
    texture = np.random.default_rng(0).random((height, width, channels))
    blurred = gaussian_filter(texture, (1.5, 1.5, 0))
    band = np.arange(width) * count // width
    frames = [np.where((band == number)[:, None], texture, blurred) for number in range(count)]
    return [(frame * np.iinfo(kind).max).astype(kind).squeeze() for frame in frames]


def files(folder: Path, frames: list[np.ndarray]) -> list[Path]:
    paths = [folder / f"{number}.tif" for number in range(len(frames))]
    for path, frame, stored in zip(paths, frames, STORED, strict=False):
        tifffile.imwrite(path, frame, photometric="rgb" if frame.ndim == 3 else "minisblack", **stored)
    return paths


def assert_streams(paths: list[Path], method: Any, **options: Any) -> None:
    """The same picture and maps come from memory and from files."""
    whole = mfif.fuse(paths, method, device="cpu", **options)
    output = paths[0].parent / "out" / "fused.tif"
    streamed = mfif.fuse(paths, method, device="cpu", output=output, **options)
    np.testing.assert_array_equal(streamed.image, whole.image)
    np.testing.assert_array_equal(tifffile.imread(output), whole.image)
    for name in ("decision", "index"):
        expected, found = getattr(whole, name), getattr(streamed, name)
        assert (found is None) == (expected is None)
        if found is not None:
            np.testing.assert_array_equal(found, expected)
    assert (streamed.order, streamed.skipped) == (whole.order, whole.skipped)
    assert [path.name for path in output.parent.iterdir()] == ["fused.tif"]


def network(kind: Callable[..., Any]) -> Fuser:
    torch.manual_seed(0)
    return Fuser(kind(width=4).eval())


@pytest.mark.parametrize("count", [2, 5])
@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("default", {}),
        ("laplacian", {"blend_width": 3}),
        ("default", {"refine": "liu2017"}),
        ("pyramid", {}),
        ("gf", {}),
        (network(TwoStream), {}),
        (network(Cnn), {"refine": "small_regions"}),
    ],
    ids=str,
)
def test_the_result_is_that_of_memory(tmp_path: Path, method: Any, options: dict[str, Any], count: int) -> None:
    assert_streams(files(tmp_path, scene(count)), method, tile=64, **options)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_depth(tmp_path: Path, kind: type, channels: int) -> None:
    assert_streams(files(tmp_path, scene(3, kind, channels)), "laplacian", tile=48)


def test_methods_that_need_it_get_the_whole(tmp_path: Path) -> None:
    paths = files(tmp_path, scene(2, height=60, width=70))
    for method in ("im", "mean", "source_b"):
        assert_streams(paths, method)


def test_what_cannot_be_read_by_parts_waits_in_a_file(tmp_path: Path) -> None:
    frames = scene(3)
    paths = files(tmp_path, frames)
    for number, ending in ((1, "png"), (2, "jpg")):
        paths[number] = tmp_path / f"{number}.{ending}"
        Image.fromarray(frames[number]).save(paths[number])
    assert_streams(paths, "laplacian", tile=64)


def test_opacity_and_alignment(tmp_path: Path) -> None:
    frames = scene(3)
    paths = files(tmp_path, frames)
    Image.fromarray(np.dstack([frames[1], frames[1][..., :1]])).save(paths[1])
    assert_streams(paths, "laplacian", tile=64)
    paths = files(tmp_path, [frame[:, shift : shift + 160] for shift, frame in enumerate(scene(3))])
    assert_streams(paths, "laplacian", tile=64, align="translation")


def test_arrays_too(tmp_path: Path) -> None:
    frames = scene(2)
    result = mfif.fuse(frames, "laplacian", output=tmp_path / "f.tif", maps=False)
    np.testing.assert_array_equal(result.image, mfif.fuse(frames, "laplacian").image)
    assert result.index is None


@pytest.mark.parametrize("count", [2, 4])
def test_no_more_than_tiles_is_read_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """In any picture that is higher: what is in memory of the images does not grow with their height."""
    rows = []
    read = FileRaster.__init__

    def spied(self: FileRaster, source: Any, *rest: Any) -> None:
        def spy(top: int, bottom: int) -> Any:
            rows.append(bottom - top)
            return source(top, bottom)

        read(self, spy, *rest)

    monkeypatch.setattr(FileRaster, "__init__", spied)
    method = mfif.load("default")
    reach = method.estimator.receptive_radius
    for height in (700, 1400):
        paths = files(tmp_path, scene(count, height=height, width=90))
        mfif.fuse(paths, method, tile=64, output=tmp_path / "f.tif")
        assert max(rows) <= 1024  # of a comparison of maps, or a strip that is blended
        assert max(rows[: 32 * count]) <= -(-height // 32)  # of the portraits
    assert 64 + 2 * reach in rows


def test_nothing_is_left_where_fusing_fails(tmp_path: Path) -> None:
    paths = files(tmp_path, scene(2))
    output = tmp_path / "out" / "f.tif"

    def fail(decision: Any, a: Any, b: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mfif.fuse(paths, "laplacian", refine=fail, output=output)
    parts = ImageFuser(lambda sources: sources[0] if sources[0].shape[-2] > 30 else fail(*sources, None), tile=64)
    parts.estimator.receptive_radius = 0
    with pytest.raises(KeyboardInterrupt):  # in the last band
        mfif.fuse(paths, parts, output=output, tile=64)
    assert not output.exists()
    assert not any(output.parent.iterdir())


def test_what_cannot_be_written_by_strips(tmp_path: Path) -> None:
    frames = scene(2)
    with pytest.raises(InputError, match=r"Expected a \.tif name"):
        mfif.fuse(frames, "laplacian", output=tmp_path / "f.png")
    with pytest.raises(InputError, match="Expected one image of 8 or 16 bit to write"):
        mfif.fuse([frame / 255 for frame in frames], "laplacian", output=tmp_path / "f.tif")
    batch = torch.zeros(2, 3, 40, 40, dtype=torch.uint8)
    with pytest.raises(InputError, match="got 2 of"):
        mfif.fuse([batch, batch + 1], "laplacian", output=tmp_path / "f.tif")
    assert not list(tmp_path.iterdir())
