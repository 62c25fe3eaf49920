"""Exported networks agree with those they come from, at sizes they were not traced with."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mfif.errors import InputError
from mfif.fusion import export
from mfif.fusion.export import export_onnx, export_program
from mfif.models import Cnn, MFNet, PixelCnn, TwoStream

NETWORKS = [TwoStream(width=4), PixelCnn(width=4), MFNet(width=4), Cnn(width=4)]
SHAPE = (2, 1, 19, 30)


def prepared(network: nn.Module) -> nn.Module:
    """As it comes from a checkpoint; its last layer is drawn, so that its output says something."""
    torch.manual_seed(0)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.2)
    return network.eval().to(memory_format=torch.channels_last)


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: type(network).__name__)
def test_onnx(tmp_path: Path, network: nn.Module) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    network = prepared(network)
    assert export_onnx(network, tmp_path / "net.onnx") <= 1e-4
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]  # the weights are inside
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == ["fused" if isinstance(network, MFNet) else "alpha"]
    a, b = torch.rand(2, *SHAPE)
    (result,) = session.run(None, {"a": a.numpy(), "b": b.numpy()})
    np.testing.assert_allclose(result, network(a, b).detach().numpy(), atol=1e-4)


@pytest.mark.parametrize(
    "network", [TwoStream(width=4, antisymmetric=True), *NETWORKS], ids=lambda network: type(network).__name__
)
def test_torch_export(tmp_path: Path, network: nn.Module) -> None:
    network = prepared(network)
    assert export_program(network, tmp_path / "net.pt2") <= 1e-4
    a, b = torch.rand(2, *SHAPE)
    loaded = torch.export.load(tmp_path / "net.pt2").module()
    assert torch.allclose(loaded(a, b), network(a, b), atol=1e-4)


class OtherAt(nn.Module):
    """Does something else at one width, of which a trace knows one side."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a - b if a.shape[-1] == self.width else a * b


@pytest.mark.parametrize(
    ("width", "message"),
    [(47, "OtherAt does not take images of 47x33"), (56, "torch.export cannot follow OtherAt")],
)
def test_a_network_that_torch_fixes_to_sizes_is_refused(tmp_path: Path, width: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        export_program(OtherAt(width), tmp_path / "net.pt2")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (15, 40), (17, 18), (90, 5)], ids=str)
def test_cnn_takes_any_size(tmp_path: Path, size: tuple[int, int]) -> None:
    """In images of one patch across, too, where sizes of one could be taken for constants."""
    network = prepared(Cnn(width=2, light=True))
    export_program(network, tmp_path / "net.pt2")
    loaded = torch.export.load(tmp_path / "net.pt2").module()
    a, b = torch.rand(2, 3, 1, *size)
    assert torch.allclose(loaded(a, b), network(a, b), atol=1e-5)


def test_an_export_that_differs_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    with pytest.raises(InputError, match="differs from the network by 0"):
        export_program(prepared(MFNet(width=4)), tmp_path / "net.pt2")
    assert not list(tmp_path.iterdir())


def test_missing_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "find_spec", lambda name: None if name != "onnx" else importlib.util.find_spec("os"))
    with pytest.raises(InputError, match=r"needs onnxscript, onnxruntime\. Install: pip install 'mfif\[export\]'"):
        export_onnx(MFNet(width=4), tmp_path / "net.onnx")
