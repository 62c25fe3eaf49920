"""The probe tells the iterations of a training from its validation, and both from the bare step."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_what_an_iteration_costs(root: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import bare, step, timing
    from mfif.module import FusionModule

    clock = [0.0]

    def takes(milliseconds: float, call: Callable[..., Any]) -> Callable[..., Any]:
        def taking(*arguments: Any, **named: Any) -> Any:
            clock[0] += milliseconds
            return call(*arguments, **named)

        return taking

    monkeypatch.setattr(step, "now", lambda: clock[0])
    for owner, method, milliseconds in (
        (FusionModule, "training_step", 5),
        (FusionModule, "validation_step", 100),
        (bare.BareStep, "__call__", 2),
        (timing.MatrixProduct, "__call__", 1),
    ):
        monkeypatch.setattr(owner, method, takes(milliseconds, getattr(owner, method)))
    tiny = ["network.width=2", "network.depth=1", "data.batch_size=2", "data.crops=8", "logger=csv"]
    words = ("experiment=quick", "photos=folder", f"photos.root={photos}", *tiny)
    row = step.measure("tiny", step.Case(words, block=4, blocks=3, pairs=4), "cpu")
    assert (row["bare_ms"], row["training_ms"], row["ratio_without_validation"]) == (2, 5, 2.5)
    # Two batches of two pairs take 200 ms; the training itself validates with 512 pairs, after every 250 iterations.
    assert row["validation_ms"] == 200 * 512 / 4
    assert row["validation_every"] == 250
    assert row["ratio"] == pytest.approx(2.5 + row["validation_ms"] / 250 / 2)
    assert row["bare_share_of_peak"] == pytest.approx(row["gflop"] * 1e9 / (2 * 1024**3) / 2)
