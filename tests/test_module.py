import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from torch.utils.data import DataLoader
from torchmetrics import MetricCollection

from mfif.errors import InputError
from mfif.losses import FusionLoss, SharperSourceSsim
from mfif.metrics import PSNR, MapAccuracy, paper_metrics
from mfif.models import MFNet, TwoStream
from mfif.module import FusionModule
from mfif.pair import FocusPair, blend, luma


@pytest.fixture
def pair() -> FocusPair:
    generator = torch.Generator().manual_seed(0)
    sharp = torch.rand(2, 3, 48, 48, generator=generator)
    alpha = (torch.arange(48) < 20).float().expand(2, 1, 48, 48)
    blurred = sharp.mean(dim=(2, 3), keepdim=True).expand_as(sharp)
    return FocusPair(torch.where(alpha == 1, sharp, blurred), torch.where(alpha == 1, blurred, sharp), alpha, sharp)


def module(**changes: object) -> FusionModule:
    parts = {
        "network": TwoStream(width=4),
        "loss": FusionLoss(),
        "optimizer": partial(torch.optim.Adam, lr=1e-3),
        "metrics": MetricCollection({"PSNR": PSNR(), "map_accuracy": MapAccuracy(), **paper_metrics()}),
    } | changes
    return FusionModule(**parts)  # type: ignore[arg-type]


def test_training_loss_is_that_of_the_soft_fusion(pair: FocusPair, monkeypatch: pytest.MonkeyPatch) -> None:
    model = module()
    monkeypatch.setattr(model, "log", lambda *_, **__: None)
    gray = [
        (source * torch.tensor([0.298936, 0.587043, 0.114021])[:, None, None]).sum(1, keepdim=True)
        for source in pair[:2]
    ]
    alpha = model.network(*gray)
    expected = (alpha * pair.a + (1 - alpha) * pair.b - pair.sharp).abs().mean()
    assert torch.allclose(model.training_step(pair, 0), expected, atol=1e-6)


def test_validation_scores_the_thresholded_fusion(pair: FocusPair, monkeypatch: pytest.MonkeyPatch) -> None:
    class Known(torch.nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return pair.alpha * 0.2 + 0.4  # .6 where a is sharp, .4 elsewhere: right once thresholded

    model = module(network=Known())
    logged: dict[str, torch.Tensor] = {}
    monkeypatch.setattr(model, "log", lambda name, value, **_: logged.update({name: value}))
    monkeypatch.setattr(model, "log_dict", lambda values: logged.update(values))
    model.validation_step(pair, 0)
    model.on_validation_epoch_end()
    assert logged["val/map_accuracy"] == 1
    assert logged["val/PSNR"] == 100  # exact
    assert logged["val/loss"] > 0.01  # the soft fusion is not perfect
    assert {"val/Q_MI", "val/Q_G", "val/EN", "val/VIFF"} <= logged.keys()
    assert model.metrics is not None
    assert not any(metric.update_count for metric in model.metrics.values())


def test_validation_scores_the_soft_fusion_without_a_threshold(
    pair: FocusPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FusionModule, "log", lambda *_, **__: None)
    soft, hard = module(threshold=None), module(threshold=0.7)
    alpha = soft.network(luma(pair.a), luma(pair.b)).detach()
    assert torch.equal(soft.validation_step(pair, 0)["alpha"], alpha)
    assert torch.equal(soft.validation_step(pair, 0)["fused"], blend(pair.a, pair.b, alpha))
    alpha = hard.network(luma(pair.a), luma(pair.b)).detach()
    assert torch.equal(hard.validation_step(pair, 0)["alpha"], (alpha >= 0.7).float())


def test_only_the_network_is_optimized_and_the_schedule_steps_by_iteration() -> None:
    schedule = partial(torch.optim.lr_scheduler.MultiStepLR, milestones=[2])
    model = module(scheduler=schedule)
    configured = model.configure_optimizers()
    assert isinstance(configured, dict)
    optimized = {id(p) for group in configured["optimizer"].param_groups for p in group["params"]}
    assert optimized == {id(p) for p in model.network.parameters()}
    assert configured["lr_scheduler"]["interval"] == "step"
    assert isinstance(module().configure_optimizers(), torch.optim.Adam)


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"optimizer": partial(torch.optim.Adam, lr=-1.0)}, "learning rate: -1.0"),
        (
            {
                "optimizer": partial(torch.optim.Adagrad, lr=0.1),
                "scheduler": partial(torch.optim.lr_scheduler.OneCycleLR, max_lr=0.1, total_steps=4),
            },
            "momentum",
        ),
    ],
)
def test_an_optimizer_or_schedule_that_refuses_its_values_is_the_users_mistake(
    changes: dict[str, Any], part: str
) -> None:
    with pytest.raises(InputError, match=part):
        module(**changes).configure_optimizers()


