from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mfif.data.photos import Div2kPhotos, FolderPhotos, LibraryPhotos, crop_bank
from mfif.errors import InputError


def test_library_photos_exist_and_are_disjoint() -> None:
    source = LibraryPhotos()
    train, val = source.paths("train"), source.paths("val")
    assert all(path.is_file() for path in train + val)
    assert not set(train) & set(val)
    assert len(val) >= 3


def test_library_photos_need_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mfif.data.photos.find_spec", lambda package: None)
    with pytest.raises(InputError, match="pip install"):
        LibraryPhotos().paths("train")


@pytest.mark.parametrize(("count", "holdout", "held"), [(6, 0.1, 1), (6, 0.5, 3), (2, 0.1, 1), (20, 0.1, 2)])
def test_folder_photos_split(tmp_path: Path, count: int, holdout: float, held: int) -> None:
    for index in range(count):
        Image.new("L", (4, 4)).save(tmp_path / f"{index:02d}.png")
    source = FolderPhotos(str(tmp_path), holdout)
    train, val = source.paths("train"), source.paths("val")
    assert len(val) == held
    assert sorted(train + val) == sorted(tmp_path.iterdir())


def test_folder_photos_with_a_folder_to_validate_with(tmp_path: Path, photos: Path) -> None:
    Image.new("L", (4, 4)).save(tmp_path / "val.png")
    source = FolderPhotos(str(photos), val_root=str(tmp_path))
    assert len(source.paths("train")) == 6
    assert source.paths("val") == [tmp_path / "val.png"]


def test_folder_photos_errors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holdout"):
        FolderPhotos(str(tmp_path), holdout=1.0)
    with pytest.raises(InputError, match="does not exist"):
        FolderPhotos(str(tmp_path / "nowhere")).paths("train")
    with pytest.raises(InputError, match="no image"):
        FolderPhotos(str(tmp_path)).paths("train")
    Image.new("L", (4, 4)).save(tmp_path / "only.png")
    with pytest.raises(InputError, match="at least 2 photographs"):
        FolderPhotos(str(tmp_path)).paths("train")


def test_div2k_is_fetched_by_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photos: Path) -> None:
    asked = []
    monkeypatch.setattr("mfif.data.photos.fetch_dataset", lambda name, root: asked.append((name, root)) or photos)
    source = Div2kPhotos(str(tmp_path))
    assert len(source.paths("train")) == len(source.paths("val")) == 6
    assert asked == [("div2k_train", tmp_path), ("div2k_valid", tmp_path)]


def test_every_crop_is_a_window_of_its_photograph(photos: Path) -> None:
    paths = sorted(photos.iterdir())
    bank = crop_bank(paths, 15, 24, seed=3, colour=True)
    assert bank.shape == (15, 3, 24, 24)
    assert bank.dtype == torch.uint8
    for index, crop in enumerate(bank):
        pixels = np.array(Image.open(paths[index % 6]))
        windows = np.lib.stride_tricks.sliding_window_view(pixels, (24, 24), axis=(0, 1))
        assert (windows == crop.numpy()).all(axis=(2, 3, 4)).any()


def test_flipped_crops_are_windows_turned_in_all_eight_ways(photos: Path) -> None:
    (path,) = sorted(photos.iterdir())[:1]
    pixels = np.array(Image.open(path)).transpose(2, 0, 1)
    views = np.lib.stride_tricks.sliding_window_view(pixels, (24, 24), axis=(1, 2))
    windows = {view.tobytes() for row in views.transpose(1, 2, 0, 3, 4) for view in row}
    ways = set()
    for crop in crop_bank([path], 60, 24, seed=0, colour=True, flips=True).numpy():
        found = set()
        for mirrored, quarters in product((False, True), range(4)):
            back = np.rot90(crop, quarters, (1, 2))
            back = back[..., ::-1] if mirrored else back
            if back.tobytes() in windows:
                found.add((mirrored, quarters))
        assert found
        ways |= found
    assert len(ways) == 8


