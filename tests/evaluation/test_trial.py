from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from mfif.classical import ConstantMap
from mfif.data.benchmarks import BenchmarkPair
from mfif.errors import InputError
from mfif.evaluation.cache import Cache
from mfif.evaluation.trial import Task, Trials
from mfif.fusion.fusers import Fuser, IdealFuser
from mfif.fusion.image_fusers import ImageFuser
from mfif.metrics import EN, PSNR, QMI, MapAccuracy

CALLS: list[str] = []


@dataclass
class Counting:
    """An estimator, of a map or of an image, that leaves a note of each call."""

    name: str = "counting"
    value: float = 1.0
    error: Exception | None = None

    def __call__(self, first: Tensor | Sequence[Tensor], b: Tensor | None = None) -> Tensor:
        CALLS.append(self.name)
        if self.error is not None:
            raise self.error
        return first[0] * self.value if b is None else torch.full_like(b, self.value)


class CountingEN(EN):
    def score(self, fused: Tensor) -> Tensor:
        CALLS.append("EN")
        return super().score(fused)


@pytest.fixture(autouse=True)
def no_calls() -> None:
    CALLS.clear()


def pair(seed: int = 0, truth: bool = True, side: int = 24) -> BenchmarkPair:
    generator = torch.Generator().manual_seed(seed)
    a, b, sharp = (torch.rand(3, 1, 3, side, side, generator=generator) * 255).to(torch.uint8)
    alpha = (torch.rand(1, 1, side, side, generator=generator) > 0.5).float()
    return BenchmarkPair("p", a, b, sharp, alpha) if truth else BenchmarkPair("p", a, b)


def trials(folder: Path | None = None, pictures: Path | None = None, **methods: object) -> Trials:
    metrics = {"EN": CountingEN(), "PSNR": PSNR(), "map": MapAccuracy()}
    return Trials(methods, metrics, Cache(folder), pictures, "cpu")  # type: ignore[arg-type]


def test_scores_and_costs() -> None:
    row = trials(m=Fuser(Counting())).run(Task("set", pair(), "m"))
    assert (row.benchmark, row.pair, row.method, row.error) == ("set", "p", "m", None)
    assert list(row.scores)[:3] == ["EN", "PSNR", "map"]
    assert row.scores["map"] == pytest.approx(float(pair().alpha.mean()))
    assert row.scores["seconds"] > 0


def test_what_is_not_known_is_not_scored() -> None:
    row = trials(m=Fuser(Counting())).run(Task("set", pair(truth=False), "m"))
    assert not {"PSNR", "map"} & set(row.scores)
    image = trials(m=ImageFuser(Counting())).run(Task("set", pair(), "m"))
    assert "PSNR" in image.scores
    assert "map" not in image.scores


