import pytest
import torch

from mfif.fusion.levels import blend_levels, colour, from_unit, to_unit


@pytest.mark.parametrize(("channels", "seen"), [(1, 1), (2, 1), (3, 3), (4, 3)])
def test_colour_is_all_but_the_alpha_channel(channels: int, seen: int) -> None:
    image = torch.rand(2, channels, 4, 5)
    assert torch.equal(colour(image), image[:, :seen])


@pytest.mark.parametrize("kind", [torch.uint8, torch.uint16])
def test_every_level_comes_back(kind: torch.dtype) -> None:
    levels = torch.arange(torch.iinfo(kind).max + 1).to(kind).reshape(1, 1, 16, -1)
    unit = to_unit(levels)
    assert unit.dtype == torch.float32
    assert (unit.min(), unit.max()) == (0, 1)
    assert torch.equal(from_unit(unit, kind), levels)


def test_halves_are_rounded_up() -> None:
    unit = torch.tensor([0.5, 1.5, 2.5, 253.5, 254.5], dtype=torch.float64) / 255
    assert from_unit(unit, torch.uint8).tolist() == [1, 2, 3, 254, 255]
    a, b = torch.tensor([[[[0, 1, 2, 254]]]]).byte(), torch.tensor([[[[1, 2, 3, 255]]]]).byte()
    assert blend_levels(a, b, torch.full((1, 1, 1, 4), 0.5)).flatten().tolist() == [1, 2, 3, 255]


def test_floats_keep_their_type_and_must_lie_in_the_unit_range() -> None:
    image = torch.rand(1, 1, 4, 4, dtype=torch.float64)
    assert torch.equal(from_unit(image, torch.float64), image)
    assert to_unit(image).dtype == torch.float32
    for wrong in (-0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match=r"\[0, 1\], got values"):
            to_unit(torch.full((1, 1, 2, 2), wrong))


def test_blend_is_exact_at_every_level_of_16_bit() -> None:
    levels = torch.arange(65536).to(torch.uint16).reshape(1, 1, 256, 256)
    other = torch.arange(65535, -1, -1).to(torch.uint16).reshape(1, 1, 256, 256)
    for value, expected in ((1.0, levels), (0.0, other)):
        assert torch.equal(blend_levels(levels, other, torch.full((1, 1, 256, 256), value)), expected)


@pytest.mark.parametrize("kind", [torch.uint8, torch.uint16, torch.float16, torch.float64])
def test_tiles_change_nothing(kind: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b, alpha = torch.rand(3, 2, 4, 23, 31, generator=torch.Generator().manual_seed(0)).unbind()
    sources = [from_unit(image, kind) for image in (a, b)]
    whole = blend_levels(*sources, alpha[:, :1])
    monkeypatch.setattr("mfif.fusion.levels._TILE", 8)
    assert torch.equal(blend_levels(*sources, alpha[:, :1]), whole)
    assert whole.dtype == kind
