"""`mfif fuse`: files in, files out, and what it says of input that cannot be used."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import ExifTags, Image, ImageCms, ImageOps
from scipy.ndimage import gaussian_filter

import mfif
import mfif.models
from mfif.cli import main, scene
from mfif.images import read_photo, write_image

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture
def pair(pair_folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Names of two colour images in the working directory."""
    monkeypatch.chdir(pair_folder)
    return "colour-A.png", "colour-B.png"


def pixels(name: str) -> np.ndarray:
    with Image.open(name) as image:
        return np.asarray(image)


def failure(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What the command says when it cannot do what was asked; it leaves no file behind."""
    before = sorted(os.listdir())
    assert main(["fuse", *words]) == 1
    assert sorted(os.listdir()) == before
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return err


# Results


def test_two_images(pair: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fuse", *pair, "-o", "fused.png"]) == 0
    assert capsys.readouterr().out.startswith("fused.png: 2 images of 80x64, default, ")
    expected = mfif.fuse([pixels(name) for name in pair]).image
    np.testing.assert_array_equal(pixels("fused.png"), expected)


def test_every_pixel_is_that_of_the_source_the_maps_name(pair: tuple[str, str]) -> None:
    words = ["--decision-map", "d.png", "--index-map", "i.png", "--depth-preview", "p.png"]
    assert main(["fuse", *pair, "-o", "fused.png", *words]) == 0
    a, b = map(pixels, pair)
    index = pixels("i.png")
    assert set(np.unique(index)) == {0, 1}
    np.testing.assert_array_equal(pixels("fused.png"), np.where(index[..., None] == 0, a, b))
    np.testing.assert_array_equal(pixels("d.png"), np.where(index == 0, 255, 0))
    assert pixels("p.png").shape == a.shape


def test_order_of_the_files_does_not_matter(pair: tuple[str, str]) -> None:
    for number, names in enumerate((pair, pair[::-1])):
        assert main(["fuse", *names, "-o", f"{number}.png"]) == 0
    np.testing.assert_array_equal(pixels("0.png"), pixels("1.png"))


@pytest.mark.parametrize("channels", [3, 4])
def test_16_bit_tiff_and_png_stay_bit_exact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channels: int) -> None:
    monkeypatch.chdir(tmp_path)
    sources = np.random.default_rng(0).integers(0, 65536, (2, 40, 50, channels), dtype=np.uint16)
    for name, source in zip("ab", sources, strict=True):
        extra = {"extrasamples": ["unassalpha"]} if channels == 4 else {}
        tifffile.imwrite(f"{name}.tif", source, photometric="rgb", **extra)
    assert main(["fuse", "a.tif", "b.tif", "-o", "f.tif", "--index-map", "i.png"]) == 0
    assert main(["fuse", "a.tif", "b.tif", "-o", "f.png"]) == 0
    expected = np.where(pixels("i.png")[..., None] == 0, *sources)
    np.testing.assert_array_equal(tifffile.imread("f.tif"), expected)
    np.testing.assert_array_equal(read_photo("f.png").pixels, expected)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_comes_from_the_chosen_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.chdir(tmp_path)
    sources = np.random.default_rng(0).integers(0, 256, (2, 40, 50, len(mode)), dtype=np.uint8)
    for name, source in zip("ab", sources, strict=True):
        Image.fromarray(source).save(f"{name}.png")
    assert main(["fuse", "a.png", "b.png", "-o", "f.png", "--index-map", "i.png"]) == 0
    np.testing.assert_array_equal(pixels("f.png"), np.where(pixels("i.png")[..., None] == 0, *sources))


def test_profile_and_camera_data_come_from_the_first_and_orientation_is_applied_once(pair: tuple[str, str]) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Orientation] = "Maker", 6
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.FNumber: 2.8}
    for name in pair:
        Image.open(name).save(name, exif=exif.tobytes(), icc_profile=PROFILE)
        exif[ExifTags.Base.Make] = "Other"
    assert main(["fuse", *pair, "-o", "fused.tif", "--method", "source_a"]) == 0
    with Image.open("fused.tif") as fused, Image.open(pair[0]) as first:
        np.testing.assert_array_equal(np.asarray(fused), np.asarray(ImageOps.exif_transpose(first)))
        assert fused.getexif()[ExifTags.Base.Make] == "Maker"
        assert fused.getexif().get(ExifTags.Base.Orientation, 1) == 1
        assert fused.getexif().get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FNumber] == 2.8
        assert fused.info["icc_profile"] == PROFILE


def test_json(pair: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--json", "--align", "translation", "--method", "laplacian", "--index-map", "i.png"]
    assert main(["fuse", *pair, "-o", "fused.png", *words]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary.pop("seconds") > 0
    motions = summary.pop("motions")
    assert [motion["image"] for motion in motions] == list(pair)
    assert all(np.isfinite(motion["residual_after"]) for motion in motions)
    assert summary.pop("width") <= 80
    assert summary.pop("height") <= 64
    assert summary == {
        "inputs": list(pair),
        "skipped": {},
        "apart": {},
        "method": "laplacian",
        "depth": 8,
        "output": "fused.png",
        "index_map": "i.png",
    }


def test_alignment_is_reported_for_each_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    scene_levels = gaussian_filter(np.random.default_rng(0).random((140, 200)), 3)
    levels = (255 * (scene_levels - scene_levels.min()) / np.ptp(scene_levels)).astype(np.uint8)
    for name, left in (("a.png", 0), ("b.png", 4)):
        Image.fromarray(levels[:, left : left + 180]).save(name)
    assert main(["fuse", "a.png", "b.png", "-o", "fused.png", "--align", "translation"]) == 0
    first, second, last = capsys.readouterr().out.splitlines()
    assert first.startswith("a.png: shift ")
    assert second.startswith("b.png: shift ")
    assert sorted(abs(float(line.split()[2])) for line in (first, second)) == pytest.approx([0, 4], abs=0.2)
    assert "(in place)" in first + second
    assert last.startswith("fused.png: 2 images of 17")  # cropped to what both show
    assert main(["fuse", "a.png", "b.png", "-o", "filled.png", "--align", "translation", "--border", "fill"]) == 0
    assert "filled.png: 2 images of 180x140" in capsys.readouterr().out


def test_options_reach_the_fusion(pair: tuple[str, str]) -> None:
    arrays = [pixels(name) for name in pair]
    for number, (words, settings) in enumerate(
        [
            (["--method", "laplacian"], {"method": "laplacian"}),
            (
                ["--method", "laplacian", "--refine", "guided_filter"],
                {"method": "laplacian", "refine": "guided_filter"},
            ),
            (["--blend-width", "3"], {"blend_width": 3}),
            (["--tile", "0", "--device", "cpu"], {"tile": None}),
            (["--tile", "16"], {}),
            (["--precision", "bf16"], {"precision": "bf16"}),
            (["--self-ensemble", "8"], {"self_ensemble": 8}),
            (["--scales", "2"], {"scales": 2}),
        ]
    ):
        assert main(["fuse", *pair, "-o", f"{number}.png", *words]) == 0
        np.testing.assert_array_equal(pixels(f"{number}.png"), mfif.fuse(arrays, **settings).image, err_msg=str(words))


def test_jpeg_of_a_quality(pair: tuple[str, str]) -> None:
    for quality in ("30", "95"):
        assert main(["fuse", *pair, "-o", f"{quality}.jpg", "--quality", quality]) == 0
    assert Path("30.jpg").stat().st_size < Path("95.jpg").stat().st_size


def test_a_folder_and_a_file_is_one_stack(pair: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    Path("stack").mkdir()
    for number, name in enumerate(pair):
        Path(name).rename(f"stack/{number}.png")
    assert main(["fuse", "stack", "-o", "fused.png"]) == 0
    assert "fused.png: 2 images" in capsys.readouterr().out


# What cannot be fused


def test_output_that_exists_is_kept(pair: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    Path("fused.png").write_bytes(b"mine")
    assert "fused.png exists and is kept. Replace it with --force" in failure(capsys, *pair, "-o", "fused.png")
    assert "fused.png exists" in failure(capsys, *pair, "-o", "new.png", "--index-map", "fused.png")
    assert Path("fused.png").read_bytes() == b"mine"
    assert main(["fuse", *pair, "-o", "fused.png", "--force"]) == 0
    assert pixels("fused.png").shape == (64, 80, 3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["colour-A.png"], "two images or more to fuse, got colour-A.png"),
        (["colour-A.png", "none.png"], "There is no image at none.png"),
        (["colour-A.png", "gray-A.png"], "gray"),
        (["colour-A.png", "small.png"], "70"),
        (["colour-A.png", "."], "got a folder among others"),
        (["colour-A.png", "colour-B.png", "-o", "fused.docx"], "Expected a name that ends in one of"),
        (["colour-A.png", "colour-B.png", "-o", "colour-A.png", "--force"], "is one of the images to fuse"),
        (["colour-A.png", "colour-B.png", "--index-map", "fused.png"], "is asked for twice"),
        (["colour-A.png", "colour-B.png", "--method", "defualt"], "Did you mean `default`"),
        (["colour-A.png", "colour-B.png", "--method", "none.ckpt"], "no checkpoint at none.ckpt"),
        (["colour-A.png", "colour-B.png", "--refine", "smal_regions"], "Did you mean `small_regions`"),
        (["colour-A.png", "colour-B.png", "--method", "pyramid", "--index-map", "i.png"], "no map"),
        (["colour-A.png", "colour-B.png", "colour-B.png", "--decision-map", "d.png"], "--index-map"),
        (["colour-A.png", "colour-B.png", "--device", "cuda:99"], "`device` to be one of this machine, got 'cuda:99'"),
        (["colour-A.png", "colour-B.png", "--max-pixels", "5000"], "too large"),
        (["colour-A.png", "colour-B.png", "--quality", "101"], "--quality to be from 1 to 100, got 101"),
        (["colour-A.png", "colour-B.png", "--tile", "-1"], "--tile to be 0 or more"),
        (["colour-A.png", "colour-B.png", "--blend-width", "nan"], "--blend-width to be 0 or more"),
        (["deep.png", "deep.png", "-o", "fused.jpg"], "for 16-bit pixels"),
    ],
)
def test_what_cannot_be_done(
    pair: tuple[str, str], capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    Image.fromarray(pixels(pair[0])[:, :70]).save("small.png")
    write_image("deep.png", pixels(pair[0]).astype(np.uint16) * 257)
    output = [] if "-o" in words else ["-o", "fused.png"]
    assert message in failure(capsys, *words, *output)


def test_limit_on_the_pixels_can_be_lifted(pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert main(["fuse", *pair, "-o", "1.png", "--max-pixels", "0"]) == 0
    assert main(["fuse", *pair, "-o", "2.png", "--max-pixels", "5120"]) == 0  # as many as there are
    assert Image.MAX_IMAGE_PIXELS == 1000  # for the rest of the program


def stack_of_40(folder: Path) -> list[str]:
    """Names of 40 frames, of which number 17 is cut off in the middle."""
    rng = np.random.default_rng(0)
    names = [f"frame-{number:02d}.png" for number in range(40)]
    for name in names:
        Image.fromarray(rng.integers(0, 256, (24, 32), dtype=np.uint8)).save(folder / name)
    content = (folder / names[17]).read_bytes()
    (folder / names[17]).write_bytes(content[: len(content) // 2])
    return names


def test_a_truncated_frame_among_forty_stops_or_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names = stack_of_40(tmp_path)
    assert "frame-17.png is damaged" in failure(capsys, *names, "-o", "fused.png")
    assert main(["fuse", *names, "-o", "fused.png", "--on-error", "skip", "--index-map", "i.png"]) == 0
    out = capsys.readouterr().out
    assert "skipped: frame-17.png is damaged" in out
    assert "fused.png: 39 images" in out
    assert 17 not in pixels("i.png")
    assert main(["fuse", *names, "-o", "fused.png", "--on-error", "skip", "--json", "--force"]) == 0
    assert list(json.loads(capsys.readouterr().out)["skipped"]) == ["frame-17.png"]


def test_first_frame_skipped_gives_no_metadata_of_its_own(
    pair: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("broken.png").write_bytes(Path(pair[0]).read_bytes()[:300])
    Image.open(pair[0]).save(pair[0], icc_profile=PROFILE)
    assert main(["fuse", "broken.png", *pair, "-o", "fused.png", "--on-error", "skip"]) == 0
    assert Image.open("fused.png").info["icc_profile"] == PROFILE
    capsys.readouterr()
    assert "two images that can be read" in failure(capsys, "broken.png", pair[0], "-o", "x.png", "--on-error", "skip")


def test_a_hostile_checkpoint_is_not_executed(pair: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, ("touch pwned",)

    content = {"state_dict": Hostile(), "hyper_parameters": {"configuration": {"network": Hostile()}}}
    torch.save(content, "zipped.ckpt")
    Path("bare.ckpt").write_bytes(pickle.dumps(content))
    for name in ("zipped.ckpt", "bare.ckpt"):
        message = failure(capsys, *pair, "-o", "fused.png", "--method", name)
        assert f"Expected {name} to be a checkpoint" in message
        assert main(["info", name]) == main(["export", name, "--onnx", "x.onnx"]) == 1
        capsys.readouterr()
    assert not Path("pwned").exists()
    pickle.loads(Path("bare.ckpt").read_bytes())  # it would have been
    assert Path("pwned").exists()


def test_interruption_leaves_no_half_file(
    pair: tuple[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(image: Image.Image, path: Path, **options: object) -> None:
        Path(path).write_bytes(b"half")
        raise KeyboardInterrupt

    before = sorted(os.listdir())
    monkeypatch.setattr(Image.Image, "save", interrupt)
    assert main(["fuse", *pair, "-o", "fused.png"]) == 130
    assert sorted(os.listdir()) == before
    assert "Interrupted" in capsys.readouterr().err


def test_tiff_is_written_while_it_is_fused(pair: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"{name}.tif" for name in pair]
    for name, tiff in zip(pair, names, strict=True):
        Image.open(name).save(tiff, icc_profile=PROFILE)
    written = []
    words = ["--tile", "32", "--blend-width", "2", "--decision-map", "d.png", "--index-map", "i.png"]
    for output in ("fused.tif", "fused.png"):
        assert main(["fuse", *names, "-o", output, *words, "--force"]) == 0
        assert capsys.readouterr().out.startswith(f"{output}: 2 images of 80x64, default, ")
        written.append([pixels(name) for name in (output, "d.png", "i.png")])
    for streamed, whole in zip(*written, strict=True):
        np.testing.assert_array_equal(streamed, whole)
    assert Image.open("fused.tif").info["icc_profile"] == PROFILE
    assert "no map" in failure(capsys, *names, "-o", "x.tif", "--method", "pyramid", "--index-map", "x.png")


def test_interruption_of_what_is_written_by_strips_leaves_no_half_file(
    pair: tuple[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("fused.tif").write_bytes(b"old")
    before = sorted(os.listdir())
    made = []

    def interrupt(path: Path, **options: object) -> None:
        made.extend(os.listdir())
        raise KeyboardInterrupt

    monkeypatch.setattr(tifffile, "memmap", interrupt)
    assert main(["fuse", *pair, "-o", "fused.tif", "--force"]) == 130
    assert len(made) == len(before) + 1  # it was written under another name
    assert sorted(os.listdir()) == before
    assert Path("fused.tif").read_bytes() == b"old"


def test_memory_that_does_not_suffice(
    pair: tuple[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhaust(*arguments: object) -> None:
        raise MemoryError

    def exhaust_torch(*arguments: object, **options: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("mfif.fusion.inference.fuse", exhaust_torch)
    assert "Not enough memory" in failure(capsys, *pair, "-o", "fused.png")
    monkeypatch.setattr(scene, "_check_depth", exhaust)
    assert "Not enough memory" in failure(capsys, *pair, "-o", "fused.png")


def test_the_command_itself_waits_for_nothing_it_does_without(pair: tuple[str, str], root: Path) -> None:
    network = {"_target_": "mfif.models.TwoStream", "width": 2, "depth": 1}
    state = {f"network.{name}": weight for name, weight in mfif.models.TwoStream(2, depth=1).state_dict().items()}
    torch.save({"state_dict": state, "hyper_parameters": {"configuration": {"network": network}}}, "network.ckpt")
    words = ["fuse", *pair, "-o", "fused.png", "--json", "--method", "network.ckpt"]
    code = "import sys; from mfif.cli import main; status = main(); print(*sys.modules); sys.exit(status)"
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    *said, modules = done.stdout.splitlines()
    assert json.loads("\n".join(said))["output"] == "fused.png"
    assert Path("fused.png").exists()
    loaded = set(modules.split())
    assert "mfif.models.two_stream" in loaded
    heavy = {"kornia", "lightning", "torchmetrics", "hydra", "skimage", "scipy", "matplotlib", "torch._dynamo"}
    assert not heavy & loaded
