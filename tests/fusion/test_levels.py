import pytest
import torch

from mfif.fusion import levels
from mfif.fusion.levels import blend_levels, colour, from_unit, gain_of, to_unit


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


@pytest.mark.parametrize(
    ("kind", "largest", "gain"),
    [
        (torch.uint8, 255, 1),
        (torch.uint8, 128, 1),
        (torch.uint8, 127, 2),
        (torch.uint8, 63, 4),
        (torch.uint8, 15, 4),  # 16 levels are no better to see at 16 times
        (torch.uint8, 0, 4),
        (torch.uint16, 65535, 1),
        (torch.uint16, 32767, 2),
        (torch.uint16, 4096, 8),
        (torch.uint16, 4095, 16),  # a camera of 12 bit
        (torch.uint16, 255, 256),
        (torch.uint16, 63, 1024),
        (torch.uint16, 3, 1024),
        (torch.float32, 1.0, 1),
        (torch.float32, 0.5, 2),
        (torch.float64, 0.06, 16),
        (torch.float32, 0.0, 1024),
        (torch.float32, 2.0, 1),  # refused elsewhere
        (torch.float32, float("nan"), 1),
    ],
)
def test_gain_is_the_largest_power_of_two_that_overexposes_nothing(
    kind: torch.dtype, largest: float, gain: float
) -> None:
    image = torch.zeros(1, 4, 5, 6, dtype=kind)
    image[0, 1, 3, 2] = largest
    image[:, 3] = 1 if kind.is_floating_point else torch.iinfo(kind).max  # opaque
    assert gain_of(image) == gain


def test_gain_of_an_image_is_the_least_of_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    image = torch.full((1, 1, 50, 20), 900, dtype=torch.int32).to(torch.uint16)
    image[..., 47, 3] = 4000
    monkeypatch.setattr(levels, "_AT_ONCE", 100)
    assert gain_of(image[..., :47, :]) == 64
    assert gain_of(image) == 16
