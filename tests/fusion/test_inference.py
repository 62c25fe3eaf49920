import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage.data import astronaut, immunohistochemistry

import mfif
from mfif.classical import ConstantMap
from mfif.errors import InputError
from mfif.fusion.fusers import Fuser
from mfif.fusion.inference import FuseResult
from mfif.fusion.loading import load
from mfif.fusion.refine import RemoveSmallRegions
from mfif.models import TwoStream
from mfif.pair import luma

Checkpoint = Callable[..., Path]


def assert_equal(one: FuseResult, other: FuseResult) -> None:
    assert np.array_equal(one.image, other.image)
    assert np.array_equal(one.decision, other.decision)
    assert np.array_equal(one.index, other.index)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3), (1, 1), (3, 3, 3)])
def test_arrays_keep_type_range_and_layout(dtype: type, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    white = 1 if np.issubdtype(dtype, np.floating) else np.iinfo(dtype).max
    a, b = (rng.random((2, *shape)) * white).astype(dtype)
    result = mfif.fuse([a, b], method="laplacian")
    fused, alpha = result.image, result.decision
    assert fused.dtype == dtype
    assert fused.shape == shape
    assert alpha.shape == shape[:2]
    mask = alpha if len(shape) == 2 else alpha[..., None]
    assert np.array_equal(fused, np.where(mask == 1, a, b))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32, torch.float16])