def test_hyper_parameters_are_plain_and_complete() -> None:
    configuration = {"network": {"_target_": "mfif.models.TwoStream", "width": 4}}
    assert module(configuration=configuration).hparams == {"configuration": configuration}


COMPILER = pytest.mark.skipif(
    shutil.which("c++") is None and shutil.which("g++") is None, reason="needs a C++ compiler"
)


@pytest.mark.parametrize(
    "fast",
    [
        {"channels_last": True},
        {"optimizer": partial(torch.optim.Adam, lr=1e-3, fused=True)},
        pytest.param({"compile": True}, marks=COMPILER),
        pytest.param({"compile": "default"}, marks=COMPILER),
    ],
    ids=lambda fast: next(iter(fast)),
)
def test_fast_paths_train_as_plain_torch_does(fast: dict[str, object], pair: FocusPair, root: Path) -> None:
    from benchmarks.bare import BareStep

    weights = TwoStream(width=4).state_dict()
    trained = []
    for options in ({"channels_last": False}, {"channels_last": False} | fast):
        model = module(**options)
        model.network.load_state_dict(weights)
        step = BareStep(model, pair)
        for _ in range(4):
            step()
        trained.append(model.network.state_dict())
    for name, weight in trained[0].items():
        assert not torch.allclose(weight, weights[name], rtol=0, atol=1e-4)
        torch.testing.assert_close(trained[1][name], weight, rtol=0, atol=1e-5)  # where four steps go up to 4e-3


def test_compilation_keeps_the_keys_of_checkpoints() -> None:
    assert module(compile=True).state_dict().keys() == module().state_dict().keys()


def image_module(**changes: object) -> FusionModule:
    metrics = MetricCollection({"PSNR": PSNR()})
    return module(network=MFNet(width=4), loss=SharperSourceSsim(), metrics=metrics, **changes)


def test_a_network_may_give_the_image_in_gray(pair: FocusPair, monkeypatch: pytest.MonkeyPatch) -> None:
    model = image_module()
    logged: dict[str, torch.Tensor] = {}
    monkeypatch.setattr(model, "log", lambda name, value, **_: logged.update({name: value}))
    monkeypatch.setattr(model, "log_dict", lambda values: logged.update(values))
    a, b, sharp = (luma(image) for image in (pair.a, pair.b, pair.sharp))
    fused = (a + b) / 2  # what it gives before it has learned
    expected = SharperSourceSsim()(fused, None, FocusPair(a, b, pair.alpha, sharp))
    assert torch.allclose(model.training_step(pair, 0), expected)
    known = model.validation_step(pair, 0)
    assert torch.allclose(known["fused"], fused)
    assert not {"alpha", "estimate"} & known.keys()
    model.on_validation_epoch_end()
    errors = (fused - sharp).square().mean((1, 2, 3))
    assert logged["val/PSNR"].item() == pytest.approx((-10 * errors.log10()).mean().item(), rel=1e-4)


def test_images_are_scored_in_their_range(pair: FocusPair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FusionModule, "log", lambda *_, **__: None)
    model = image_module()
    with torch.no_grad():
        model.network.image[1].bias.fill_(0.8)
    assert model.validation_step(pair, 0)["fused"].max() == 1


def test_metrics_of_the_map_need_one() -> None:
    with pytest.raises(ValueError, match=r"metrics without a map for MFNet, got map_accuracy. Choose experiment=mfnet"):
        module(network=MFNet(width=4))


@pytest.mark.parametrize("algorithm", ["norm", "value"])
@pytest.mark.parametrize("fused", [False, True])
def test_gradients_are_clipped_in_mixed_precision(algorithm: str, fused: bool, pair: FocusPair, tmp_path: Path) -> None:
    sizes: list[torch.Tensor] = []

    class Look(Callback):
        def on_before_zero_grad(self, trainer: Trainer, pl_module: FusionModule, optimizer: torch.optim.Adam) -> None:
            gradients = [p.grad.flatten() for p in pl_module.parameters() if p.grad is not None]
            if gradients:  # those of the iteration before, as the optimizer saw them
                every = torch.cat(gradients)
                sizes.append(every.norm() if algorithm == "norm" else every.abs().max())

    trainer = Trainer(
        default_root_dir=tmp_path,
        accelerator="cpu",
        precision="bf16-mixed",
        gradient_clip_val=1e-4,
        gradient_clip_algorithm=algorithm,
        max_steps=3,
        callbacks=[Look()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    model = module(optimizer=partial(torch.optim.Adam, lr=1e-3, fused=fused))
    trainer.fit(model, DataLoader([pair] * 3, batch_size=None))
    assert len(sizes) == 2
    torch.testing.assert_close(torch.stack(sizes), torch.full((2,), 1e-4), rtol=1e-3, atol=0)
