from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from mfif.data.benchmarks import PairFolder, SyntheticPairs, to_batch, to_pixels
from mfif.data.photos import FolderPhotos
from mfif.errors import InputError
from mfif.synthesis import GaussianKernels, PaperTemplates, Synthesizer


def save(path: Path, size: tuple[int, int] = (6, 5), mode: str = "L") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size).save(path)


@pytest.mark.parametrize(
    ("files", "scenes"),
    [
        (["lytro-01-A.png", "lytro-01-B.png", "lytro-02-A.png", "lytro-02-B.png"], ["lytro-01", "lytro-02"]),
        (["clock_1.bmp", "clock_2.bmp"], ["clock"]),
        (["clock1.png", "clock2.jpg"], ["clock"]),
        (["x a.png", "x b.png"], ["x"]),
        (["A/one.png", "B/one.png", "A/two.png", "B/two.png"], ["one", "two"]),
        (["source_1/7.png", "source_2/7.jpg"], ["7"]),
    ],
)
def test_pairs_are_found(tmp_path: Path, files: list[str], scenes: list[str]) -> None:
    for name in files:
        save(tmp_path / name)
    pairs = PairFolder(str(tmp_path)).pairs()
    assert [name for name, _ in pairs] == scenes
    for _, load in pairs:
        pair = load()
        assert pair.a.shape == pair.b.shape == (1, 1, 5, 6)
        assert pair.sharp is None
        assert pair.alpha is None


def test_first_side_comes_first(tmp_path: Path) -> None:
    Image.new("L", (4, 4), 10).save(tmp_path / "s-A.png")
    Image.new("L", (4, 4), 20).save(tmp_path / "s-B.png")
    ((_, load),) = PairFolder(str(tmp_path)).pairs()
    assert load().a.unique().tolist() == [10]


def test_named_set_in_a_parent_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "data/lytro/s-A.png")
    save(tmp_path / "data/lytro/s-B.png")
    monkeypatch.chdir(tmp_path)
    for root in (None, "data", "data/lytro"):
        assert [name for name, _ in PairFolder(root, "lytro").pairs()] == ["s"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"s-A.png": (6, 5)}, "two images of the scene 's'.*s-A.png"),
        ({"s.png": (6, 5)}, "two images of the scene 's'"),
        ({"s-A.png": (6, 5), "s-B.png": (6, 4)}, r"s-A.png 6x5 gray uint8 and s-B.png 6x4 gray uint8"),
        ({"s-A.png": (6, 5), "s-B.png": (6, 5), "s-B.jpg": (6, 5)}, "got .*s-A.png, s-B.jpg, s-B.png"),
    ],
)
def test_a_pair_that_is_none_says_so_when_loaded(
    tmp_path: Path, files: dict[str, tuple[int, int]], message: str
) -> None:
    for name, size in files.items():
        save(tmp_path / name, size)
    ((_, load),) = PairFolder(str(tmp_path)).pairs()
    with pytest.raises(InputError, match=message):
        load()


def test_only_the_scenes_asked_for(tmp_path: Path) -> None:
    for scene in ("one", "two", "three"):
        save(tmp_path / f"{scene}-A.png")
        save(tmp_path / f"{scene}-B.png")
    assert [name for name, _ in PairFolder(str(tmp_path), scenes=["two", "one"]).pairs()] == ["two", "one"]
    with pytest.raises(InputError, match=r"no pair 'tow'.*Did you mean `two`"):
        PairFolder(str(tmp_path), scenes=["tow"]).pairs()


def test_gray_and_colour_do_not_pair(tmp_path: Path) -> None:
    save(tmp_path / "s-A.png")
    save(tmp_path / "s-B.png", mode="RGB")
    ((_, load),) = PairFolder(str(tmp_path)).pairs()
    with pytest.raises(InputError, match=r"gray uint8 and .* RGB uint8"):
        load()


def test_missing_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"benchmark\.root"):
        PairFolder(None)
    with pytest.raises(InputError, match="make data"):
        PairFolder(None, "lytro").pairs()
    with pytest.raises(InputError, match="no image"):
        PairFolder(str(tmp_path)).pairs()