@pytest.mark.parametrize("shape", [(1, 20, 30), (3, 20, 30), (2, 3, 20, 30)])
def test_tensors_keep_type_range_and_layout(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    white = 1 if dtype.is_floating_point else torch.iinfo(dtype).max
    a, b = (torch.rand(2, *shape, generator=generator) * white).to(dtype)
    result = mfif.fuse([a, b], method="laplacian")
    fused, alpha = result.image, result.decision
    assert fused.dtype == dtype
    assert fused.shape == shape
    assert alpha.shape == (*shape[:-3], 1, 20, 30)
    assert torch.equal(fused.double(), torch.where(alpha == 1, a.double(), b.double()))


def test_paths_equal_arrays(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = rng.integers(0, 256, (2, 24, 32, 3), dtype=np.uint8)
    for name, array in zip("ab", arrays, strict=True):
        Image.fromarray(array).save(tmp_path / f"{name}.png")
    from_paths = mfif.fuse([tmp_path / "a.png", str(tmp_path / "b.png")], method="laplacian")
    assert_equal(from_paths, mfif.fuse(list(arrays), method="laplacian"))


def test_mean_is_rounded() -> None:
    a, b = np.array([[10, 11, 255]], np.uint8), np.array([[20, 12, 255]], np.uint8)
    result = mfif.fuse([a, b], method="mean")
    assert result.image.tolist() == [[15, 12, 255]]
    assert result.decision.tolist() == [[0.5, 0.5, 0.5]]


@pytest.mark.parametrize("count", [2, 3])
def test_a_method_without_a_map_takes_any_number_of_images(count: int) -> None:
    images = [np.full((16, 16, 3), 40, np.uint8)] * count
    result = mfif.fuse(images, method="pyramid")
    assert np.array_equal(result.image, images[0])
    assert result.decision is None
    assert result.index is None


def test_references_select_their_source() -> None:
    a, b = np.zeros((4, 4), np.uint8), np.ones((4, 4), np.uint8)
    assert (mfif.fuse([a, b], method="source_a").image == 0).all()
    assert (mfif.fuse([a, b], method="source_b").image == 1).all()


def test_a_loaded_method_can_be_used_again(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "net.ckpt", TwoStream(width=4), width=4)
    a, b = np.random.default_rng(0).random((2, 16, 16)).astype(np.float32)
    method = mfif.load(path)
    assert_equal(mfif.fuse([a, b], method=method), mfif.fuse([a, b], method=str(path)))


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        ([], ValueError, "at least two images, got 0"),
        ([np.zeros((4, 4), np.uint8)], ValueError, "at least two images, got 1"),
        ([np.zeros((4, 4), np.uint8)] * 3, InputError, "ConstantMap takes two images, got 3"),
        ([np.zeros((4, 4), np.uint8), np.zeros((4, 5), np.uint8)], ValueError, "one size"),
        (
            [np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint16)],
            ValueError,
            "one size, number of channels and type",
        ),
        ([np.zeros((4, 4, 5), np.uint8)] * 2, ValueError, r"\(H, W, C\).*got shape \(4, 4, 5\)"),
        ([np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.uint8)], ValueError, "image 1 of 4x4 pixels, RGB"),
        ([np.zeros((0, 4), np.uint8)] * 2, ValueError, "got shape"),
        ([np.zeros((4, 4), np.int64)] * 2, TypeError, "uint8, uint16 or floating point"),
        ([np.full((4, 4), 7.0)] * 2, ValueError, r"\[0, 1\], got values from 7 to 7"),
        ([np.full((4, 4), np.nan)] * 2, ValueError, r"\[0, 1\]"),
        ([[[1]], [[2]]], TypeError, "got list"),
        (["nowhere.png", "nowhere.png"], InputError, "nowhere.png"),
    ],
)
def test_images_that_cannot_be_fused(images: list[object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        mfif.fuse(images, method="mean")  # type: ignore[arg-type]


# Many images.


def stack(count: int, dtype: type = np.uint8, channels: int = 3) -> tuple[list[np.ndarray], np.ndarray]:
    """Frames of a slanted scene, each sharp in one band and blurred with the distance to it; and the true index."""
    photo = immunohistochemistry()[:60, :120, :channels]
    band = np.broadcast_to(np.arange(120) * count // 120, (60, 120))
    blurred = np.stack([gaussian_filter(photo.astype(float), (1.5 * step, 1.5 * step, 0)) for step in range(count)])
    frames = [np.take_along_axis(blurred, abs(band - number)[None, ..., None], 0)[0] for number in range(count)]
    white = np.iinfo(dtype).max
    return [np.round(frame * (white / 255)).astype(dtype) for frame in frames], band


@pytest.mark.parametrize("method", ["laplacian", "im", "pyramid", "gf"])
@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_order_of_images_changes_nothing(method: str, count: int) -> None:
    frames, _ = stack(count)
    first = mfif.fuse(frames, method)
    for seed in range(3):
        permutation = np.random.default_rng(seed).permutation(count)
        other = mfif.fuse([frames[number] for number in permutation], method)
        assert np.array_equal(other.image, first.image)
        assert [permutation[number] for number in other.order] == first.order
        if first.index is not None:
            assert np.array_equal(permutation[other.index], first.index)
        if first.decision is not None and permutation[0] == 1:
            assert np.array_equal(other.decision, 1 - first.decision)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_index_finds_the_sharp_bands(dtype: type) -> None:
    frames, band = stack(5, dtype)
    result = mfif.fuse(frames, "laplacian")
    assert result.image.dtype == dtype
    assert result.order in ([0, 1, 2, 3, 4], [4, 3, 2, 1, 0])
    assert (result.index == band).mean() > 0.9
    from_index = np.take_along_axis(np.stack(frames), result.index[None, ..., None].astype(int), 0)[0]
    assert np.array_equal(result.image, from_index)
    assert result.decision is None


def test_files_equal_arrays_and_are_skipped_by_choice(tmp_path: Path) -> None:
    frames, _ = stack(4)
    paths = [tmp_path / f"{number}.png" for number in range(5)]
    for path, frame in zip([paths[0], *paths[2:]], frames, strict=True):
        Image.fromarray(frame).save(path)
    paths[1].write_bytes(paths[0].read_bytes()[:2000])
    with pytest.raises(InputError, match=r"1\.png is damaged"):
        mfif.fuse(paths, "laplacian")
    result = mfif.fuse(paths, "laplacian", on_error="skip")
    assert list(result.skipped) == [1]
    assert "1.png is damaged" in result.skipped[1]
    assert sorted(result.order) == [0, 2, 3, 4]
    expected = mfif.fuse(frames, "laplacian")
    assert np.array_equal(result.image, expected.image)
    assert np.array_equal(result.index, np.array([0, 2, 3, 4])[expected.index])
    with pytest.raises(InputError, match=r"at least two images that can be read, got 1\. .*1\.png"):
        mfif.fuse(paths[:2], "laplacian", on_error="skip")


def test_the_frame_that_differs_is_named(tmp_path: Path) -> None:
    frames, _ = stack(3)
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for path, frame in zip(paths, [*frames[:2], frames[2][:50]], strict=True):
        Image.fromarray(frame).save(path)
    with pytest.raises(ValueError, match=r"0\.png of 120x60 pixels.* and .*2\.png of 120x50 pixels"):
        mfif.fuse(paths, "laplacian")


@pytest.mark.parametrize("channels", [1, 3])
def test_an_alpha_channel_follows_its_pixels(channels: int) -> None:
    frames, _ = stack(3, channels=channels)
    opacities = np.random.default_rng(0).integers(0, 256, (3, 60, 120, 1), np.uint8)
    result = mfif.fuse([np.dstack(pair) for pair in zip(frames, opacities, strict=True)], "laplacian")
    opaque = mfif.fuse(frames, "laplacian")
    assert np.array_equal(result.image[..., :-1], opaque.image)
    assert np.array_equal(result.image[..., -1:], np.take_along_axis(opacities, opaque.index[None, ..., None], 0)[0])
    largest = mfif.fuse([np.dstack(pair) for pair in zip(frames, opacities, strict=True)], "pyramid").image
    assert np.array_equal(largest[..., -1:], opacities.max(0))


def test_images_without_an_alpha_channel_are_opaque() -> None:
    (a, b), _ = stack(2)
    result = mfif.fuse([np.dstack([a, a[..., :1] // 2]), b], "laplacian")
    expected = np.where(result.index == 0, a[..., 0] // 2, 255)
    assert np.array_equal(result.image[..., 3], expected)


def test_refinements_by_name_and_at_the_seam() -> None:
    frames, _ = stack(2)
    plain = mfif.fuse(frames, "laplacian")
    assert np.array_equal(mfif.fuse(frames, "laplacian", refine="none").image, plain.image)
    cleaned = mfif.fuse(frames, "laplacian", refine="small_regions").decision
    expected = RemoveSmallRegions(0.01)(torch.from_numpy(plain.decision)[None, None], None, None)
    assert np.array_equal(cleaned, expected[0, 0])
    blended = mfif.fuse(frames, "laplacian", refine="small_regions", blend_width=3)
    soft = (blended.decision > 0) & (blended.decision < 1)
    assert 0.01 < soft.mean() < 0.3
    assert np.array_equal(blended.decision[~soft], cleaned[~soft])
    assert np.array_equal(blended.image[~soft], np.where(cleaned[..., None] == 1, *frames)[~soft])
    own = mfif.fuse(frames, Fuser(ConstantMap(1.0), refine=lambda decision, a, b: 1 - decision))
    assert np.array_equal(own.image, frames[1])


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        ("laplacian", {"refine": "smal_regions"}, "Did you mean `small_regions`"),
        ("pyramid", {"blend_width": 2}, "cuts its map"),
        ("dsift", {"refine": "small_regions"}, "cuts its map"),
        ("laplacian", {"refine": "guided_filter", "blend_width": 2}, "soft already"),
        ("laplacian", {"tile": 0}, "`tile` to be positive"),
        ("source_a", {}, "ConstantMap takes two images, got 3"),
        ("default", {"precision": "16"}, "`precision` to be 32 or bf16, got '16'"),
        ("laplacian", {"precision": "bf16"}, "`precision` to be 32 for a method without a network"),
        ("pyramid", {"precision": "bf16"}, "`precision` to be 32 for a method that makes no map by a network"),
    ],
)
def test_what_does_not_go_with_a_method(method: str, settings: dict[str, object], message: str) -> None:
    frames, _ = stack(3)
    with pytest.raises(InputError, match=message):
        mfif.fuse(frames, method, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["default", "fast"])
def test_bfloat16_changes_few_pixels(method: str) -> None:
    photo = astronaut()[:240, 100:420]
    blurred = gaussian_filter(photo, (1.0, 1.0, 0))  # little enough that bfloat16 moves the seam
    left = (np.arange(320) < 160)[:, None]
    pair = [np.where(left, photo, blurred), np.where(left, blurred, photo)]
    full, half = (mfif.fuse(pair, method, precision=precision) for precision in ("32", "bf16"))
    assert (full.decision != half.decision).mean() < 0.005
    assert half.decision.dtype == np.float32
    source = np.where(half.decision[..., None] == 1, *pair)
    assert np.array_equal(half.image, source)
    network = load(method).estimator  # type: ignore[union-attr]
    gray = [luma(torch.from_numpy(image).movedim(-1, 0)[None] / 255) for image in pair]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        expected = network(*gray) >= 0.5
    assert np.array_equal(half.decision == 1, expected[0, 0].numpy())
    with torch.no_grad():
        assert not torch.equal(expected, network(*gray) >= 0.5)  # else nothing was asked of it


def test_published_dsift_is_met_to_the_level(shared: Path) -> None:
    files = [*(f"lytro/lytro-05-{source}.png" for source in "AB"), "published/lytro-05-DSIFT.png"]
    a, b, published = (np.array(Image.open(shared / "data" / file).convert("RGB")) for file in files)
    sources = [torch.from_numpy(image).movedim(-1, 0)[None] for image in (a, b)]
    assert np.array_equal(load("dsift").fuse(sources).image[0].movedim(0, -1).numpy(), published)


def test_importing_mfif_is_light(root: Path) -> None:
    code = "import sys, mfif; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True).stdout
    assert not {"torch", "lightning", "kornia", "hydra"} & set(loaded.split())
    with pytest.raises(AttributeError, match="fuze"):
        mfif.fuze  # noqa: B018


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("method", ["fast", "laplacian", "pyramid", "gf"])
def test_progress_ends_where_all_is_done(method: str, count: int) -> None:
    images = np.random.default_rng(0).random((count, 150, 170))
    told: list[tuple[str, float]] = []
    mfif.fuse(list(images), method, tile=64, progress=lambda what, share: told.append((what, share)))
    reading, fusing = ([share for name, share in told if name == what] for what in ("reading", "fusing"))
    assert len(reading) + len(fusing) == len(told)
    assert reading == [(number + 1) / count for number in range(count)]
    assert fusing == sorted(fusing)
    assert fusing[-1] == 1
    assert all(share < 1 for share in fusing[:-1])
