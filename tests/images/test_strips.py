"""Rows of a TIFF are those of the whole picture, however they are stored."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from mfif.errors import InputError
from mfif.images import open_strips, read_photo, write_image

RNG = np.random.default_rng(0)
STORED: list[dict[str, Any]] = [
    {},
    {"rowsperstrip": 1},
    {"rowsperstrip": 7},
    {"byteorder": ">"},
    {"bigtiff": True},
    {"tile": (16, 32)},
    {"compression": "zlib", "rowsperstrip": 9},
    {"compression": "zlib", "predictor": True, "rowsperstrip": 5, "byteorder": ">"},
    {"compression": "zlib", "predictor": True, "tile": (32, 16)},
]
KINDS = [(np.uint8, 1), (np.uint8, 2), (np.uint8, 3), (np.uint8, 4), (np.uint16, 1), (np.uint16, 3), (np.uint16, 4)]


def levels(kind: type, channels: int, height: int = 45, width: int = 53) -> np.ndarray:
    shape = (height, width) if channels == 1 else (height, width, channels)
    return RNG.integers(0, np.iinfo(kind).max + 1, shape, dtype=kind)


def layout(channels: int) -> dict[str, Any]:
    opacity = {"extrasamples": ["unassalpha"]} if channels in (2, 4) else {}
    return {"photometric": "rgb" if channels > 2 else "minisblack", "planarconfig": "contig", **opacity}


@pytest.mark.parametrize("stored", STORED, ids=str)
@pytest.mark.parametrize(("kind", "channels"), KINDS, ids=str)
def test_rows_are_those_of_the_whole(tmp_path: Path, kind: type, channels: int, stored: dict[str, Any]) -> None:
    path = tmp_path / "a.tif"
    pixels = levels(kind, channels)
    tifffile.imwrite(path, pixels, **layout(channels), **stored)
    strips = open_strips(path)
    assert strips is not None
    assert (strips.shape, strips.dtype) == (pixels.shape, pixels.dtype)
    for top, bottom in ((0, 45), (0, 1), (44, 45), (3, 20), (16, 32), (20, 45)):
        np.testing.assert_array_equal(strips.read(top, bottom), pixels[top:bottom])
        assert strips.read(top, bottom).dtype == kind
    np.testing.assert_array_equal(strips.read(0, 45), read_photo(path).pixels)


def test_those_of_pillow_and_of_ours(tmp_path: Path) -> None:
    pixels = levels(np.uint8, 3)
    Image.fromarray(pixels).save(tmp_path / "a.tif", compression="tiff_adobe_deflate")
    Image.fromarray(pixels).save(tmp_path / "b.tif", compression="packbits")
    write_image(tmp_path / "c.tif", pixels)
    for name in ("a.tif", "b.tif", "c.tif"):
        np.testing.assert_array_equal(open_strips(tmp_path / name).read(5, 30), pixels[5:30])


def test_what_has_to_be_decoded_as_a_whole(tmp_path: Path) -> None:
    pixels, gray = levels(np.uint8, 3), levels(np.uint8, 1)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(pixels).save(tmp_path / "a.jpg")
    Image.fromarray(pixels).save(tmp_path / "turned.tif", exif={274: 6}, tiffinfo={274: 6})
    Image.fromarray(pixels).quantize().save(tmp_path / "palette.tif")
    Image.fromarray(pixels).save(tmp_path / "lossy.tif", compression="jpeg")
    Image.fromarray(gray > 99).save(tmp_path / "bits.tif")
    tifffile.imwrite(tmp_path / "planes.tif", np.moveaxis(pixels, -1, 0), photometric="rgb", planarconfig="separate")
    tifffile.imwrite(tmp_path / "white.tif", gray, photometric="miniswhite")
    tifffile.imwrite(tmp_path / "multiplied.tif", levels(np.uint8, 4), photometric="rgb", extrasamples=["assocalpha"])
    tifffile.imwrite(tmp_path / "float.tif", gray.astype(np.float32))
    for path in tmp_path.iterdir():
        assert open_strips(path) is None, path.name


def test_a_single_large_compressed_strip_is_decoded_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tifffile.imwrite(tmp_path / "a.tif", levels(np.uint8, 3), compression="zlib", photometric="rgb")
    assert open_strips(tmp_path / "a.tif") is not None
    monkeypatch.setattr("mfif.images.strips._LARGEST_SEGMENT", 1000)
    assert open_strips(tmp_path / "a.tif") is None


@pytest.mark.parametrize("stored", [{}, {"compression": "zlib", "rowsperstrip": 9}, {"tile": (16, 16)}], ids=str)
def test_a_truncated_file_is_damaged(tmp_path: Path, stored: dict[str, Any]) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, levels(np.uint8, 3), photometric="rgb", **stored)
    with path.open("rb+") as stream:
        stream.truncate(path.stat().st_size - 400)
    strips = open_strips(path)
    if strips is None:  # its directory was at the end
        with pytest.raises(InputError, match=r"a\.tif"):
            read_photo(path)
        return
    strips.read(0, 5)
    with pytest.raises(InputError, match=r"a\.tif is damaged and cannot be decoded"):
        strips.read(20, 45)


def test_other_damage_is_worded(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, levels(np.uint8, 3), photometric="rgb", compression="zlib", rowsperstrip=9)
    strips = open_strips(path)
    content = bytearray(path.read_bytes())
    start = strips._page.dataoffsets[2]
    content[start : start + 40] = bytes(40)
    path.write_bytes(content)
    strips.read(0, 18)
    with pytest.raises(InputError, match="is damaged"):
        strips.read(17, 19)
    path.unlink()
    with pytest.raises(InputError, match="There is no image"):
        strips.read(0, 1)


def test_what_tifffile_says_of_damage_is_not_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, levels(np.uint8, 3), photometric="rgb", metadata=None)
    content = bytearray(path.read_bytes())
    place = content.index(b"\x1a\x01\x05\x00")  # XResolution, a fraction
    content[place + 2 : place + 4] = b"\x77\x77"
    path.write_bytes(content)
    open_strips(path)
    assert not caplog.records
    assert capfd.readouterr().err == ""


def test_the_limit_on_pixels_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(tmp_path / "a.tif", levels(np.uint8, 3))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(InputError, match="--max-pixels"):
        open_strips(tmp_path / "a.tif")


def test_metadata_come_along(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[271] = "Maker"
    Image.fromarray(levels(np.uint8, 3)).save(tmp_path / "a.tif", exif=exif)
    assert open_strips(tmp_path / "a.tif").metadata == read_photo(tmp_path / "a.tif").metadata
    assert b"Maker" in open_strips(tmp_path / "a.tif").metadata.exif
