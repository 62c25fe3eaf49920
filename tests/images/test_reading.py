"""Images against what Pillow, tifffile and hand-written files say they hold."""

import errno
import io
import os
import random
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from mfif.errors import InputError
from mfif.images import find_images, image_size, read_image, read_photo

RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (11, 13), dtype=np.uint8)
RGB = RNG.integers(0, 256, (11, 13, 3), dtype=np.uint8)
DEEP_GRAY = RNG.integers(0, 65536, (11, 13), dtype=np.uint16)
DEEP_RGB = RNG.integers(0, 65536, (11, 13, 3), dtype=np.uint16)
OPAQUE = np.full((11, 13, 1), 65535, np.uint16)
ORIENTATION = 274


def pillow(pixels, form, **options):
    """The bytes Pillow writes for an array or an image of its own."""
    stream = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(stream, form, **options)
    return stream.getvalue()


def tiff(pixels, **options):
    """The bytes tifffile writes."""
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, metadata=None, **options)
    return stream.getvalue()


def png(pixels, colour_type, *chunks):
    """A 16-bit PNG written by hand, as Pillow cannot; `chunks` are pairs of name and body."""
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in parts
    )


def lzw_tiff(pixels):
    """A 16-bit RGB TIFF written by hand around what libtiff makes of its bytes, as gray of six times the width."""
    as_gray = io.BytesIO(pillow(pixels.reshape(len(pixels), -1).view(np.uint8), "TIFF", compression="tiff_lzw"))
    tags = Image.open(as_gray).tag_v2
    (start,), (count,) = tags[273], tags[279]
    strip = as_gray.getvalue()[start : start + count]
    height, width = pixels.shape[:2]
    values = {256: width, 257: height, 259: 5, 262: 2, 273: 16, 277: 3, 278: height, 279: count}
    entries = {tag: struct.pack("<HHII", tag, 4, 1, value) for tag, value in values.items()}
    entries[258] = struct.pack("<HHII", 258, 3, 3, 8)  # three shorts at byte 8
    directory = struct.pack("<H", len(entries)) + b"".join(entries[tag] for tag in sorted(entries)) + bytes(4)
    return struct.pack("<2sHIHHHH", b"II", 42, 16 + count, 16, 16, 16, 0) + strip + directory


def exif(orientation):
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags


def refusal(path, read=read_image):
    """The message of the refusal of a file, held to be clear."""
    with pytest.raises(InputError) as raised:
        read(path)
    message = str(raised.value)
    assert str(path) in message
    assert "\n" not in message
    assert message.endswith(".")
    return message


@pytest.fixture
def stored(tmp_path):
    """Stores bytes under a name that tells nothing and gives its path."""

    def store(content, name="file.bin"):
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return store


# Reading


@pytest.mark.parametrize("pixels", [GRAY, RGB, GRAY[:1, :1], RGB[:1, :1]], ids=["gray", "rgb", "gray 1x1", "rgb 1x1"])
@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("PNG", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "tiff_adobe_deflate"}),
        ("BMP", {}),
        ("PPM", {}),
    ],
)
def test_8_bit_is_read_exactly(stored, pixels, form, options):
    path = stored(pillow(pixels, form, **options))
    read = read_image(path)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, pixels)
    assert image_size(path) == pixels.shape[:2]


@pytest.mark.parametrize("pixels", [GRAY, RGB], ids=["gray", "rgb"])
def test_jpeg_is_read_as_pillow_decodes_it(stored, pixels):
    path = stored(pillow(pixels, "JPEG"), "photo.jpg")
    np.testing.assert_array_equal(read_image(path), np.asarray(Image.open(path)))
    assert read_image(str(path)).shape == pixels.shape


def test_lossless_webp_is_read_exactly(stored):
    np.testing.assert_array_equal(read_image(stored(pillow(RGB, "WEBP", lossless=True))), RGB)