def test_the_ideal_is_told_the_truth() -> None:
    ideal = trials(ideal=IdealFuser())
    assert ideal.run(Task("set", pair(), "ideal")).scores["map"] == 1
    row = ideal.run(Task("set", pair(truth=False), "ideal"))
    assert row.error == "The true map is known of synthesized pairs alone."
    assert row.scores == {}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (InputError("takes two\n images"), "takes two images"),
        (RuntimeError("out of memory"), "RuntimeError: out of memory"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_a_failure_is_the_error_of_its_row(error: Exception, said: str) -> None:
    row = trials(m=Fuser(Counting(error=error))).run(Task("set", pair(), "m"))
    assert row.error == said
    assert row.scores == {}


def test_an_image_that_cannot_be_scored_is_an_error() -> None:
    row = trials(m=ImageFuser(lambda sources: sources[0][..., 1:])).run(Task("set", pair(), "m"))
    assert row.error is not None
    assert row.error.startswith("cannot be scored: ")


@pytest.mark.parametrize("kind", [Fuser, ImageFuser])
def test_nothing_is_computed_twice(tmp_path: Path, kind: type) -> None:
    task = Task("set", pair(), "m")
    first = trials(tmp_path, m=kind(Counting())).run(task)
    assert CALLS == ["counting", "EN"]
    assert trials(tmp_path, m=kind(Counting())).run(task) == first  # costs included: those of the call that was made
    assert CALLS == ["counting", "EN"]


@pytest.mark.parametrize(
    ("changed", "calls"),
    [
        ({"method": Fuser(Counting(value=0.0))}, ["counting", "EN"]),
        ({"method": Fuser(Counting("other"))}, ["other"]),  # gives the same image, whose scores are known
        ({"method": Fuser(Counting(), threshold=0.25)}, ["counting"]),
        ({"seed": 1}, ["counting", "EN"]),
        ({"truth": False}, ["EN"]),  # of the pair, which the fusion does not look at
        ({"metric": QMI()}, []),
        ({"metric": CountingEN(data_range=2.0)}, ["EN"]),
    ],
)
def test_what_changes_is_computed_again(tmp_path: Path, changed: dict[str, object], calls: list[str]) -> None:
    old = trials(tmp_path, m=Fuser(Counting()))
    old.run(Task("set", pair(), "m"))
    CALLS.clear()
    method, metric = changed.pop("method", old.methods["m"]), changed.pop("metric", old.metrics["EN"])
    new = replace(old, methods={"m": method}, metrics={"EN": metric})
    assert new.run(Task("set", pair(**changed), "m")).error is None  # type: ignore[arg-type]
    assert calls == CALLS


def test_a_failure_is_not_kept(tmp_path: Path) -> None:
    for _ in range(2):
        trials(tmp_path, m=Fuser(Counting(error=RuntimeError("no")))).run(Task("set", pair(), "m"))
    assert CALLS == ["counting", "counting"]
    assert not list(tmp_path.iterdir())


def test_pictures_are_drawn_from_the_cache_too(tmp_path: Path) -> None:
    methods = {"map": Fuser(ConstantMap(1.0)), "image": ImageFuser(Counting())}
    for folder in (tmp_path / "first", tmp_path / "second"):
        for method in methods:
            trials(tmp_path / "cache", folder, **methods).run(Task("set", pair(), method))
        assert np.array_equal(Image.open(folder / "set/map/p-fused.png"), pair().a[0].movedim(0, -1))
        drawn = sorted(str(path.relative_to(folder / "set")) for path in folder.rglob("*.png"))
        kinds = ["difference", "fused", "map", "panel"]
        image = [f"image/p-{kind}.png" for kind in kinds if kind != "map"]
        assert drawn == [*image, *(f"map/p-{kind}.png" for kind in kinds)]


@pytest.mark.parametrize("truth", [False, True])
def test_sources_are_drawn_as_they_are(tmp_path: Path, truth: bool) -> None:
    given = pair(truth=truth)
    trials().draw_sources("set", given)
    trials(pictures=tmp_path).draw_sources("set", given)
    images = {"A": given.a, "B": given.b} | ({"sharp": given.sharp, "map": given.alpha * 255} if truth else {})
    assert sorted(path.name for path in tmp_path.rglob("*.png")) == sorted(f"p-{ending}.png" for ending in images)
    for ending, image in images.items():
        drawn = np.array(Image.open(tmp_path / f"set/p-{ending}.png"))
        assert np.array_equal(drawn, image[0].movedim(0, -1).squeeze(-1))


@pytest.mark.parametrize("shape", [(1, 1), (30, 1), (1, 30), (24, 24)])
def test_narrow_and_constant_images(shape: tuple[int, int]) -> None:
    a, b = (torch.full((1, 1, *shape), level, dtype=torch.uint8) for level in (3, 200))
    row = trials(m=Fuser(Counting())).run(Task("set", BenchmarkPair("p", a, b), "m"))
    assert row.error is None
    assert row.scores["EN"] == 0