def test_reduced_crops_are_larger_windows_as_pillow_reduces_them(tmp_path: Path) -> None:
    side = 36
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (side, side), np.uint8)).save(tmp_path / "a.png")
    photo = Image.open(tmp_path / "a.png")
    bank = crop_bank([tmp_path / "a.png"], 20, 16, seed=0, reduction=2.0).numpy()[:, 0]
    windows = set()
    for crop in bank:
        errors = {}
        for window in range(16, 33):
            boxes = product(range(side - window + 1), repeat=2)
            for top, left in boxes:
                cut = photo.crop((left, top, left + window, top + window))
                reduced = np.asarray(cut.resize((16, 16), Image.Resampling.BILINEAR))
                errors[window, top, left] = np.abs(reduced.astype(int) - crop).max()
        best = min(errors, key=lambda place: errors[place])
        assert errors[best] <= 1
        windows.add(best[0])
    assert min(windows) < 20 < 26 < max(windows)


def test_a_photograph_is_reduced_no_further_than_it_is_large(tmp_path: Path) -> None:
    Image.new("L", (40, 26), 7).save(tmp_path / "a.png")
    bank = crop_bank([tmp_path / "a.png"], 20, 24, seed=0, reduction=4.0)
    assert bank.shape == (20, 1, 24, 24)
    assert (bank == 7).all()


def test_gray_crops_are_the_luma_of_colour_crops(photos: Path) -> None:
    paths = sorted(photos.iterdir())
    gray, colour = crop_bank(paths, 12, 16, seed=1), crop_bank(paths, 12, 16, seed=1, colour=True)
    weights = np.linalg.inv([[1, 0.956, 0.621], [1, -0.272, -0.647], [1, -1.106, 1.703]])[0]
    expected = np.einsum("bchw,c->bhw", colour.numpy(), weights)
    assert np.abs(gray.numpy()[:, 0] - expected).max() <= 0.5 + 1e-4


def test_crops_depend_on_the_seed_alone(photos: Path) -> None:
    paths = sorted(photos.iterdir())
    first = crop_bank(paths, 30, 16, seed=0)
    assert torch.equal(first, crop_bank(paths, 30, 16, seed=0))
    assert not torch.equal(first, crop_bank(paths, 30, 16, seed=1))


def test_gray_and_16_bit_photographs_mix_with_colour(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 400).astype(np.uint16).reshape(20, 20)
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    Image.fromarray((ramp // 257).astype(np.uint8)).save(tmp_path / "gray.png")
    deep, gray = crop_bank(sorted(tmp_path.iterdir()), 2, 20, seed=0, colour=True)
    assert (deep.int() - gray.int()).abs().max() <= 1
    assert torch.equal(deep[0], deep[2])


def test_small_and_damaged_photographs(tmp_path: Path, photos: Path, caplog: pytest.LogCaptureFixture) -> None:
    good = sorted(photos.iterdir())
    small, damaged, text = tmp_path / "small.png", tmp_path / "damaged.png", tmp_path / "text.jpg"
    Image.new("L", (8, 100)).save(small)
    damaged.write_bytes(good[0].read_bytes()[:2000])
    text.write_text("not an image")
    with pytest.raises(InputError, match="crop"):
        crop_bank([small], 4, 16, seed=0)
    with pytest.raises(InputError, match=r"crop.*data\.crop"):
        crop_bank(good, 4, 1000, seed=0)
    for bad in (damaged, text):
        with pytest.raises(InputError, match=f"{bad.name}.*on_bad_photo=skip"):
            crop_bank([*good, bad], 12, 16, seed=0)
    bank = crop_bank([*good, small, damaged, text], 12, 16, seed=0, on_bad_photo="skip")
    assert torch.equal(bank, crop_bank(good, 12, 16, seed=0))
    assert all(path.name in caplog.text for path in (small, damaged, text))
    with pytest.raises(InputError, match="crop"):
        crop_bank([damaged], 4, 16, seed=0, on_bad_photo="skip")
