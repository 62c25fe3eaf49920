"""TIFFs of several pages: which of them are images of a stack, and that each is read as it was written."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from mfif.errors import InputError
from mfif.images import Page, find_pages, is_deep, open_strips, read_photo

GENERATOR = np.random.default_rng(0)
GRAY = GENERATOR.integers(0, 256, (5, 24, 30), dtype=np.uint8)
RGB = GENERATOR.integers(0, 256, (5, 24, 30, 3), dtype=np.uint8)
DEEP, DEEP_RGB = GRAY.astype(np.uint16) * 201, RGB.astype(np.uint16) * 201


STACKS = {"gray": GRAY, "RGB": RGB, "16-bit gray": DEEP, "16-bit RGB": DEEP_RGB}
FORMS: dict[str, dict[str, Any]] = {
    "plain": {"metadata": None},
    "deflate": {"metadata": None, "compression": "zlib"},
    "big endian": {"metadata": None, "byteorder": ">"},
    "BigTIFF": {"metadata": None, "bigtiff": True},
    "tifffile": {},  # its own description, by which pages after the first are known only roughly
    "tiles": {"compression": "zlib", "tile": (16, 16)},
    "ImageJ": {"imagej": True},
    "OME": {"ome": True},
}


@pytest.mark.parametrize(
    ("stack", "words"),
    [
        pytest.param(stack, words, id=f"{kind}, {form}")
        for kind, stack in STACKS.items()
        for form, words in FORMS.items()
        if (kind, form) != ("16-bit RGB", "ImageJ")  # which it has not
    ],
)
def test_each_page_is_read_as_it_was_written(tmp_path: Path, stack: np.ndarray, words: dict[str, Any]) -> None:
    path = tmp_path / "stack.tif"
    head = {key: words[key] for key in ("imagej", "ome", "bigtiff", "byteorder") if key in words}
    body = {key: value for key, value in words.items() if key not in head}
    if "imagej" in words or "ome" in words:
        body["metadata"] = {"axes": "ZYX" if stack.ndim == 3 else "ZYXS"}
    tifffile.imwrite(path, stack, **head, **body, photometric="rgb" if stack.ndim == 4 else "minisblack")
    pages = find_pages(path)
    assert pages == [Page(path, number) for number in range(5)]
    for page, expected in zip(pages, stack, strict=True):
        np.testing.assert_array_equal(read_photo(page).pixels, expected)
        assert is_deep(page) == (stack.dtype == np.uint16)  # type: ignore[arg-type]
        strips = open_strips(page)  # type: ignore[arg-type]
        assert strips is not None
        np.testing.assert_array_equal(strips.read(0, 24), expected)
        np.testing.assert_array_equal(strips.read(17, 19), expected[17:19])


def test_what_pillow_writes(tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    first, *others = map(Image.fromarray, RGB)
    first.save(path, save_all=True, append_images=others, compression="tiff_lzw")
    for page, expected in zip(find_pages(path), RGB, strict=True):
        np.testing.assert_array_equal(read_photo(page).pixels, expected)


def test_each_page_is_turned_by_its_own_orientation(tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    with tifffile.TiffWriter(path) as writer:
        for page, orientation in zip(GRAY[:3], (1, 3, 1), strict=True):
            writer.write(page, metadata=None, extratags=[(274, "H", 1, orientation, True)])
    for page, expected in zip(find_pages(path), (GRAY[0], GRAY[1, ::-1, ::-1], GRAY[2]), strict=True):
        np.testing.assert_array_equal(read_photo(page).pixels, expected)


def test_previews_are_passed_over(tmp_path: Path) -> None:
    smaller, marked = tmp_path / "smaller.tif", tmp_path / "marked.tif"
    with tifffile.TiffWriter(smaller) as writer:
        writer.write(GRAY[0], metadata=None)
        writer.write(GRAY[0, ::2, ::2], metadata=None)
    assert find_pages(smaller) == [smaller]
    with tifffile.TiffWriter(marked) as writer:
        for number, page in enumerate(GRAY[:3]):
            writer.write(page, metadata=None, subfiletype=1 if number == 1 else 0)
    assert find_pages(marked) == [Page(marked, 0), Page(marked, 2)]
    with tifffile.TiffWriter(marked) as writer:
        for number, page in enumerate(GRAY[:2]):
            writer.write(page, metadata=None, subfiletype=number)
    assert find_pages(marked) == [marked]


@pytest.mark.parametrize(
    ("stack", "axes", "found"),
    [
        (DEEP[:2], "CYX", "2 of C"),
        (DEEP.reshape(5, 2, 12, 30), "ZCYX", "5 of Z x 2 of C"),
        (DEEP[:4].reshape(2, 2, 24, 30), "TZYX", "2 of T x 2 of Z"),
    ],
)
def test_what_differs_in_more_than_depth_is_refused(tmp_path: Path, stack: np.ndarray, axes: str, found: str) -> None:
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, stack, imagej=True, metadata={"axes": axes})
    with pytest.raises(InputError, match=rf"stack.tif to differ in depth alone, got {found} .*Split"):
        find_pages(path)


def test_files_that_name_each_other_are_an_image_each(tmp_path: Path) -> None:
    names = [f"z{number}.ome.tif" for number in range(3)]
    ids = [f"urn:uuid:0000000{number}-0000-0000-0000-000000000000" for number in range(3)]
    planes = "".join(
        f'<TiffData FirstZ="{z}" IFD="0" PlaneCount="1"><UUID FileName="{names[z]}">{ids[z]}</UUID></TiffData>'
        for z in range(3)
    )
    pixels = 'DimensionOrder="XYZCT" Type="uint8" SizeX="30" SizeY="24" SizeZ="3" SizeC="1" SizeT="1"'
    for name, identity, page in zip(names, ids, GRAY, strict=False):
        description = (
            f'<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="{identity}">'
            f'<Image ID="Image:0"><Pixels ID="Pixels:0" {pixels}>{planes}</Pixels></Image></OME>'
        )
        tifffile.imwrite(tmp_path / name, page, metadata=None, description=description)
    with tifffile.TiffFile(tmp_path / names[0]) as file:
        assert file.series[0].shape == (3, 24, 30)  # as tifffile sees the set
    assert find_pages(tmp_path / names[0]) == [tmp_path / names[0]]


def test_many_images_in_one_page_are_told(tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, DEEP, imagej=True, metadata={"axes": "ZYX"}, truncate=True)
    with pytest.raises(InputError, match="5 images in one page"):
        find_pages(path)


def test_what_is_no_tiff_or_cannot_be_opened_is_itself(tmp_path: Path) -> None:
    missing, png, damaged = tmp_path / "missing.tif", tmp_path / "a.png", tmp_path / "damaged.tif"
    Image.fromarray(GRAY[0]).save(png)
    tifffile.imwrite(damaged, RGB, photometric="rgb")
    damaged.write_bytes(damaged.read_bytes()[:9])
    for path in (missing, png, damaged):
        assert find_pages(path) == [path]


def test_a_page_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, GRAY, metadata=None)
    with pytest.raises(InputError, match=r"stack.tif\[5\]"):
        read_photo(Page(path, 5))
