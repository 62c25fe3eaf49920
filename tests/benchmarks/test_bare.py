"""The bare step is the step of a training."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from lightning import Trainer
from torch.utils.data import DataLoader

from mfif.losses import FusionLoss
from mfif.models import TwoStream
from mfif.module import FusionModule
from mfif.pair import FocusPair


def batch() -> FocusPair:
    a, b, sharp, alpha = torch.rand(4, 2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    return FocusPair(a, b, alpha.round(), sharp)


def test_it_is_what_lightning_does(root: Path, tmp_path: Path) -> None:
    from benchmarks.bare import BareStep

    weights = TwoStream(width=4).state_dict()

    def modules() -> Iterator[FusionModule]:
        for _ in range(2):
            network = TwoStream(width=4)
            network.load_state_dict(weights)
            yield FusionModule(network, FusionLoss(cross_entropy=0.1), partial(torch.optim.Adam, lr=1e-3))

    bare, trained = modules()
    step = BareStep(bare, batch())
    for _ in range(3):
        step()
    trainer = Trainer(
        default_root_dir=tmp_path,
        accelerator="cpu",
        max_steps=3,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(trained, DataLoader([batch()] * 3, batch_size=None))
    for name, weight in trained.network.state_dict().items():
        assert torch.equal(bare.network.state_dict()[name], weight)
        assert not torch.equal(weights[name], weight)
