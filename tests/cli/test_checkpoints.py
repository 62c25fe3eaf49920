"""`mfif info` and `mfif export`."""

from pathlib import Path

import pytest
import torch

import mfif
from mfif.cli import main
from mfif.models import TwoStream


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a file of the layout Lightning writes, in the working directory."""
    monkeypatch.chdir(tmp_path)
    network = TwoStream(width=4)
    configuration = {"network": {"_target_": "mfif.models.TwoStream", "width": 4}, "seed": 7, "name": "beetle"}
    content = {
        "epoch": 4,
        "global_step": 1250,
        "state_dict": {f"network.{key}": value for key, value in network.state_dict().items()},
        "callbacks": {
            "best": {"monitor": "val/map_accuracy", "best_model_score": torch.tensor(0.9876)},
            "last": {"monitor": None, "best_model_score": None},
        },
        "hyper_parameters": {"configuration": configuration},
    }
    torch.save(content, "net.ckpt")
    return "net.ckpt"


def test_info(checkpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", checkpoint]) == 0
    lines = capsys.readouterr().out.splitlines()
    count = sum(parameter.numel() for parameter in TwoStream(width=4).parameters())
    assert lines[0].split(maxsplit=1) == ["network", f"TwoStream, {count:,} parameters"]
    assert lines[1].split(maxsplit=1) == ["trained", "1250 iterations, 4 epochs"]
    assert lines[2].split(maxsplit=1) == ["best", "val/map_accuracy 0.9876"]
    assert "  width: 4" in lines
    assert "seed: 7" in lines


def test_the_folder_of_a_run_is_its_best_checkpoint(checkpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("run/checkpoints").mkdir(parents=True)
    last = torch.load(checkpoint, weights_only=True)
    last["global_step"] = 2000
    torch.save(last, "run/checkpoints/last.ckpt")
    assert main(["info", "run"]) == 0
    assert "trained      2000 iterations" in capsys.readouterr().out
    Path(checkpoint).rename("run/checkpoints/best.ckpt")
    assert main(["info", "run"]) == 0
    assert "trained      1250 iterations" in capsys.readouterr().out
    assert main(["export", "run", "--safetensors", "net.safetensors"]) == 0
    a, b = torch.rand(2, 1, 1, 16, 16)
    assert torch.equal(*(mfif.load(name).decision_map(a, b) for name in ("run", "run/checkpoints/best.ckpt")))


def test_info_of_what_is_no_checkpoint(checkpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("none.ckpt", "."):
        assert main(["info", name]) == 1
        assert f"Expected {name} to be a checkpoint" in capsys.readouterr().err


def test_info_of_a_configuration_that_is_no_configuration(checkpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    content = torch.load(checkpoint, weights_only=True)
    content["hyper_parameters"]["configuration"]["seed"] = torch.zeros(3)
    torch.save(content, "odd.ckpt")
    assert main(["info", "odd.ckpt"]) == 1
    assert "error: The configuration in odd.ckpt is not made of plain values" in capsys.readouterr().err


def test_export(checkpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", checkpoint, "--torch-export", "net.pt2"]) == 0
    assert capsys.readouterr().out.startswith("net.pt2: differs from the network by ")
    assert main(["export", checkpoint, "--torch-export", "net.pt2"]) == 1
    assert "net.pt2 exists and is kept" in capsys.readouterr().err
    assert main(["export", checkpoint]) == 1
    assert "Expected --onnx FILE" in capsys.readouterr().err
