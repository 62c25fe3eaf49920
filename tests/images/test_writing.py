"""What is written is read back by Pillow, tifffile and ourselves, and a failed write leaves the old file."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image

from mfif.errors import InputError
from mfif.files import replacing
from mfif.images import Metadata, open_strips, read_image, read_photo, write_image, write_strips, writing

RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (11, 13), dtype=np.uint8)
RGB = RNG.integers(0, 256, (11, 13, 3), dtype=np.uint8)
DEEP_GRAY = RNG.integers(0, 65536, (11, 13), dtype=np.uint16)
DEEP_RGB = RNG.integers(0, 65536, (11, 13, 3), dtype=np.uint16)
DEVICE_WITHOUT_ROOM = Path("/dev/full")


def refusal(path, write):
    """The message of the refusal of a file, held to be clear."""
    with pytest.raises(InputError) as raised:
        write(path)
    message = str(raised.value)
    assert str(path) in message
    assert "\n" not in message
    assert message.endswith(".")
    return message


@pytest.mark.parametrize("shape", [(11, 13), (11, 13, 3), (1, 1), (1, 1, 3)], ids=str)
@pytest.mark.parametrize("name", ["a.png", "a.PNG", "a.tif", "a.tiff", "a.TIF", "a.bmp", "a.ppm"])
def test_8_bit_round_trip(tmp_path, name, shape):
    pixels = RNG.integers(0, 256, shape, dtype=np.uint8)
    write_image(tmp_path / "new" / name, pixels)
    np.testing.assert_array_equal(read_image(tmp_path / "new" / name), pixels)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "new" / name)), pixels)
    assert os.listdir(tmp_path / "new") == [name]


@pytest.mark.parametrize("shape", [(11, 13), (11, 13, 3), (1, 1), (1, 1, 3)], ids=str)
@pytest.mark.parametrize("name", ["a.png", "a.PNG", "a.tif", "a.tiff", "a.TIF"])
def test_16_bit_round_trip(tmp_path, name, shape):
    pixels = RNG.integers(0, 65536, shape, dtype=np.uint16)
    write_image(str(tmp_path / "new" / name), pixels)
    np.testing.assert_array_equal(read_image(tmp_path / "new" / name), pixels)
    if "png" not in name.lower():
        np.testing.assert_array_equal(tifffile.imread(tmp_path / "new" / name), pixels)
    assert os.listdir(tmp_path / "new") == [name]


def test_16_bit_png_holds_the_pixels(tmp_path):
    write_image(tmp_path / "a.png", DEEP_RGB)
    assert (tmp_path / "a.png").read_bytes()[24:26] == b"\x10\x02"  # 16 bit, RGB
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), DEEP_RGB >> 8)


def test_view_with_gaps_is_written(tmp_path):
    for pixels in (RGB[::2, ::-1], DEEP_RGB[::2, ::-1], DEEP_GRAY[::2, ::-1]):
        write_image(tmp_path / "a.tif", pixels)
        np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), pixels)


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "a.webp"])
def test_lossy_formats_come_close(tmp_path, name):
    smooth = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    write_image(tmp_path / name, np.dstack([smooth] * 3))
    assert np.abs(read_image(tmp_path / name) - smooth[..., None].astype(float)).mean() < 3


@pytest.mark.parametrize("name", ["a.jpg", "a.bmp", "a.webp", "a.ppm"])
@pytest.mark.parametrize("pixels", [DEEP_GRAY, DEEP_RGB], ids=["gray", "rgb"])
def test_16_bit_needs_a_format_that_holds_it(tmp_path, name, pixels):
    message = refusal(tmp_path / name, lambda path: write_image(path, pixels))
    assert "Expected a .png or .tif name for 16-bit pixels" in message
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["a.psd", "a.gif", "a.docx", "a", ".png"])
@pytest.mark.parametrize("pixels", [RGB, DEEP_RGB], ids=["8 bit", "16 bit"])
def test_ending_that_is_not_written(tmp_path, name, pixels):
    assert "Expected a name that ends in one of" in refusal(tmp_path / name, lambda path: write_image(path, pixels))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "pixels",
    [GRAY > 9, GRAY / 255, GRAY[0], RGB[..., :1], np.zeros((11, 13, 5), np.uint8), RGB[None]],
    ids=lambda a: str(a.shape),
)
def test_other_arrays_are_a_mistake_of_the_caller(tmp_path, pixels):
    with pytest.raises(ValueError, match="Expected `pixels` to be uint8 or uint16 of shape") as raised:
        write_image(tmp_path / "a.png", pixels)
    assert not isinstance(raised.value, InputError)


def test_picture_too_large_for_its_format(tmp_path):
    for name in ("a.webp", "a.jpg"):
        message = refusal(tmp_path / name, lambda path: write_image(path, np.zeros((1, 70_000), np.uint8)))
        assert "Could not write" in message
    assert os.listdir(tmp_path) == []


WRITABLE = [
    ("a.png", RGB),
    ("a.jpg", RGB),
    ("a.tif", RGB),
    ("a.tif", DEEP_GRAY),
    ("a.png", DEEP_RGB),
    ("a.tif", DEEP_RGB),
]


@pytest.mark.skipif(not DEVICE_WITHOUT_ROOM.exists(), reason="needs /dev/full")
@pytest.mark.parametrize(("name", "pixels"), WRITABLE, ids=[f"{name} {pixels.dtype}" for name, pixels in WRITABLE])
def test_full_disk_leaves_the_old_file(tmp_path, name, pixels):
    path = tmp_path / name
    path.write_bytes(b"old")
    with replacing(path) as temporary:
        temporary.write_bytes(b"old")
    temporary.symlink_to(DEVICE_WITHOUT_ROOM)
    message = refusal(path, lambda path: write_image(path, pixels))
    assert message.startswith("No room left on the disk")
    assert os.listdir(tmp_path) == [name]
    assert path.read_bytes() == b"old"


def test_failing_encoder_leaves_the_old_file(tmp_path, monkeypatch):
    def fail(image, path, **options):
        Path(path).write_bytes(b"half")
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def fail_bare(path, pixels, mode):
        Path(path).write_bytes(b"half")
        raise Exception("no such luck")

    monkeypatch.setattr(Image.Image, "save", fail)
    monkeypatch.setattr(writing.kornia_io, "write_image_png_u16", fail_bare)
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    assert "Input/output error" in refusal(path, lambda path: write_image(path, RGB))
    assert "no such luck" in refusal(path, lambda path: write_image(path, DEEP_RGB))
    assert os.listdir(tmp_path) == ["a.png"]
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp"])
@pytest.mark.parametrize("channels", [2, 4])
def test_transparent_pixels_keep_their_colour(tmp_path, name, channels):
    pixels = RNG.integers(0, 256, (11, 13, channels), dtype=np.uint8)
    write_image(tmp_path / name, pixels)
    expected = pixels[..., [0, 0, 0, 1]] if (name, channels) == ("a.webp", 2) else pixels
    np.testing.assert_array_equal(read_photo(tmp_path / name).pixels, expected)


def test_16_bit_transparency(tmp_path):
    pixels = RNG.integers(0, 65536, (11, 13, 4), dtype=np.uint16)
    for name in ("a.png", "a.tif"):
        write_image(tmp_path / name, pixels)
        np.testing.assert_array_equal(read_photo(tmp_path / name).pixels, pixels)
    write_image(tmp_path / "gray.tif", pixels[..., 2:])
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "gray.tif"), pixels[..., 2:])
    with pytest.raises(InputError, match=r"Choose a \.tif name"):
        write_image(tmp_path / "gray.png", pixels[..., 2:])


@pytest.mark.parametrize("name", ["a.jpg", "a.bmp", "a.ppm"])
@pytest.mark.parametrize("channels", [2, 4])
def test_transparency_where_there_is_none(tmp_path, name, channels):
    pixels = np.full((11, 13, channels), 255, np.uint8)
    write_image(tmp_path / name, pixels)
    assert read_image(tmp_path / name).shape == ((11, 13) if channels == 2 else (11, 13, 3))
    pixels[3, 4, -1] = 254
    assert "for transparent pixels" in refusal(tmp_path / f"b{name}", lambda path: write_image(path, pixels))


def test_quality_of_jpeg(tmp_path):
    sizes = []
    for quality in (30, 95):
        write_image(tmp_path / "a.jpg", RGB, quality=quality)
        sizes.append((tmp_path / "a.jpg").stat().st_size)
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize("shape", [(11, 7), (11, 7, 2), (11, 7, 3), (11, 7, 4)], ids=str)
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_strips_make_the_file_that_the_whole_makes(tmp_path: Path, kind: type, shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, np.iinfo(kind).max + 1, shape, dtype=kind)
    exif = Image.Exif()
    exif[271] = "Maker"
    metadata = Metadata(exif.tobytes())
    write_image(tmp_path / "whole.tif", pixels, metadata)
    write_strips(tmp_path / "strips.tif", (pixels[top : top + 4] for top in (0, 4, 8)), shape, pixels.dtype, metadata)
    assert (tmp_path / "strips.tif").read_bytes() == (tmp_path / "whole.tif").read_bytes()


def test_what_32_bit_offsets_do_not_reach_is_a_big_tiff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (30, 20, 3), dtype=np.uint16)
    exif = Image.Exif()
    exif[271], exif[ExifTags.IFD.Exif] = "Maker", {ExifTags.Base.LensModel: "60 mm"}
    monkeypatch.setattr("mfif.images.writing._TIFF_ROOM", 1000)
    write_image(tmp_path / "a.tif", pixels, Metadata(exif.tobytes()))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.is_bigtiff
        np.testing.assert_array_equal(file.asarray(), pixels)
        assert file.pages[0].tags["Make"].value == "Maker"
        assert file.pages[0].tags["ExifTag"].value["LensModel"] == "60 mm"
    with Image.open(tmp_path / "a.tif") as image:
        assert image.size == (20, 30)
        assert image.getexif()[271] == "Maker"
    np.testing.assert_array_equal(read_photo(tmp_path / "a.tif").pixels, pixels)
    np.testing.assert_array_equal(open_strips(tmp_path / "a.tif").read(3, 9), pixels[3:9])


def test_strips_that_stop_leave_nothing(tmp_path: Path) -> None:
    def strips() -> Iterator[np.ndarray]:
        yield np.zeros((4, 7), np.uint8)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_strips(tmp_path / "a.tif", strips(), (11, 7), np.dtype(np.uint8), Metadata())
    assert not list(tmp_path.iterdir())
