from itertools import combinations

import numpy as np
import pytest
import torch

from mfif.synthesis import PaperTemplates, paper_templates


def test_paper_templates_by_hand():
    left, top, main, anti, disc, corner = paper_templates(4).int().squeeze(1).tolist()
    assert left == [[1, 1, 0, 0]] * 4
    assert top == [[1, 1, 1, 1]] * 2 + [[0, 0, 0, 0]] * 2
    assert main == [[0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]]
    assert anti == [[1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert disc == [[0, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1], [0, 1, 1, 0]]
    assert corner == [[1, 1, 0, 0]] * 2 + [[0, 0, 0, 0]] * 2


@pytest.mark.parametrize("size", [32, 64, 33])
def test_paper_templates_areas(size):
    left, top, main, anti, disc, corner = paper_templates(size).mean((1, 2, 3)).tolist()
    half = (size // 2) / size  # the middle line of an odd side belongs to the other source
    assert left == pytest.approx(half, abs=1e-6)
    assert top == pytest.approx(half, abs=1e-6)
    assert main == pytest.approx((size - 1) / (2 * size), abs=1e-6)  # without the diagonal itself
    assert anti == pytest.approx((size - 1) / (2 * size), abs=1e-6)
    assert disc == pytest.approx(0.5, abs=0.02)
    assert corner == pytest.approx(half**2, abs=1e-6)


def test_paper_disc_is_round_and_centred():
    disc = paper_templates(64)[4, 0]
    for turned in (disc.T, disc.flip(0), disc.flip(1)):
        assert torch.equal(disc, turned)
    y, x = np.nonzero(disc.numpy())
    outside = np.nonzero(disc.numpy() == 0)
    farthest = np.hypot(y - 31.5, x - 31.5).max()
    assert farthest < np.hypot(outside[0] - 31.5, outside[1] - 31.5).min()
    assert farthest == pytest.approx(64 / np.sqrt(2 * np.pi), abs=1)


def test_paper_templates_differ():
    """Also where the sources change places, which turns a map into its complement."""
    for first, second in combinations(paper_templates(32), 2):
        assert (first != second).float().mean() > 0.1
        assert (first != 1 - second).float().mean() > 0.1


def test_paper_templates_render_by_index():
    templates = PaperTemplates()
    variant = torch.tensor([5, 0, 3, 3])
    maps = templates.render(templates.draw(variant, torch.Generator()), 16)
    assert templates.variants == 6
    for sample, index in zip(maps, variant.tolist(), strict=True):
        assert torch.equal(sample, paper_templates(16)[index])
