import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import mfif
from mfif.classical import ConstantMap, LaplacianEnergy
from mfif.errors import InputError
from mfif.inference import Fuser, blend_levels, choose_device, load, load_network, method_names
from mfif.models import TwoStream
from mfif.refine import RemoveSmallRegions


def checkpoint(path: Path, network: nn.Module, **configuration: object) -> Path:
    """A file of the layout Lightning writes."""
    node = {"_target_": f"mfif.models.{type(network).__name__}", **configuration}
    state = {f"network.{key}": value for key, value in network.state_dict().items()}
    torch.save({"state_dict": state, "hyper_parameters": {"configuration": {"network": node}}}, path)
    return path


@pytest.fixture
def images() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.rand(2, 1, 3, 61, 83, generator=generator)
    return a, b


@pytest.mark.parametrize("tile", [7, 16, 32, 61, 80, 83])
@pytest.mark.parametrize("estimator", [TwoStream(width=6), LaplacianEnergy(2.0)])
def test_tiles_change_nothing(estimator: nn.Module, tile: int, images: tuple[Tensor, Tensor]) -> None:
    whole = Fuser(estimator, threshold=None, tile=None).decision_map(*images)
    tiled = Fuser(estimator, threshold=None, tile=tile).decision_map(*images)
    assert (tiled - whole).abs().max() < 1e-6
    assert (Fuser(estimator, tile=tile).decision_map(*images) != Fuser(estimator).decision_map(*images)).sum() == 0


def test_an_estimator_without_a_radius_sees_the_whole_image(images: tuple[Tensor, Tensor]) -> None:
    sizes = []

    def estimator(a: Tensor, b: Tensor) -> Tensor:
        sizes.append(a.shape[-2:])
        return torch.ones_like(a)

    Fuser(estimator, tile=16).decision_map(*images)
    assert sizes == [(61, 83)]


def test_threshold_and_refinement(images: tuple[Tensor, Tensor]) -> None:
    network = TwoStream(width=4)
    soft = Fuser(network, threshold=None).decision_map(*images)
    hard = Fuser(network).decision_map(*images)
    assert torch.equal(hard, (soft >= 0.5).float())
    cleaned = Fuser(network, refine=RemoveSmallRegions(0.01)).decision_map(*images)
    assert torch.equal(cleaned, RemoveSmallRegions(0.01)(hard))


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="tile"):
        Fuser(ConstantMap(1.0), tile=0)
    with pytest.raises(ValueError, match="threshold"):
        Fuser(ConstantMap(1.0), threshold=None, refine=RemoveSmallRegions())


def test_blend_is_exact_at_every_level_of_16_bit() -> None:
    levels = torch.arange(65536).to(torch.uint16).reshape(1, 1, 256, 256)
    other = torch.arange(65535, -1, -1).to(torch.uint16).reshape(1, 1, 256, 256)
    for value, expected in ((1.0, levels), (0.0, other)):
        assert torch.equal(blend_levels(levels, other, torch.full((1, 1, 256, 256), value)), expected)


# The public call.


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3), (1, 1), (3, 3, 3)])
def test_arrays_keep_type_range_and_layout(dtype: type, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    white = 1 if np.issubdtype(dtype, np.floating) else np.iinfo(dtype).max
    a, b = (rng.random((2, *shape)) * white).astype(dtype)
    fused, alpha = mfif.fuse([a, b], method="laplacian")
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
    fused, alpha = mfif.fuse([a, b], method="laplacian")
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
    assert all(map(np.array_equal, from_paths, mfif.fuse(list(arrays), method="laplacian")))


def test_mean_is_rounded() -> None:
    a, b = np.array([[10, 11, 255]], np.uint8), np.array([[20, 12, 255]], np.uint8)
    fused, alpha = mfif.fuse([a, b], method="mean")
    assert fused.tolist() == [[15, 12, 255]]
    assert alpha.tolist() == [[0.5, 0.5, 0.5]]


def test_references_select_their_source() -> None:
    a, b = np.zeros((4, 4), np.uint8), np.ones((4, 4), np.uint8)
    assert (mfif.fuse([a, b], method="source_a")[0] == 0).all()
    assert (mfif.fuse([a, b], method="source_b")[0] == 1).all()


def test_a_loaded_method_can_be_used_again(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "net.ckpt", TwoStream(width=4), width=4)
    a, b = np.random.default_rng(0).random((2, 16, 16)).astype(np.float32)
    method = mfif.load(path)
    assert all(map(np.array_equal, mfif.fuse([a, b], method=method), mfif.fuse([a, b], method=str(path))))


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        ([np.zeros((4, 4), np.uint8)], ValueError, "two images, got 1"),
        ([np.zeros((4, 4), np.uint8)] * 3, ValueError, "two images, got 3"),
        ([np.zeros((4, 4), np.uint8), np.zeros((4, 5), np.uint8)], ValueError, "one size"),
        (
            [np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint16)],
            ValueError,
            "one size, number of channels and type",
        ),
        ([np.zeros((4, 4, 4), np.uint8)] * 2, ValueError, r"\(H, W, 3\).*got shape \(4, 4, 4\)"),
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