DEEP_FILES = {
    "png": png(DEEP_RGB, 2),
    "png, opaque": png(np.concatenate([DEEP_RGB, OPAQUE], 2), 6),
    "tiff": tiff(DEEP_RGB, photometric="rgb"),
    "tiff, big-endian": tiff(DEEP_RGB, photometric="rgb", byteorder=">"),
    "tiff, big": tiff(DEEP_RGB, photometric="rgb", bigtiff=True),
    "tiff, strips": tiff(DEEP_RGB, photometric="rgb", rowsperstrip=2),
    "tiff, tiles": tiff(DEEP_RGB, photometric="rgb", tile=(16, 16)),
    "tiff, pages": tiff(np.stack([DEEP_RGB, DEEP_RGB[::-1]]), photometric="rgb"),
    "tiff, deflate": tiff(DEEP_RGB, photometric="rgb", compression="zlib"),
    "tiff, deflated differences": tiff(DEEP_RGB, photometric="rgb", compression="zlib", predictor=True),
    "tiff, LZW": lzw_tiff(DEEP_RGB),
    "tiff, planes": tiff(DEEP_RGB.transpose(2, 0, 1), photometric="rgb", planarconfig="separate"),
    "tiff, opaque": tiff(np.concatenate([DEEP_RGB, OPAQUE], 2), photometric="rgb", extrasamples=["unassalpha"]),
    "tiff, opaque, big-endian": tiff(
        np.concatenate([DEEP_RGB, OPAQUE], 2), photometric="rgb", extrasamples=["assocalpha"], byteorder=">"
    ),
    "tiff, opaque, deflate": tiff(
        np.concatenate([DEEP_RGB, OPAQUE], 2), photometric="rgb", extrasamples=["unassalpha"], compression="zlib"
    ),
    "tiff, spare channel": tiff(
        np.concatenate([DEEP_RGB, OPAQUE // 2], 2), photometric="rgb", extrasamples=["unspecified"]
    ),
}


@pytest.mark.parametrize("name", DEEP_FILES)
def test_16_bit_colour_is_read_exactly(stored, name):
    read = read_image(stored(DEEP_FILES[name]))
    assert read.dtype == np.uint16
    assert read.flags.c_contiguous
    np.testing.assert_array_equal(read, DEEP_RGB)


@pytest.mark.parametrize(
    "content",
    [
        pillow(DEEP_GRAY, "PNG"),
        png(DEEP_GRAY, 0),
        pillow(DEEP_GRAY, "TIFF"),
        pillow(DEEP_GRAY, "TIFF", compression="tiff_lzw"),
        tiff(DEEP_GRAY, photometric="minisblack"),
        tiff(DEEP_GRAY, photometric="minisblack", byteorder=">"),
        tiff(DEEP_GRAY, photometric="minisblack", compression="zlib", predictor=True),
        tiff(65535 - DEEP_GRAY, photometric="miniswhite"),
        b"P5\n13 11\n65535\n" + DEEP_GRAY.astype(">u2").tobytes(),
    ],
    ids=["png", "png by hand", "tiff", "LZW", "tifffile", "big-endian", "deflate", "white is zero", "pgm"],
)
def test_16_bit_gray_is_read_exactly(stored, content):
    read = read_image(stored(content))
    assert read.dtype == np.uint16
    np.testing.assert_array_equal(read, DEEP_GRAY)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP", "PPM"])
def test_bilevel_becomes_black_and_white(stored, form):
    black_or_white = np.where(GRAY > 127, 255, 0).astype(np.uint8)
    content = pillow(Image.fromarray(black_or_white).convert("1"), form)
    np.testing.assert_array_equal(read_image(stored(content)), black_or_white)


def test_palette_is_resolved(stored):
    palette = Image.fromarray(RGB).quantize(16)
    for form in ("PNG", "TIFF", "BMP"):
        np.testing.assert_array_equal(read_image(stored(pillow(palette, form))), np.asarray(palette.convert("RGB")))


@pytest.mark.filterwarnings("ignore:Palette images with Transparency")
def test_palette_with_transparency(stored):
    palette = Image.fromarray(RGB).quantize(16)
    used = int(np.asarray(palette)[0, 0])
    assert "transparent" in refusal(stored(pillow(palette, "PNG", transparency=used)))
    content = pillow(palette, "PNG", transparency=bytes([255] * 16))
    np.testing.assert_array_equal(read_image(stored(content)), np.asarray(palette.convert("RGB")))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_alpha_is_dropped_where_opaque_and_refused_elsewhere(stored, mode, form):
    colour = RGB if mode == "RGBA" else GRAY
    alpha = np.full((11, 13), 255, np.uint8)
    opaque = Image.fromarray(np.dstack([colour, alpha]))
    np.testing.assert_array_equal(read_image(stored(pillow(opaque, form))), colour)
    alpha[3, 4] = 254
    pierced = Image.fromarray(np.dstack([colour, alpha]))
    path = stored(pillow(pierced, form))
    assert "has transparent pixels" in refusal(path)
    photo = read_photo(path)
    np.testing.assert_array_equal(photo.pixels, np.asarray(pierced))


def test_alpha_is_turned_with_the_pixels(stored):
    content = pillow(np.dstack([RGB, GRAY]), "PNG", exif=exif(6))
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))))
    np.testing.assert_array_equal(read_photo(stored(content)).pixels, expected)


def test_premultiplied_opaque_alpha_is_dropped(stored):
    pixels = np.dstack([RGB, np.full((11, 13), 255, np.uint8)])
    np.testing.assert_array_equal(read_image(stored(tiff(pixels, photometric="rgb", extrasamples=["assocalpha"]))), RGB)


