from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mfif.errors import InputError
from mfif.report.viz import difference, draw_curves, panel, to_uint8


def test_levels_are_rounded_and_clipped() -> None:
    image = torch.tensor([[[-0.2, 0.0, 0.5, 1.0, 1.7]]])
    assert to_uint8(image).tolist() == [[0, 0, 128, 255, 255]]
    assert to_uint8(image.expand(3, -1, -1)).shape == (1, 5, 3)


def test_difference_is_gray_where_equal() -> None:
    a, b = torch.tensor([0.2, 1.0, 0.0]), torch.tensor([0.2, 0.0, 1.0])
    assert difference(a, b).tolist() == pytest.approx([0.5, 1.0, 0.0])


def test_panel_places_every_image() -> None:
    images = [torch.full((1, 5, 7), level) for level in (0.0, 0.2, 0.4, 0.6)]
    sheet = panel([images[:3], [images[3].expand(3, -1, -1)]], gap=2)
    assert sheet.shape == (12, 25, 3)
    assert (sheet[:5, 9:16] == 51).all()
    assert (sheet[7:, :7] == 153).all()
    assert (sheet[5:7] == 255).all()
    assert (sheet[7:, 9:] == 255).all()


def test_panel_magnifies_pixels() -> None:
    sheet = panel([[torch.tensor([[[0.0, 1.0]]])]], scale=3)
    assert sheet.shape == (3, 6, 3)
    assert (sheet[:, :3] == 0).all()
    assert (sheet[:, 3:] == 255).all()


def test_curves_are_drawn_and_differ(tmp_path: Path) -> None:
    draw_curves({"loss": ([1, 2, 3], [3, 2, 1])}, tmp_path / "one.png")
    draw_curves({"loss": ([1, 2, 3], [1, 2, 3]), "x": ([1], [0])}, tmp_path / "two.png")
    one, two = (np.array(Image.open(tmp_path / f"{name}.png")) for name in ("one", "two"))
    assert two.shape[0] > 1.5 * one.shape[0]
    assert (one[..., :3] < 200).any()


def test_a_picture_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="Could not write"):
        draw_curves({"loss": ([1], [1])}, tmp_path / "file" / "curves.png")
