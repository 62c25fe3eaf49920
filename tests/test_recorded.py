"""What is recorded gives what is computed step by step: on a GPU, and everywhere with a stand-in for its graph."""

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
from mfif.module import FusionModule
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
        self._outputs = self._compute()

        def replay() -> None:
            for there, new in zip(self._outputs, self._compute(), strict=True):
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
    begun = train(root, photos, tmp_path / "begun", *words, "optimizer.lr=1e-12")
    weights = [key for key in plain if key.startswith("network.")]
    apart, moved = (
        torch.cat([(plain[key] - other[key]).flatten() for key in weights]).norm() for other in (recorded, begun)
    )
    assert apart < 0.1 * moved  # not 0: sums of atomics differ in their order


def test_without_cuda_nothing_is_recorded(root: Path, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="one CUDA device with graph=true, got 1 of cpu"):
        train(root, photos, tmp_path, *TRAININGS["paper"], "trainer=cpu", "graph=true")


@pytest.mark.usefixtures("replayed")
def test_gathered_gradients_are_not_recorded(root: Path, photos: Path, tmp_path: Path) -> None:
    words = ["trainer=cpu", "graph=true", "+trainer.accumulate_grad_batches=2"]
    with pytest.raises(InputError, match="accumulate_grad_batches=1 with graph=true, got 2"):
        train(root, photos, tmp_path, *TRAININGS["paper"], *words)


def batch(seed: int, count: int, device: str) -> FocusPair:
    parts = torch.rand(6, count, 1, 32, 32, generator=torch.Generator().manual_seed(seed)).to(device)
    a, b, alpha, sharp, pristine_a, pristine_b = parts
    return FocusPair(a, b, alpha.round(), sharp, pristine_a, pristine_b)


def compare_with_autograd(network: torch.nn.Module, device: str, bfloat16: bool, tolerance: float) -> None:
    """Loss and gradients of batches between which the weights change, and the shape, beside what autograd gives."""
    network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    criterion = FusionLoss(cross_entropy=0.1, pristine=1)
    parameters = list(network.parameters())

    def loss_of(*parts: Tensor) -> Tensor:
        pair = FocusPair(*parts)
        alpha = network(pair.a, pair.b)
        return criterion(blend(pair.a, pair.b, alpha), alpha, pair)

    recorded = RecordedLoss(loss_of, parameters)
    for step, count in enumerate((2, 2, 2, 2, 3, 3)):
        pair = batch(step, count, device)
        if step == 2:
            with torch.no_grad():
                for parameter in parameters:
                    parameter.mul_(1.5)
        with torch.autocast(device, torch.bfloat16, enabled=bfloat16):
            loss = recorded(*pair)
            expected = loss_of(*pair)
        gradients = torch.autograd.grad(expected, parameters)
        torch.testing.assert_close(loss, expected.detach(), rtol=min(tolerance, 1e-4), atol=0)
        del expected  # while its graph lives, nothing can be recorded
        for parameter, gradient in zip(parameters, gradients, strict=True):
            assert parameter.grad is not None
            assert parameter.grad.stride() == parameter.stride()
            atol = tolerance * float(gradient.abs().max()) + 1e-9
            torch.testing.assert_close(parameter.grad, gradient, rtol=0, atol=atol)


NETWORKS = pytest.mark.parametrize(
    "network", [TwoStream(8), ContextTwoStream(8, detail=4)], ids=["two_stream", "context"]
)


@NETWORKS
@pytest.mark.usefixtures("replayed")
def test_loss_and_gradients_are_those_of_autograd(network: torch.nn.Module) -> None:
    compare_with_autograd(network, "cpu", bfloat16=False, tolerance=0)


@cuda
@NETWORKS
@pytest.mark.parametrize("bfloat16", [False, True])
def test_on_the_accelerator_loss_and_gradients_are_those_of_autograd(network: torch.nn.Module, bfloat16: bool) -> None:
    compare_with_autograd(network, "cuda", bfloat16, tolerance=0.02)


@pytest.mark.usefixtures("replayed")
def test_what_does_not_count_has_no_gradient() -> None:
    used, unused = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(3))
    recorded = RecordedLoss(lambda x: (used * x).sum(), [used, unused])
    assert recorded(torch.tensor([1.0, 2.0])) == 3
    assert torch.equal(used.grad, torch.tensor([1.0, 2.0]))  # type: ignore[arg-type]
    assert recorded(torch.tensor([5.0, 6.0])) == 11
    assert torch.equal(used.grad, torch.tensor([5.0, 6.0]))  # type: ignore[arg-type]
    assert unused.grad is None


def test_two_recordings_in_one_are_refused() -> None:
    with pytest.raises(ValueError, match=r"graphs of its own with `graph`, got 'reduce-overhead'"):
        FusionModule(TwoStream(4), FusionLoss(), torch.optim.Adam, compile="reduce-overhead", graph=True)
