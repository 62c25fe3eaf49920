import json
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from skimage.data import chelsea
from torch import nn

import mfif
from mfif.classical import LaplacianEnergy
from mfif.errors import InputError
from mfif.fusion.weights import SHIPPED, load_network, save_weights, shipped_weights
from mfif.models import ContextTwoStream, TwoStream
from mfif.pair import luma
from mfif.synthesis import BlobTemplates, DiscKernels, Synthesizer

Checkpoint = Callable[..., Path]


@pytest.mark.parametrize(
    ("network", "options"),
    [
        (TwoStream(width=4), {"width": 4}),
        (ContextTwoStream(4, 2), {"width": 4, "levels": 2}),
        (ContextTwoStream(4, 1, detail=2), {"width": 4, "levels": 1, "detail": 2}),
    ],
    ids=["two streams", "context", "a last look"],
)
def test_weights_come_back_in_half_precision(
    checkpoint: Checkpoint, tmp_path: Path, network: nn.Module, options: dict[str, int]
) -> None:
    path = tmp_path / "net.safetensors"
    save_weights(checkpoint(tmp_path / "net.ckpt", network, **options), path)
    loaded = load_network(path)
    assert type(loaded) is type(network)
    assert not loaded.training
    for key, value in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value.half().float())
    assert path.stat().st_size < sum(2 * value.numel() for value in network.parameters()) + 8192
    stored = safetensors.torch.load_file(path)  # as others read it
    assert {value.dtype for value in stored.values()} == {torch.float16}


def test_weights_fuse_as_their_checkpoint_does(checkpoint: Checkpoint, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = ContextTwoStream(4, 2)
    for parameter in network.parameters():
        parameter.data = parameter.data.half().float()  # so that half precision loses nothing
    file = checkpoint(tmp_path / "net.ckpt", network, width=4, levels=2)
    save_weights(file, tmp_path / "net.safetensors")
    images = list(np.random.default_rng(0).integers(0, 256, (2, 33, 47, 3), np.uint8))
    ours, theirs = (mfif.fuse(images, path) for path in (tmp_path / "net.safetensors", file))
    assert np.array_equal(ours.image, theirs.image)
    assert np.array_equal(ours.decision, theirs.decision)


def test_name_of_weights(checkpoint: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"to end in \.safetensors, got .*net\.bin"):
        save_weights(checkpoint(tmp_path / "net.ckpt", TwoStream(width=4), width=4), tmp_path / "net.bin")


def _file(header: object) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no weights",
        struct.pack("<Q", 2**60) + b"{}",
        _file({}),
        _file({"__metadata__": {"network": "no json"}}),
        _file({"__metadata__": {"network": "3"}}),
        _file({"__metadata__": {"other": "{}"}}),
    ],
    ids=["empty", "text", "endless", "bare", "no json", "number", "other"],
)
def test_damaged_weights_are_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"Expected .*net\.safetensors to be weights written by mfif export"):
        load_network(path)


