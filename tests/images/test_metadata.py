"""Camera data and colour profiles go from any format to any other, as Pillow and tifffile read them."""

import io
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, ImageCms
from PIL.IptcImagePlugin import getiptcinfo
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import IFDRational

from mfif.images import Metadata, read_photo, write_image

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (11, 13, 3), dtype=np.uint8)
DEEP_RGB = RNG.integers(0, 65536, (11, 13, 3), dtype=np.uint16)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GRAY_PROFILE = PROFILE[:16] + b"GRAY" + PROFILE[20:]
ORIENTATION, MAKE, DATE, EXPOSURE, LENS, LATITUDE = 274, 271, 306, 33434, 42036, 2


def camera(orientation: int = 1) -> Image.Exif:
    """What a camera writes, sizes included."""
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKE], exif[DATE] = orientation, "Maker", "2024:05:06 07:08:09"
    exif[ExifTags.Base.StripOffsets] = 77
    exif[ExifTags.IFD.Exif] = {
        EXPOSURE: IFDRational(1, 125),
        LENS: "60 mm macro",
        ExifTags.Base.MakerNote: b"secret\0\1\2 of the maker",
        ExifTags.Base.ExifImageWidth: 4000,
        ExifTags.Base.ExifImageHeight: 3000,
    }
    exif[ExifTags.IFD.GPSInfo] = {1: "N", LATITUDE: (52.0, 30.0, 0.0)}
    return exif


def check_camera(exif: Image.Exif) -> None:
    """All that the camera knew is there, and nothing that speaks of the old pixels."""
    assert (exif[MAKE], exif[DATE]) == ("Maker", "2024:05:06 07:08:09")
    assert ORIENTATION not in exif or exif[ORIENTATION] == 1
    details = exif.get_ifd(ExifTags.IFD.Exif)
    assert details[EXPOSURE] == 1 / 125
    assert details[LENS] == "60 mm macro"
    assert details[ExifTags.Base.MakerNote] == b"secret\0\1\2 of the maker"
    assert exif.get_ifd(ExifTags.IFD.GPSInfo)[LATITUDE] == (52, 30, 0)
    assert not {ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight} & set(details)


@pytest.mark.parametrize("pixels", [RGB, DEEP_RGB], ids=["8 bit", "16 bit"])
@pytest.mark.parametrize("name", ["b.png", "b.tif", "b.jpg", "b.webp"])
@pytest.mark.parametrize("source", ["a.png", "a.tif", "a.jpg", "a.webp"])
def test_camera_data_and_profile_go_along(tmp_path: Path, source: str, name: str, pixels: np.ndarray) -> None:
    if pixels is DEEP_RGB and name in ("b.jpg", "b.webp"):
        pytest.skip("these hold 8 bit")
    Image.fromarray(RGB).save(tmp_path / source, exif=camera().tobytes(), icc_profile=PROFILE)
    metadata = read_photo(tmp_path / source).metadata
    write_image(tmp_path / name, pixels, metadata=metadata)
    with Image.open(tmp_path / name) as written:
        written.load()
        check_camera(written.getexif())
        assert written.info["icc_profile"] == PROFILE
    again = read_photo(tmp_path / name)
    assert again.metadata == metadata
    if name in ("b.png", "b.tif"):
        np.testing.assert_array_equal(again.pixels, pixels)
    if name == "b.tif":
        with tifffile.TiffFile(tmp_path / name) as other:
            assert other.pages[0].tags["Make"].value == "Maker"
            assert other.pages[0].tags["ExifTag"].value["LensModel"] == "60 mm macro"
            np.testing.assert_array_equal(other.asarray(), pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "TIFF", "JPEG", "WEBP"])
def test_orientation_is_applied_once(tmp_path: Path, form: str, orientation: int) -> None:
    Image.fromarray(RGB).save(tmp_path / "a", form, exif=camera(orientation).tobytes())
    photo = read_photo(tmp_path / "a")
    write_image(tmp_path / "b.png", photo.pixels, metadata=photo.metadata)
    again = read_photo(tmp_path / "b.png")
    np.testing.assert_array_equal(again.pixels, photo.pixels)
    check_camera(Image.open(tmp_path / "b.png").getexif())


def test_profile_of_other_colours_is_left_out(tmp_path: Path) -> None:
    for mode, profile, kept in (
        ("RGB", GRAY_PROFILE, None),
        ("L", PROFILE, None),
        ("L", GRAY_PROFILE, GRAY_PROFILE),
        ("RGB", b"short", None),
    ):
        Image.fromarray(RGB).convert(mode).save(tmp_path / "a.tif", icc_profile=profile)
        assert read_photo(tmp_path / "a.tif").metadata == Metadata(None, kept)
    cmyk = PROFILE[:16] + b"CMYK" + PROFILE[20:]
    Image.fromarray(RGB).convert("CMYK").save(tmp_path / "a.jpg", icc_profile=cmyk)
    assert read_photo(tmp_path / "a.jpg").metadata == Metadata()


def test_gray_profile_is_not_given_to_colours(tmp_path: Path) -> None:
    for name, kept in (("a.png", GRAY_PROFILE), ("a.tif", GRAY_PROFILE), ("a.jpg", GRAY_PROFILE), ("a.webp", None)):
        write_image(tmp_path / name, RGB[..., 0], Metadata(None, GRAY_PROFILE))
        assert Image.open(tmp_path / name).info.get("icc_profile") == kept


