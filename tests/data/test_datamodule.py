from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mfif.data.datamodule import FixedPairs, PairStream, SynthesizedPairs
from mfif.data.photos import FolderPhotos
from mfif.pair import FocusPair
from mfif.synthesis import BlobTemplates, GaussianKernels, PairDraw, PaperKernels, PaperTemplates, Synthesizer

PAPER = Synthesizer(PaperKernels(), PaperTemplates())
RANDOM = Synthesizer(GaussianKernels((0.5, 2.0)), BlobTemplates(), noise=0.05)


def stream(**changes: object) -> PairStream:
    settings = {"synthesizer": PAPER, "pairs": 48, "batch_size": 8, "seed": 0} | changes
    return PairStream(**settings)  # type: ignore[arg-type]


def same(left: Iterable[PairDraw], right: Iterable[PairDraw]) -> bool:
    left, right = list(left), list(right)
    return len(left) == len(right) and all(
        one.seed == other.seed and all(map(torch.equal, one[:5], other[:5]))
        for one, other in zip(left, right, strict=True)
    )


def identities(draws: Iterable[PairDraw]) -> list[tuple[int, int, float]]:
    return [
        (int(crop), int(template), float(kernel[0]))
        for draw in draws
        for crop, template, kernel in zip(draw.crop, draw.template, draw.kernel, strict=True)
    ]


def test_an_epoch_visits_every_pair_once() -> None:
    pairs = identities(stream())
    assert sorted(pairs) == [(c, t, float(k)) for c in range(2) for t in range(6) for k in (3, 7, 11, 15)]


def test_epochs_differ_and_depend_on_the_seed() -> None:
    one, other = stream(), stream(seed=1)
    first, second = list(one), list(one)
    assert not same(first, second)
    assert sorted(identities(first)) == sorted(identities(second))
    assert not same(first, other)
    assert same(first, stream())


def test_a_batch_that_is_not_full_is_left_out() -> None:
    assert len(stream(batch_size=7)) == len(list(stream(batch_size=7))) == 6


@pytest.mark.parametrize("synthesizer", [PAPER, RANDOM])
def test_ranks_share_each_batch_of_one_process(synthesizer: Synthesizer) -> None:
    whole = list(stream(synthesizer=synthesizer))
    ranks = [list(stream(synthesizer=synthesizer, batch_size=4, rank=rank, world_size=2)) for rank in range(2)]
    for batch, *parts in zip(whole, *ranks, strict=True):
        for field in ("crop", "kernel", "template", "exchange", "noise"):
            assert torch.equal(getattr(batch, field), torch.cat([getattr(part, field) for part in parts]))
        assert parts[0].seed != parts[1].seed


@pytest.mark.parametrize("stop", [0, 1, 5, 6, 7, 13])
def test_resuming_goes_on_with_the_same_batches(stop: int) -> None:
    def forever(source: PairStream) -> Iterable[PairDraw]:
        while True:
            yield from source

    def take(source: PairStream, count: int) -> list[PairDraw]:
        return list(islice(forever(source), count))

    uninterrupted = take(stream(), 20)
    first, second = stream(), stream()
    before = take(first, stop)
    second.load_state_dict(first.state_dict())
    assert same(before + take(second, 20 - stop), uninterrupted)


