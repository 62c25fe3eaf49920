from functools import partial

import pytest
import torch
from torchmetrics import MetricCollection

from mfif.losses import FusionLoss
from mfif.metrics import PSNR, MapAccuracy, paper_metrics
from mfif.models import TwoStream
from mfif.module import FusionModule
from mfif.pair import FocusPair


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
    assert logged["val/PSNR"] == torch.inf
    assert logged["val/loss"] > 0.01  # the soft fusion is not perfect
    assert {"val/Q_MI", "val/Q_G", "val/EN", "val/VIFF"} <= logged.keys()
    assert model.metrics is not None
    assert not any(metric.update_count for metric in model.metrics.values())


def test_only_the_network_is_optimized_and_the_schedule_steps_by_iteration() -> None:
    schedule = partial(torch.optim.lr_scheduler.MultiStepLR, milestones=[2])
    model = module(scheduler=schedule)
    configured = model.configure_optimizers()
    assert isinstance(configured, dict)
    optimized = {id(p) for group in configured["optimizer"].param_groups for p in group["params"]}
    assert optimized == {id(p) for p in model.network.parameters()}
    assert configured["lr_scheduler"]["interval"] == "step"
    assert isinstance(module().configure_optimizers(), torch.optim.Adam)


def test_hyper_parameters_are_plain_and_complete() -> None:
    configuration = {"network": {"_target_": "mfif.models.TwoStream", "width": 4}}
    assert module(configuration=configuration).hparams == {"configuration": configuration}


def test_compilation_keeps_the_keys_of_checkpoints() -> None:
    assert module(compile=True).state_dict().keys() == module().state_dict().keys()