def test_no_metadata(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.png")
    assert read_photo(tmp_path / "a.png").metadata == Metadata()


@pytest.mark.filterwarnings("ignore:Truncated File Read")
def test_damaged_camera_data_is_left_out(tmp_path: Path) -> None:
    for junk in (b"Exif\0\0garbage", b"Exif\0\0" + b"\xff" * 40, camera().tobytes()[:60]):
        Image.fromarray(RGB).save(tmp_path / "a.jpg", exif=junk, icc_profile=PROFILE)
        photo = read_photo(tmp_path / "a.jpg")
        assert photo.metadata.icc_profile == PROFILE
        write_image(tmp_path / "b.tif", photo.pixels, metadata=photo.metadata)


def test_description_by_which_a_program_finds_pages_is_left_out(tmp_path: Path) -> None:
    for description, kept in (("A beetle", True), ('{"shape": [11, 13, 3]}', False), ("ImageJ=1.53", False)):
        stream = io.BytesIO()
        tifffile.imwrite(stream, RGB, photometric="rgb", metadata=None, description=description)
        (tmp_path / "a.tif").write_bytes(stream.getvalue())
        exif = read_photo(tmp_path / "a.tif").metadata.exif or b""
        assert (description.encode() in exif) == kept


XMP = b"""<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
 xmlns:exif="http://ns.adobe.com/exif/1.0/" xmp:Rating="4" tiff:Orientation="6" exif:PixelXDimension='4000'>
<tiff:ImageWidth>4000</tiff:ImageWidth><tiff:Make>Maker</tiff:Make>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""
IPTC = b"\x1c\x02\x78\x00\x08A beetle" + b"\x1c\x02\x19\x00\x06insect" + b"\x1c\x02\x19\x00\x05macro"
CAPTION, KEYWORDS = (2, 120), (2, 25)


def tagged(path: Path) -> None:
    """A photograph with both, written without our code."""
    image = Image.fromarray(RGB)
    if path.suffix == ".tif":
        extra = [(700, 1, len(XMP), XMP, True), (33723, 7, len(IPTC), IPTC, True)]
        tifffile.imwrite(path, RGB, photometric="rgb", metadata=None, extratags=extra)
    elif path.suffix == ".png":
        tags = PngInfo()
        tags.add_itxt("XML:com.adobe.xmp", XMP.decode(), zip=True)
        image.save(path, pnginfo=tags)
    else:
        resource = b"8BIM\x04\x04\0\0" + len(IPTC).to_bytes(4, "big") + IPTC + bytes(len(IPTC) % 2)
        body = b"Photoshop 3.0\0" + resource
        image.save(path, xmp=XMP, extra=b"\xff\xed" + (len(body) + 2).to_bytes(2, "big") + body)


@pytest.mark.parametrize("pixels", [RGB, DEEP_RGB], ids=["8 bit", "16 bit"])
@pytest.mark.parametrize("name", ["b.png", "b.tif", "b.jpg", "b.webp"])
@pytest.mark.parametrize("source", ["a.png", "a.tif", "a.jpg"])
def test_packets_and_records_go_along(tmp_path: Path, source: str, name: str, pixels: np.ndarray) -> None:
    if pixels is DEEP_RGB and name in ("b.jpg", "b.webp"):
        pytest.skip("these hold 8 bit")
    tagged(tmp_path / source)
    metadata = read_photo(tmp_path / source).metadata
    assert (metadata.iptc is None) == (source == "a.png")
    write_image(tmp_path / name, pixels, metadata)
    with Image.open(tmp_path / name) as written:
        written.load()
        packet = written.info["xmp"]
        records = getiptcinfo(written)
        described = ElementTree.fromstring(packet).find(".//{*}Description")
    assert described.get("{http://ns.adobe.com/xap/1.0/}Rating") == "4"
    assert described.find("{http://ns.adobe.com/tiff/1.0/}Make").text == "Maker"
    assert not any(word in packet for word in (b"Orientation", b"ImageWidth", b"PixelXDimension"))
    if source != "a.png" and name in ("b.tif", "b.jpg"):
        assert records == {CAPTION: b"A beetle", KEYWORDS: [b"insect", b"macro"]}
    if name == "b.tif":
        with tifffile.TiffFile(tmp_path / name) as other:
            assert other.pages[0].tags["XMP"].value == packet
            assert (33723 in other.pages[0].tags) == (source != "a.png")
            np.testing.assert_array_equal(other.asarray(), pixels)
    expected = metadata if name in ("b.tif", "b.jpg") else metadata._replace(iptc=None)
    assert read_photo(tmp_path / name).metadata == expected


def test_jpeg_has_room_for_64_kib(tmp_path: Path) -> None:
    long = XMP.replace(b"Maker", b"M" * 70_000)
    for name, kept in (("b.jpg", None), ("b.tif", long), ("b.png", long)):
        write_image(tmp_path / name, RGB, Metadata(None, PROFILE, long, IPTC * 3000))
        with Image.open(tmp_path / name) as written:
            assert written.info.get("xmp") == kept
            assert written.info["icc_profile"] == PROFILE


def test_damaged_packets_and_records_are_left_out(tmp_path: Path) -> None:
    extra = [(700, 1, 7, b"no XML!", True), (33723, 7, 9, b"\x1c\x02\x78\x00\xffcut", True)]
    tifffile.imwrite(tmp_path / "a.tif", RGB, photometric="rgb", metadata=None, extratags=extra)
    photo = read_photo(tmp_path / "a.tif")
    assert photo.metadata.xmp is None
    write_image(tmp_path / "b.jpg", photo.pixels, photo.metadata)
    with Image.open(tmp_path / "b.jpg") as written:
        written.load()
