"""What is recorded gives what is computed step by step: on a GPU itself, and with a stand-in for its graph everywhere."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import hydra
import pytest
import torch
from torch import Tensor

from mfif.config import CONFIG_DIR, register_schemas
from mfif.errors import InputError
from mfif.losses import FusionLoss
from mfif.models import ContextTwoStream, TwoStream
from mfif.pair import FocusPair, blend
from mfif.recorded import Recorded, RecordedLoss

cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

TRAININGS = {
    "paper": ["experiment=paper", "network.width=4", "data.crop=32", "data.batch_size=4"],
    "context": ["experiment=context", "network.width=4", "network.detail=2", "data.crop=64", "data.batch_size=2"],
}


@pytest.fixture
def replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recordings anywhere: what replays them computes again, from and into the same memory, as a graph does."""

    def record(self: Recorded, inputs: Sequence[Tensor]) -> None:
        self._inputs = [value.to(self._device, copy=True) for value in inputs]
        self.outputs = self._compute()

        def replay() -> None:
            for there, new in zip(self.outputs, self._compute(), strict=True):
                if there is not None and new is not None:
                    there.copy_(new)

        self._graph = SimpleNamespace(replay=replay)  # type: ignore[assignment]

    monkeypatch.setattr(Recorded, "_record", record)
    monkeypatch.setattr("mfif.module.can_record", lambda device: True)


def train(root: Path, photos: Path, output: Path, *words: str) -> dict[str, Tensor]:
    """Weights, and the state of the optimizer, after eight iterations with a validation in between."""
    import train as entry

    register_schemas()
    length = ["data.crops=12", "data.val_pairs=4", "trainer.max_steps=8", "trainer.val_check_interval=4"]
    with hydra.initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        config = hydra.compose(
            "train", ["photos=folder", f"photos.root={photos}", *length, f"output={output}", "logger=none", *words]
        )
    entry.main(config)
    content = torch.load(output / "checkpoints" / "last.ckpt", weights_only=True)
    moments = content["optimizer_states"][0]["state"]
    return content["state_dict"] | {f"{key}.{name}": v for key, state in moments.items() for name, v in state.items()}


@pytest.mark.parametrize("name", TRAININGS)
@pytest.mark.parametrize("precision", ["32", "bf16-mixed"])
@pytest.mark.usefixtures("replayed")
def test_a_recorded_training_gives_the_same_weights(
    name: str, precision: str, root: Path, photos: Path, tmp_path: Path
) -> None:
    words = [*TRAININGS[name], "trainer=cpu", f"trainer.precision={precision}"]
    plain = train(root, photos, tmp_path / "plain", *words)
    recorded = train(root, photos, tmp_path / "recorded", *words, "graph=true")
    assert plain.keys() == recorded.keys()
    for key, value in plain.items():
        assert torch.equal(recorded[key], value), key


@cuda
@pytest.mark.parametrize("name", TRAININGS)
def test_on_the_accelerator_a_recorded_training_gives_the_same_weights(
    name: str, root: Path, photos: Path, tmp_path: Path
) -> None:
    words = [*TRAININGS[name], "trainer=gpu", "optimizer.fused=true"]
    plain = train(root, photos, tmp_path / "plain", *words)
    recorded = train(root, photos, tmp_path / "recorded", *words, "graph=true")
    for key, value in plain.items():
        # Adam moves a weight by up to its rate however small the gradient, and sums of atomics differ in their order.
        torch.testing.assert_close(recorded[key], value, rtol=0.05, atol=2e-4 if name == "paper" else 2e-2)


@pytest.mark.parametrize(
    ("words", "got"),
    [
        ((), "one CUDA device with graph=true, got 1 of cpu"),
    ],
)
def test_what_cannot_be_recorded_is_said(
    words: Sequence[str], got: str, root: Path, photos: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=got):
        train(root, photos, tmp_path, *TRAININGS["paper"], "trainer=cpu", "graph=true", *words)


@pytest.mark.parametrize(
    ("words", "got"),
    [
        (["+trainer.accumulate_grad_batches=2"], "accumulate_grad_batches=1 with graph=true, got 2"),
    ],
)
@pytest.mark.usefixtures("replayed")
def test_what_a_recording_does_not_go_with_is_said(
    words: Sequence[str], got: str, root: Path, photos: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=got):
        train(root, photos, tmp_path, *TRAININGS["paper"], "trainer=cpu", "graph=true", *words)


def batch(seed: int, count: int) -> FocusPair:
    a, b, alpha, sharp = torch.rand(4, count, 1, 32, 32, generator=torch.Generator().manual_seed(seed)).cuda()
    return FocusPair(a, b, alpha.round(), sharp)


@cuda
@pytest.mark.parametrize("network", [TwoStream(8), ContextTwoStream(8, detail=4)], ids=["two_stream", "context"])
@pytest.mark.parametrize("bfloat16", [False, True])
def test_on_the_accelerator_loss_and_gradients_are_those_of_autograd(network: torch.nn.Module, bfloat16: bool) -> None:
    network.cuda()
    criterion = FusionLoss(cross_entropy=0.1)

    def loss_of(*parts: Tensor) -> Tensor:
        pair = FocusPair(*parts)
        alpha = network(pair.a, pair.b)
        return criterion(blend(pair.a, pair.b, alpha), alpha, pair)

    recorded = RecordedLoss(loss_of, network.parameters())
    # With the third batch the weights are others, with the fifth the shape is.
    for step, count in enumerate((2, 2, 2, 2, 3, 3)):
        pair = batch(step, count)
        if step == 2:
            with torch.no_grad():
                for parameter in network.parameters():
                    parameter.mul_(1.5)
        with torch.autocast("cuda", torch.bfloat16, enabled=bfloat16):
            loss = recorded(*pair)
        found = [parameter.grad for parameter in network.parameters()]
        with torch.autocast("cuda", torch.bfloat16, enabled=bfloat16):
            expected = loss_of(*pair)
        gradients = torch.autograd.grad(expected, list(network.parameters()))
        torch.testing.assert_close(loss, expected.detach(), rtol=1e-4, atol=0)
        for gradient, other in zip(gradients, found, strict=True):
            assert other is not None
            torch.testing.assert_close(other, gradient, rtol=0, atol=0.02 * float(gradient.abs().max()) + 1e-9)
