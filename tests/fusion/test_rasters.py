"""Images in files give the windows that tensors give."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mfif.errors import InputError
from mfif.fusion.rasters import FileRaster, OpaqueRaster, Scratch, with_alpha
from mfif.fusion.tiles import as_tensor

CPU = torch.device("cpu")
WINDOWS = [(slice(0, 4), slice(0, 9)), (slice(2, 3), slice(5, 7)), (slice(7, 11), slice(0, 3)), (slice(None), slice(8))]


def image(kind: torch.dtype, channels: int = 3) -> torch.Tensor:
    values = torch.randint(0, 200, (1, channels, 11, 9), generator=torch.Generator().manual_seed(0))
    return values.to(kind)


@pytest.mark.parametrize("rows", [1, 4, 11])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("kind", [torch.uint8, torch.uint16, torch.int16, torch.float32], ids=str)
def test_laid_down_and_read_again(tmp_path: Path, kind: torch.dtype, channels: int, rows: int) -> None:
    source = image(kind, channels)
    bands = (source[..., top : top + rows, :] for top in range(0, 11, rows))
    raster = Scratch(tmp_path / "new", CPU)(bands, 11)
    assert (raster.shape, raster.dtype) == (source.shape, kind)
    assert torch.equal(as_tensor(raster), source)
    for window in WINDOWS:
        part = raster[..., *window]
        assert torch.equal(part, source[..., *window])
        assert part.dtype == kind
    assert not list((tmp_path / "new").iterdir())  # the file has no name


def test_rows_are_read_once_for_tiles_beside_each_other() -> None:
    read = []

    def rows(top: int, bottom: int) -> np.ndarray:
        read.append((top, bottom))
        return np.arange(20 * 30, dtype=np.uint16).reshape(20, 30)[top:bottom]

    raster = FileRaster(rows, (20, 30), torch.uint16, CPU)
    assert raster.shape == (1, 1, 20, 30)
    for top in (0, 8):
        for left in (0, 10, 20):
            part = raster[..., top : top + 8, left : left + 10]
            assert part[0, 0, 1, 2] == (top + 1) * 30 + left + 2
    assert read == [(0, 8), (8, 16)]


def test_an_alpha_channel_that_is_not_there() -> None:
    source = image(torch.uint8)
    raster = OpaqueRaster(source)
    assert raster.shape == (1, 4, 11, 9)
    for window in WINDOWS:
        part = raster[..., *window]
        assert torch.equal(part[:, :3], source[..., *window])
        assert (part[:, 3] == 255).all()
    assert torch.equal(as_tensor(raster), with_alpha(source))


def test_no_room(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="Could not write"):
        Scratch(tmp_path / "file", CPU)([image(torch.uint8)], 11)