@pytest.mark.parametrize(("pairs", "world_size"), [(10, 1), (10, 2), (9, 2), (8, 2), (3, 2)])
def test_fixed_pairs_are_visited_once_whatever_the_ranks(pairs: int, world_size: int) -> None:
    draw = RANDOM.draw(torch.arange(pairs), torch.Generator().manual_seed(0))
    seen: list[PairDraw] = []
    for rank in range(world_size):
        part = FixedPairs(draw, 4 // world_size, rank, world_size)
        assert same(part, part)
        assert len(part) == len(list(part))
        assert all(len(batch.crop) for batch in part)
        seen += part
    seen.sort(key=lambda batch: int(batch.crop[0]))
    for field in range(5):
        assert torch.equal(torch.cat([batch[field] for batch in seen]), draw[field])
    assert len({batch.seed for batch in seen}) == len(seen)


def data(photos: Path, **changes: object) -> SynthesizedPairs:
    settings = {"crops": 12, "crop": 32, "batch_size": 6, "val_pairs": 5, "synthesizer": PAPER} | changes
    module = SynthesizedPairs(FolderPhotos(str(photos)), **settings)  # type: ignore[arg-type]
    module.setup()
    return module


@pytest.mark.parametrize(("synthesizer", "colour"), [(PAPER, False), (PAPER, True), (RANDOM, False)])
def test_batches_become_pairs(photos: Path, synthesizer: Synthesizer, colour: bool) -> None:
    module = data(photos, synthesizer=synthesizer, colour=colour)
    draw = next(iter(module.train_dataloader()))
    pair = module.on_after_batch_transfer(draw, 0)
    assert isinstance(pair, FocusPair)
    assert pair.a.shape == pair.b.shape == pair.sharp.shape == (6, 3 if colour else 1, 32, 32)
    assert pair.alpha.shape == (6, 1, 32, 32)
    assert pair.a.dtype == torch.float32
    bank = module.banks["train"]
    assert torch.equal(pair.sharp, bank[draw.crop] / 255)
    if not synthesizer.noise:
        assert torch.equal(pair.alpha * pair.a + (1 - pair.alpha) * pair.b, pair.sharp)
        assert (pair.a - pair.b).abs().max() > 0.01


def test_validation_pairs_are_fixed_and_each_crop_is_one(photos: Path) -> None:
    one, other = data(photos, seed=0), data(photos, seed=1)
    assert torch.equal(one.banks["val"], other.banks["val"])
    assert not torch.equal(one.banks["train"], other.banks["train"])
    assert same(one.val_dataloader(), other.val_dataloader())
    pairs = identities(one.val_dataloader())
    assert [crop for crop, _, _ in pairs] == list(range(5))
    assert len({kernel for _, _, kernel in pairs}) == 4


def test_only_what_a_stage_needs_is_decoded(photos: Path) -> None:
    module = SynthesizedPairs(FolderPhotos(str(photos)), PAPER, crops=4, val_pairs=2)
    module.setup("validate")
    assert set(module.banks) == {"val"}


def test_the_epoch_of_the_paper_has_1_440_000_pairs(photos: Path) -> None:
    module = SynthesizedPairs(FolderPhotos(str(photos)), PAPER)
    assert len(module.train_dataloader()) * 32 == 1_440_000


@pytest.mark.parametrize("name", ["crops", "crop", "batch_size", "val_pairs"])
def test_counts_must_be_positive(photos: Path, name: str) -> None:
    with pytest.raises(ValueError, match=f"`{name}` to be positive, got 0"):
        data(photos, **{name: 0})


def test_photographs_are_reduced_not_enlarged(photos: Path) -> None:
    with pytest.raises(ValueError, match="`reduction` to be 1 or more"):
        data(photos, reduction=0.5)


@pytest.mark.parametrize("change", [{"flips": True}, {"reduction": 2.0}], ids=str)
def test_crops_to_validate_with_stay_as_they_are(photos: Path, change: dict[str, float]) -> None:
    plain, changed = data(photos), data(photos, **change)
    plain.setup()
    changed.setup()
    assert torch.equal(plain.banks["val"], changed.banks["val"])
    assert not torch.equal(plain.banks["train"], changed.banks["train"])


def test_an_epoch_needs_a_batch(photos: Path) -> None:
    with pytest.raises(ValueError, match="batch"):
        data(photos, crops=1, batch_size=25)


def test_what_is_no_draw_passes_untouched(photos: Path) -> None:
    real = (torch.rand(1, 1, 8, 8), torch.rand(1, 1, 8, 8))
    assert data(photos).on_after_batch_transfer(real, 0) is real


@pytest.mark.parametrize("world_size", [1, 2])
def test_overfitting_means_the_same_batches_in_every_epoch(photos: Path, world_size: int) -> None:
    ranks = []
    for rank in range(world_size):
        data = SynthesizedPairs(FolderPhotos(str(photos)), RANDOM, crops=6, crop=16, batch_size=4 // world_size)
        data.trainer = SimpleNamespace(overfit_batches=2, global_rank=rank, world_size=world_size)  # type: ignore[assignment]
        batches = data.train_dataloader()
        assert same(batches, batches)
        ranks.append(list(batches))
    assert [len(batches) for batches in ranks] == [2] * world_size
    crops = [int(crop) for together in zip(*ranks, strict=True) for draw in together for crop in draw.crop]
    assert crops == [0, 1, 2, 3, 4, 5, 0, 1]