def test_batches_and_pixels_are_inverse() -> None:
    for pixels in (np.arange(12, dtype=np.uint8).reshape(3, 4), np.arange(36, dtype=np.uint16).reshape(3, 4, 3)):
        assert np.array_equal(to_pixels(to_batch(pixels)), pixels)


def test_synthetic_pairs_carry_their_truth(photos: Path) -> None:
    source = FolderPhotos(str(photos), holdout=0.4)
    benchmark = SyntheticPairs(source, Synthesizer(GaussianKernels((1.0, 2.0)), PaperTemplates()), per_photo=3)
    pairs = benchmark.pairs()
    assert [name for name, _ in pairs] == [f"{path.stem}-{n}" for path in source.paths("val") for n in (1, 2, 3)]
    for (name, load), (_, again) in zip(pairs, benchmark.pairs(), strict=True):
        pair = load()
        assert pair.name == name
        assert pair.sharp is not None
        assert pair.alpha is not None
        assert pair.sharp.shape == pair.a.shape == (1, 3, 72, 96)
        assert np.array_equal(to_pixels(pair.sharp), np.array(Image.open(photos / f"{name[:-2]}.png")))
        kept = torch.where(pair.alpha == 1, pair.a, pair.b)
        assert torch.equal(kept, pair.sharp)
        assert all(map(torch.equal, pair[1:], again()[1:]))


@pytest.mark.parametrize("name", ["per_photo", "enlarged"])
def test_synthetic_pairs_refuse_nothing(photos: Path, name: str) -> None:
    with pytest.raises(ValueError, match=f"Expected `{name}` to be positive, got 0"):
        SyntheticPairs(FolderPhotos(str(photos)), Synthesizer(GaussianKernels(), PaperTemplates()), **{name: 0})


def test_synthetic_pairs_of_enlarged_photographs(photos: Path) -> None:
    """Enlarged as OpenCV does it, before anything is blurred."""
    source = FolderPhotos(str(photos), holdout=0.4)
    synthesizer = Synthesizer(GaussianKernels((1.0, 2.0)), PaperTemplates())
    name, load = SyntheticPairs(source, synthesizer, per_photo=1, enlarged=2).pairs()[0]
    pair = load()
    assert pair.sharp is not None
    assert pair.alpha is not None
    photo = np.array(Image.open(photos / f"{name[:-2]}.png"))
    expected = cv2.resize(photo, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    assert np.abs(to_pixels(pair.sharp).astype(int) - expected).max() <= 1
    assert torch.equal(torch.where(pair.alpha == 1, pair.a, pair.b), pair.sharp)


@pytest.mark.parametrize("size", [(96, 72), (72, 96), (60, 200)], ids=str)
def test_synthetic_pairs_stand_before_another_photograph(tmp_path: Path, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (72, 96, 3), np.uint8)).save(tmp_path / "front.png")
    behind = rng.integers(0, 256, (size[1], size[0]), np.uint8)
    Image.fromarray(behind).save(tmp_path / "other.png")
    options = {"boundary": "spread", "backgrounds": 1.0, "exchange": False}
    synthesizer = Synthesizer(GaussianKernels((1.0, 2.0)), PaperTemplates(), **options)
    source = FolderPhotos(str(tmp_path), val_root=str(tmp_path))
    pair = SyntheticPairs(source, synthesizer, per_photo=1).pairs()[0][1]()
    assert pair.sharp is not None
    assert pair.alpha is not None
    front = np.array(Image.open(tmp_path / "front.png"))
    mask = (np.arange(96) < 48)[:, None]  # the first template: the left half
    assert np.array_equal(np.where(mask, to_pixels(pair.sharp), 0), np.where(mask, front, 0))
    turned = behind.T if size[0] < size[1] else behind
    expected = np.repeat(np.tile(turned, (3, 2))[:72, :96, None], 3, axis=2)
    assert np.array_equal(np.where(mask, 0, to_pixels(pair.sharp)), np.where(mask, 0, expected))