def test_weights_name_networks_of_ours_alone(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    safetensors.torch.save_file({"weight": torch.zeros(1)}, path, {"network": json.dumps({"_target_": "os.system"})})
    with pytest.raises(InputError, match=r"to name a network of mfif\.models"):
        load_network(path)


def test_no_others_ship() -> None:
    with pytest.raises(ValueError, match="Expected `name` to be one of default, fast, paper, got 'best'"):
        shipped_weights("best")


def test_all_that_ship_are_small() -> None:
    assert sum(shipped_weights(name).stat().st_size for name in SHIPPED) <= 8_000_000


@pytest.mark.parametrize("name", SHIPPED)
def test_cards_say_where_weights_come_from(name: str) -> None:
    card = shipped_weights(name).with_suffix(".md").read_text()
    for part in ("Data", "Licence", "Command", "Seed", "Revision", "Cost", "Scores", "Selected"):
        assert f"**{part}" in card


@pytest.mark.parametrize(("name", "accuracy"), [("default", 0.985), ("fast", 0.98), ("paper", 0.9)])
def test_shipped_weights_see_focus(name: str, accuracy: float) -> None:
    """On a photograph and a blur that no training had."""
    sharp = torch.from_numpy(chelsea()[:288, :448].copy()).movedim(-1, 0)[None].float() / 255
    method = mfif.load(name)

    laplacian = LaplacianEnergy(sigma=3.0)

    def scores(noise: float) -> tuple[float, float]:
        synthesizer = Synthesizer(DiscKernels((3.0, 6.0)), BlobTemplates((0.2, 0.5)), noise=noise)
        ours, energy = [], []
        for seed in range(4):
            draw = synthesizer.draw(torch.tensor([0]), torch.Generator().manual_seed(seed))
            pair = synthesizer(sharp, draw)
            seen = method.fuse([(image * 255).round().to(torch.uint8) for image in (pair.a, pair.b)]).decision
            ours.append(float((seen == pair.alpha).float().mean()))
            energy.append(float(((laplacian(luma(pair.a), luma(pair.b)) >= 0.5) == pair.alpha).float().mean()))
        return float(np.mean(ours)), float(np.mean(energy))

    ours, energy = scores(noise=0)
    assert ours > accuracy
    if name == "default":
        assert ours > energy
    if name != "paper":  # whose training had no noise
        ours, energy = scores(noise=0.04)
        assert ours > accuracy
        assert ours > energy


@pytest.mark.parametrize("settings", [{"width": 4}, {"width": 6, "shared_streams": False, "squash": "clamp"}])
def test_a_checkpoint_gives_the_network_back(
    checkpoint: Checkpoint, tmp_path: Path, settings: dict[str, object]
) -> None:
    network = TwoStream(**settings)  # type: ignore[arg-type]
    loaded = load_network(checkpoint(tmp_path / "net.ckpt", network, **settings))
    a, b = torch.rand(2, 1, 1, 12, 12)
    assert not loaded.training
    assert torch.allclose(loaded(a, b), network(a, b), atol=1e-6)  # features lie otherwise in memory


def test_files_that_are_no_checkpoint(checkpoint: Checkpoint, tmp_path: Path) -> None:
    text, empty, other, cut = (tmp_path / name for name in ("text.ckpt", "empty.ckpt", "other.ckpt", "cut.ckpt"))
    text.write_text("hello")
    empty.touch()
    torch.save({"weights": torch.zeros(3)}, other)
    cut.write_bytes(checkpoint(tmp_path / "net.ckpt", TwoStream(width=4), width=4).read_bytes()[:5000])
    for path in (text, empty, other, cut):
        with pytest.raises(InputError, match=f"{path.name} to be a checkpoint"):
            load_network(path)


@pytest.mark.parametrize("settings", [{"width": 8}, {"width": 4, "shared_streams": False}, {"width": 4, "depth": 3}])
def test_weights_of_another_shape(checkpoint: Checkpoint, tmp_path: Path, settings: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"net\.ckpt do not fit"):
        load_network(checkpoint(tmp_path / "net.ckpt", TwoStream(width=4), **settings))


def test_a_network_larger_than_its_weights_takes_no_memory(checkpoint: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"net\.ckpt do not fit"):
        load_network(checkpoint(tmp_path / "net.ckpt", TwoStream(width=4), width=2_000_000))  # of 400 terabytes


def test_weights_of_half_precision_become_whole(checkpoint: Checkpoint, tmp_path: Path) -> None:
    network = load_network(checkpoint(tmp_path / "net.ckpt", TwoStream(width=4).half(), width=4))
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


def test_content_that_is_no_content(tmp_path: Path) -> None:
    for number, content in enumerate(
        ({"state_dict": 3}, {"state_dict": {}, "hyper_parameters": [4]}, {"state_dict": {5: 6}})
    ):
        torch.save({"hyper_parameters": {"configuration": {"network": {}}}, **content}, tmp_path / f"{number}.ckpt")
        with pytest.raises(InputError, match=f"{number}.ckpt to be a checkpoint"):
            load_network(tmp_path / f"{number}.ckpt")


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
