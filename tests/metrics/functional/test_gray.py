import numpy as np
import pytest
import torch
from PIL import Image

from mfif.metrics.functional.gray import gray8


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.float32, torch.float64], ids=str)
def test_every_level_survives(dtype):
    levels = torch.arange(256).view(1, 1, 16, 16)
    image, data_range = (levels.to(dtype), 255) if dtype == torch.uint8 else ((levels / 255).to(dtype), 1)
    assert torch.equal(gray8(image, data_range).squeeze(), levels.squeeze().double())


def test_rounds_half_up_and_clips():
    image = torch.tensor([-3.0, 0.4999, 0.5, 1.5, 2.5, 254.5, 300.0]).view(1, 1, 1, 7)
    assert gray8(image, 255).flatten().tolist() == [0, 0, 1, 2, 3, 255, 255]


def test_channels_are_rounded_before_they_are_mixed():
    color = torch.rand(2, 3, 5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    saved = (255 * color).round().to(torch.uint8)
    assert torch.equal(gray8(color), gray8(saved, 255))


def test_is_the_gray_of_the_reference(golden, lytro):
    for pair in ("01", "03", "05", "10", "13", "17"):
        color = np.array(Image.open(lytro / f"lytro-{pair}-A.png").convert("RGB"))
        gray = np.array(Image.open(golden.root / "img" / f"lytro_{pair}_A.png"))
        assert np.array_equal(gray8(torch.from_numpy(color).permute(2, 0, 1)[None], 255)[0].numpy(), gray)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite_show(value):
    assert gray8(torch.tensor([value, 1.0]).view(1, 1, 1, 2)).isnan().flatten().tolist() == [True, False]


def test_gradient_ignores_the_rounding():
    image = torch.tensor([0.3, 0.7]).view(1, 1, 1, 2).requires_grad_()
    gray8(image).sum().backward()
    assert image.grad.flatten().tolist() == [255, 255]


@pytest.mark.usefixtures("without_float64")
def test_autocast_does_not_reach_it(images):
    color = images[0].float()
    with torch.autocast("cpu", torch.bfloat16):
        inside = gray8(color)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, gray8(color))