# Methods by name, and checkpoints.


def test_names() -> None:
    assert {"laplacian", "mean", "source_a", "source_b"} <= set(method_names())
    assert all(isinstance(load(name), Fuser) for name in method_names())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("laplacain", "Did you mean `laplacian`"),
        ("checkpoint", "no method 'checkpoint'"),
        ("nowhere.ckpt", "no checkpoint at nowhere.ckpt"),
        ("runs/nowhere", "no checkpoint at runs/nowhere"),
    ],
)
def test_unknown_names(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(name)


@pytest.mark.parametrize("settings", [{"width": 4}, {"width": 6, "shared_streams": False, "squash": "clamp"}])
def test_a_checkpoint_gives_the_network_back(tmp_path: Path, settings: dict[str, object]) -> None:
    network = TwoStream(**settings)  # type: ignore[arg-type]
    loaded = load_network(checkpoint(tmp_path / "net.ckpt", network, **settings))
    a, b = torch.rand(2, 1, 1, 12, 12)
    assert not loaded.training
    assert torch.allclose(loaded(a, b), network(a, b), atol=1e-6)  # features lie otherwise in memory


def test_files_that_are_no_checkpoint(tmp_path: Path) -> None:
    text, empty, other, cut = (tmp_path / name for name in ("text.ckpt", "empty.ckpt", "other.ckpt", "cut.ckpt"))
    text.write_text("hello")
    empty.touch()
    torch.save({"weights": torch.zeros(3)}, other)
    cut.write_bytes(checkpoint(tmp_path / "net.ckpt", TwoStream(width=4), width=4).read_bytes()[:5000])
    for path in (text, empty, other, cut):
        with pytest.raises(InputError, match=f"{path.name} to be a checkpoint"):
            load_network(path)


@pytest.mark.parametrize("settings", [{"width": 8}, {"width": 4, "shared_streams": False}, {"width": 4, "depth": 3}])
def test_weights_of_another_shape(tmp_path: Path, settings: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"net\.ckpt do not fit"):
        load_network(checkpoint(tmp_path / "net.ckpt", TwoStream(width=4), **settings))


@pytest.mark.parametrize("target", ["os.system", "torch.nn.Linear", "mfif.models.torch", "mfif.models.two_stream.nn"])
def test_a_checkpoint_cannot_name_anything_else(tmp_path: Path, target: str) -> None:
    path = tmp_path / "hostile.ckpt"
    node = {"_target_": target, "command": f"touch {tmp_path}/pwned"}
    torch.save({"state_dict": {}, "hyper_parameters": {"configuration": {"network": node}}}, path)
    with pytest.raises(InputError, match=r"a network of mfif\.models"):
        load_network(path)
    assert not (tmp_path / "pwned").exists()


def test_a_pickle_is_not_executed(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {tmp_path}/pwned",)

    for path, write in ((tmp_path / "a.ckpt", torch.save), (tmp_path / "b.ckpt", _pickle)):
        write({"state_dict": Hostile()}, path)
        with pytest.raises(InputError, match="cannot be read"):
            load_network(path)
    assert not (tmp_path / "pwned").exists()


def _pickle(content: object, path: Path) -> None:
    path.write_bytes(pickle.dumps(content))


def test_devices() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type in ("cpu", "cuda", "mps", "xpu")
    for name in ("cuda:99", "nonsense"):
        with pytest.raises(InputError, match=f"got '{name}'"):
            choose_device(name)


def test_importing_mfif_is_light(root: Path) -> None:
    code = "import sys, mfif; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True).stdout
    assert not {"torch", "lightning", "kornia", "hydra"} & set(loaded.split())
    with pytest.raises(AttributeError, match="fuze"):
        mfif.fuze  # noqa: B018
