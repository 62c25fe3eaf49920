"""What a run goes on from."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from mfif.errors import InputError
from mfif.fusion.weights import shipped_weights
from mfif.losses import FusionLoss
from mfif.models import ContextTwoStream, TwoStream
from mfif.module import FusionModule
from mfif.training.runs import find_checkpoint, flatten, start_from

CONFIGURATION = {
    "seed": 0,
    "photos": {"_target_": "folder", "root": "/here"},
    "optimizer": {"lr": 0.1, "betas": [0.9, 0.999]},
    "trainer": {"accelerator": "gpu", "max_steps": 8},
}


def module(**changes: Any) -> FusionModule:
    return FusionModule(
        TwoStream(width=4),
        FusionLoss(),
        partial(torch.optim.Adam, lr=1e-3),
        configuration=CONFIGURATION | changes,
    )


def save(path: Path, step: int) -> None:
    path.parent.mkdir(exist_ok=True)
    content = {
        "state_dict": module().state_dict(),
        "global_step": step,
        "hyper_parameters": {"configuration": CONFIGURATION},
    }
    torch.save(content, path)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for step, name in ((6, "last"), (4, "previous"), (2, "best")):
        save(tmp_path / "checkpoints" / f"{name}.ckpt", step)
    return tmp_path


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path) -> None:
    """Change one bit in the middle, of a weight."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def test_the_last_checkpoint_is_taken_in_silence(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert find_checkpoint(str(run), module(), max_steps=8) == run / "checkpoints" / "last.ckpt"
    assert capsys.readouterr() == ("", "")
    assert find_checkpoint(None, module(), max_steps=8) is None


@pytest.mark.parametrize("damage", [cut, flip, Path.unlink])
def test_the_one_before_is_taken_where_the_last_is_damaged(
    run: Path, capsys: pytest.CaptureFixture[str], damage: Any
) -> None:
    last = run / "checkpoints" / "last.ckpt"
    damage(last)
    assert find_checkpoint(str(run), module(), max_steps=8) == run / "checkpoints" / "previous.ckpt"
    said = capsys.readouterr().err
    assert said == (f"{last} cannot be read; looking for the checkpoint before it.\n" if last.exists() else "")
    cut(run / "checkpoints" / "previous.ckpt")
    assert find_checkpoint(str(run), module(), max_steps=8) == run / "checkpoints" / "best.ckpt"
    cut(run / "checkpoints" / "best.ckpt")
    with pytest.raises(InputError, match=r"best\.ckpt to be a checkpoint"):
        find_checkpoint(str(run), module(), max_steps=8)


def test_a_damaged_file_that_was_named_is_not_replaced_by_another(run: Path) -> None:
    last = run / "checkpoints" / "last.ckpt"
    flip(last)
    with pytest.raises(InputError, match=r"last\.ckpt to be a checkpoint"):
        find_checkpoint(str(last), module(), max_steps=8)


def test_a_run_without_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="ended before its first checkpoint"):
        find_checkpoint(str(tmp_path), module(), max_steps=8)


@pytest.mark.parametrize(("max_steps", "finished"), [(6, True), (5, True), (7, False), (-1, False)])
def test_a_finished_run_is_said_to_be(
    run: Path, capsys: pytest.CaptureFixture[str], max_steps: int, finished: bool
) -> None:
    assert find_checkpoint(str(run), module(), max_steps) == run / "checkpoints" / "last.ckpt"
    said = capsys.readouterr().err
    assert said.startswith(f"{run} has finished: 6 of {max_steps} iterations.") is finished


@pytest.mark.parametrize(
    "allowed",
    [{"trainer": {"accelerator": "cpu"}}, {"photos": {"_target_": "folder", "root": "/there"}}, {"name": "other"}],
)
def test_where_and_how_long_it_runs_may_change(run: Path, allowed: dict[str, Any]) -> None:
    assert find_checkpoint(str(run), module(**allowed), max_steps=8) is not None


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"seed": 1}, "but seed was 0, is 1. Take it"),
        ({"optimizer": {"lr": 0.2, "betas": [0.9, 0.999]}}, "but optimizer.lr was 0.1, is 0.2. Take it"),
        ({"optimizer": {"lr": 0.1}}, "but optimizer.betas was [0.9, 0.999], is None. Take it"),
        ({"loss": {"a": 1, "b": 2, "c": 3, "d": 4}}, "loss.a was None, is 1; loss.b was None, is 2"),
    ],
)
def test_another_configuration_is_refused(run: Path, changes: dict[str, Any], part: str) -> None:
    with pytest.raises(InputError) as raised:
        find_checkpoint(str(run), module(**changes), max_steps=8)
    assert part in str(raised.value)


def test_weights_of_another_version_are_refused(run: Path) -> None:
    wider = FusionModule(TwoStream(width=6), FusionLoss(), torch.optim.Adam, configuration=CONFIGURATION)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"of shape \(6, 1, 3, 3\) for network\.stream_a\.input\.weight, but it has"):
        find_checkpoint(str(run), wider, max_steps=8)


@pytest.mark.parametrize("weights", [".", "checkpoints/last.ckpt"])
def test_a_network_starts_from_a_run(run: Path, weights: str) -> None:
    path = run / "checkpoints" / "last.ckpt"
    content = torch.load(path, weights_only=True)
    content["hyper_parameters"]["configuration"]["network"] = {"_target_": "mfif.models.TwoStream", "width": 4}
    torch.save(content, path)
    network = TwoStream(width=4)
    start_from(str(run / weights), network)
    for key, value in network.state_dict().items():
        assert torch.equal(value, content["state_dict"][f"network.{key}"])


def test_a_network_starts_from_weights_that_ship() -> None:
    network = ContextTwoStream(width=8, detail=4)
    start_from("fast", network)
    halves = load_file(shipped_weights("fast"))
    assert network.state_dict().keys() == halves.keys()
    assert all(torch.equal(value, halves[key].float()) for key, value in network.state_dict().items())


def test_a_network_does_not_start_from_nothing_or_from_another(tmp_path: Path) -> None:
    network = ContextTwoStream(width=4)
    drawn = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(InputError, match=r"no weights at nowhere.*default, fast, paper"):
        start_from("nowhere", network)
    with pytest.raises(InputError, match=r"no checkpoint at .* to go on from"):
        start_from(str(tmp_path), network)
    with pytest.raises(InputError, match=r"network\.width=8 .*network\.detail=4"):
        start_from("fast", network)
    start_from(None, network)
    assert all(torch.equal(value, drawn[key]) for key, value in network.state_dict().items())


def test_flatten() -> None:
    assert flatten({"a": 1, "b": {"c": [2], "d": {"e": None}}, "f": {}}) == {"a": 1, "b.c": [2], "b.d.e": None}