@pytest.mark.parametrize("form", ["png", "tiff", "tiff, planes"])
def test_16_bit_transparency_is_refused(stored, form):
    pixels = np.concatenate([DEEP_RGB, OPAQUE], 2)
    pixels[3, 4, 3] = 65534
    if form == "png":
        content = png(pixels, 6)
    elif form == "tiff":
        content = tiff(pixels, photometric="rgb", extrasamples=["unassalpha"])
    else:
        planes = pixels.transpose(2, 0, 1)
        content = tiff(planes, photometric="rgb", extrasamples=["unassalpha"], planarconfig="separate")
    assert "has transparent pixels" in refusal(stored(content))
    np.testing.assert_array_equal(read_photo(stored(content)).pixels, pixels)


@pytest.mark.parametrize(("pixels", "colour_type"), [(DEEP_GRAY, 0), (DEEP_RGB, 2)], ids=["gray", "rgb"])
def test_16_bit_transparent_colour_is_refused(stored, pixels, colour_type):
    key = pixels[0, 0].astype(">u2").tobytes()
    assert "16-bit transparency that cannot be kept" in refusal(stored(png(pixels, colour_type, (b"tRNS", key))))


def test_16_bit_premultiplied_alpha_is_refused(stored):
    for form, depth in (("assocalpha", 65535), ("assocalpha", 9), ("unassalpha", 9)):
        pixels = np.dstack([DEEP_RGB, np.full((11, 13), depth, np.uint16)])
        path = stored(tiff(pixels, photometric="rgb", extrasamples=[form]))
        if form == "assocalpha" and depth == 9:
            assert "16-bit transparency that cannot be kept" in refusal(path, read_photo)
        else:
            np.testing.assert_array_equal(read_photo(path).pixels, pixels)


def test_cmyk_becomes_rgb_as_pillow_does_it(stored):
    path = stored(pillow(Image.fromarray(RGB).convert("CMYK"), "JPEG"))
    np.testing.assert_array_equal(read_image(path), np.asarray(Image.open(path).convert("RGB")))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (tiff(GRAY.astype(np.float32)), "floating-point"),
        (tiff(RGB.astype(np.float32), photometric="rgb"), "no PNG, JPEG, TIFF"),
        (tiff(GRAY.astype(np.int32)), "signed, 12- or 32-bit"),
        (tiff(GRAY.astype(np.uint32) << 20), "signed, 12- or 32-bit"),
        (tiff(GRAY.astype(np.int16)), "signed, 12- or 32-bit"),
        (png(DEEP_RGB[..., :2], 4), "16-bit gray-alpha"),
        (tiff(np.concatenate([DEEP_RGB, OPAQUE], 2), photometric="separated"), "16-bit CMYK"),
        (
            b"P6\n13 11\n65535\n" + DEEP_RGB.astype(">u2").tobytes(),
            "16-bit RGB pixels, which cannot be read from a PPM",
        ),
    ],
    ids=["float", "float rgb", "int32", "uint32", "int16", "gray-alpha", "cmyk", "ppm"],
)
def test_pixels_that_would_be_lost_are_refused(stored, content, words):
    assert words in refusal(stored(content))


# Orientation


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_as_pillow_does_it(stored, orientation):
    for form in ("JPEG", "PNG", "TIFF", "WEBP"):
        content = pillow(RGB, form, exif=exif(orientation))
        expected = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
        np.testing.assert_array_equal(read_image(stored(content)), np.asarray(expected), err_msg=form)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_16_bit_orientation_is_that_of_an_8_bit_twin(stored, orientation):
    tag = {"extratags": [(ORIENTATION, "H", 1, orientation, True)]}
    turned = {
        "png": png(DEEP_RGB, 2, (b"eXIf", exif(orientation).tobytes()[6:])),
        "tiff": tiff(DEEP_RGB, photometric="rgb", **tag),
        "deflate": tiff(DEEP_RGB, photometric="rgb", compression="zlib", **tag),
        "planes": tiff(DEEP_RGB.transpose(2, 0, 1), photometric="rgb", planarconfig="separate", **tag),
        "gray": tiff(DEEP_RGB[..., 0], photometric="minisblack", **tag),
        "gray, deflate": tiff(DEEP_RGB[..., 0], photometric="minisblack", compression="zlib", **tag),
    }
    twin = pillow((DEEP_RGB >> 8).astype(np.uint8), "PNG", exif=exif(orientation))
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(twin))))
    for name, content in turned.items():
        read = read_image(stored(content))
        assert read.dtype == np.uint16
        np.testing.assert_array_equal(read >> 8, expected[..., 0] if "gray" in name else expected, err_msg=name)


