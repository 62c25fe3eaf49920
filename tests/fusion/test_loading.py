"""Methods by name and from checkpoints, and devices."""

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

import mfif
from mfif.errors import InputError
from mfif.fusion.fusers import Fuser
from mfif.fusion.image_fusers import ImageFuser
from mfif.fusion.loading import choose_device, load, method_names
from mfif.fusion.refine import GuidedFilter, RemoveSmallRegions
from mfif.models import Cnn, MFNet, PixelCnn, TwoStream

Checkpoint = Callable[..., Path]


def test_names() -> None:
    assert {"laplacian", "mean", "source_a", "source_b"} <= set(method_names())
    assert not {"checkpoint", "ideal"} & set(method_names())
    assert all(isinstance(load(name), Fuser | ImageFuser) for name in method_names())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("laplacain", "Did you mean `laplacian`"),
        ("checkpoint", "no method 'checkpoint'"),
        ("nowhere.ckpt", "no checkpoint at nowhere.ckpt"),
        ("runs/nowhere", "no checkpoint at runs/nowhere"),
        (f"{Path(__file__).parent}", "no checkpoint at"),  # a folder that is no run's
    ],
)
def test_unknown_names(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(name)


@pytest.mark.parametrize(("kind", "refined"), [(Cnn, True), (PixelCnn, True), (TwoStream, False)])
def test_maps_are_refined_where_the_paper_does(
    checkpoint: Checkpoint, tmp_path: Path, kind: type[nn.Module], refined: bool
) -> None:
    method = mfif.load(checkpoint(tmp_path / "net.ckpt", kind(width=4), width=4))
    assert isinstance(method, Fuser)
    assert isinstance(method.estimator, kind)
    if not refined:
        assert method.refine is None
        return
    a, b = torch.rand(2, 1, 1, 40, 50)
    decision = (torch.arange(50) < 20).float().expand(1, 1, 40, 50).clone()
    decision[..., 5, 30:49] = 1  # 19 pixels, and 1 % are 20
    cleaned = RemoveSmallRegions(0.01)(decision, a, b)
    assert not torch.equal(cleaned, decision)
    assert method.refine is not None
    assert torch.equal(method.refine(decision, a, b), GuidedFilter(8, 0.1)(cleaned, a, b))


def test_a_network_that_gives_the_image_fuses_each_channel(checkpoint: Checkpoint, tmp_path: Path) -> None:
    network = MFNet(width=4)
    nn.init.normal_(network.image[1].weight, std=0.01)
    method = pickle.loads(pickle.dumps(mfif.load(checkpoint(tmp_path / "net.ckpt", network, width=4))))
    a, b = torch.rand(2, 2, 3, 12, 14)
    image, decision = method.fuse([a, b])
    assert decision is None
    assert image.shape == a.shape
    for channel in range(3):
        part = slice(channel, channel + 1)
        assert torch.allclose(image[:, part], network(a[:, part], b[:, part]).clamp(0, 1), atol=1e-5)
    with pytest.raises(InputError, match="MFNet takes two images, got 3"):
        method.fuse([a, b, a])


def test_devices() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type in ("cpu", "cuda", "mps", "xpu")
    for name in ("cuda:99", "nonsense"):
        with pytest.raises(InputError, match=f"got '{name}'"):
            choose_device(name)