def test_damaged_exif_does_not_stop_a_good_photo(stored):
    assert read_image(stored(pillow(RGB, "JPEG", exif=b"Exif\0\0garbage"))).shape == RGB.shape


# Files that are no images, or not whole


WHOLE = {
    "png": pillow(RGB, "PNG"),
    "jpeg": pillow(RGB, "JPEG"),
    "tiff": pillow(RGB, "TIFF"),
    "tiff, deflate": pillow(RGB, "TIFF", compression="tiff_adobe_deflate"),
    "bmp": pillow(RGB, "BMP"),
    "webp": pillow(RGB, "WEBP"),
    "ppm": pillow(RGB, "PPM"),
    "16-bit gray png": pillow(DEEP_GRAY, "PNG"),
    "16-bit gray tiff": tiff(DEEP_GRAY, photometric="minisblack"),
} | {f"16-bit {name}": content for name, content in DEEP_FILES.items()}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", [name for name in WHOLE if "pages" not in name])  # the first of several may be whole
def test_truncated_file_is_refused(stored, name):
    content = WHOLE[name]
    for share in (0.3, 0.5, 0.7):
        refusal(stored(content[: int(len(content) * share)]))


@pytest.mark.parametrize("read", [read_image, image_size])
@pytest.mark.parametrize("content", [b"", b"not an image\n" * 20, b"\x89PNG\r\n\x1a\n"], ids=["empty", "text", "start"])
def test_what_is_no_image_is_refused(stored, content, read):
    refusal(stored(content, "photo.jpg"), read)


def test_a_raw_photograph_is_not_taken_for_its_preview(stored):
    path = stored(tiff(RGB, photometric="rgb"))
    with pytest.raises(InputError, match=r"raw photograph.*16-bit TIFF"):
        read_photo(path.rename(path.with_suffix(".NEF")))


def test_palette_that_is_missing(stored):
    content = bytearray(pillow(GRAY, "PNG"))
    content[25] = 3  # colour type: palette
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    assert "AssertionError" in refusal(stored(content))


@pytest.mark.parametrize("read", [read_image, image_size])
def test_file_that_cannot_be_opened(tmp_path, read):
    assert "There is no image at" in refusal(tmp_path / "none.png", read)
    (tmp_path / "x.png").mkdir()
    assert "Is a directory" in refusal(tmp_path / "x.png", read)
    assert "File name too long" in refusal(tmp_path / ("x" * 300), read)
    (tmp_path / "loop.png").symlink_to("loop.png")
    refusal(tmp_path / "loop.png", read)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_file_without_permission(stored):
    path = stored(WHOLE["png"])
    path.chmod(0)
    assert "Permission denied" in refusal(path)


@pytest.mark.parametrize("name", ["png", "16-bit png", "16-bit tiff"])
def test_decompression_bomb_is_refused(stored, monkeypatch, name):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 11 * 13 // 2 - 1)
    assert "too large" in refusal(stored(WHOLE[name]))


@pytest.mark.filterwarnings("ignore")
def test_damaged_files_give_pixels_or_a_refusal(stored, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500_000)
    draw = random.Random(0)
    refused = 0
    for _ in range(400):
        content = bytearray(WHOLE[draw.choice(list(WHOLE))])
        if draw.random() < 0.3:
            del content[draw.randrange(len(content)) :]
        else:
            reach = draw.choice([len(content), min(len(content), 200)])  # headers are hit as often as pixels
            for _ in range(draw.choice([1, 2, 20])):
                content[draw.randrange(reach)] = draw.choice([0, 255, draw.randrange(256)])
        path = stored(bytes(content))
        try:
            read = read_image(path)
        except InputError:
            refused += 1
        else:
            assert read.dtype in (np.uint8, np.uint16)
            assert read.ndim == 2 or read.shape[2:] == (3,)
    assert 100 < refused < 400


# Folders


def test_images_are_found_by_ending_and_sorted(tmp_path):
    for name in ("b.png", "a.JPG", "c.Tiff", "notes.txt", ".hidden.png", "png", "d.webp"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "e.png").touch()
    (tmp_path / "gone.png").symlink_to("nowhere")
    assert [path.name for path in find_images(tmp_path)] == ["a.JPG", "b.png", "c.Tiff", "d.webp"]
    assert all(path.parent == tmp_path for path in find_images(tmp_path))


def test_folder_that_cannot_be_used(tmp_path, monkeypatch):
    assert "it does not exist" in refusal(tmp_path / "none", find_images)
    (tmp_path / "file.png").touch()
    assert "it is a file" in refusal(tmp_path / "file.png", find_images)
    (tmp_path / "empty").mkdir()
    assert "Found no image in" in refusal(tmp_path / "empty", find_images)

    def deny(folder):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", deny)
    assert "Permission denied. Check its permissions" in refusal(tmp_path, find_images)
