import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from skimage.measure import points_in_poly

from mfif.synthesis import HalfplaneTemplates, ShapeTemplates

SIZE = 24


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def draws(templates, count=40):
    return templates.draw(torch.zeros(count, dtype=torch.long), generator())


def pixel_centres():
    """(x, y) of each pixel, from -1/2 to 1/2, row by row."""
    return [((column + 0.5) / SIZE - 0.5, (row + 0.5) / SIZE - 0.5) for row in range(SIZE) for column in range(SIZE)]


@pytest.mark.parametrize("offset", [-0.1, 0.5, 2.0])
def test_halfplane_refuses_offset(offset):
    with pytest.raises(ValueError, match="Expected `offset` to be in"):
        HalfplaneTemplates(offset)


def test_shapes_refuse():
    with pytest.raises(ValueError, match="Expected `radius` to be two bounds"):
        ShapeTemplates((0.5, 0.1))
    with pytest.raises(ValueError, match="Expected `corners` to be at least 2, got 1"):
        ShapeTemplates(corners=1)


def test_halfplane_matches_brute_force():
    templates = HalfplaneTemplates()
    parameters = draws(templates)
    for sample, (angle, distance) in zip(templates.render(parameters, SIZE), parameters.tolist(), strict=True):
        kept = [x * math.cos(angle) + y * math.sin(angle) > distance for x, y in pixel_centres()]
        assert (sample.flatten() != torch.tensor(kept).float()).sum() <= 1  # a centre on the edge


def test_halfplane_by_hand():
    """A right half, and the lower three quarters."""
    right, lower = HalfplaneTemplates().render(torch.tensor([[0.0, 0.0], [math.pi / 2, -0.25]]), 4)[:, 0].int()
    assert right.tolist() == [[0, 0, 1, 1]] * 4
    assert lower.tolist() == [[0] * 4, [1] * 4, [1] * 4, [1] * 4]


def test_halfplane_draws_are_uniform():
    angle, distance = draws(HalfplaneTemplates(0.35), 2000).double().unbind(1)
    assert kstest((angle / (2 * np.pi)).numpy(), "uniform").pvalue > 0.01
    assert kstest(((distance + 0.35) / 0.7).numpy(), "uniform").pvalue > 0.01


def corners_of(x, y, along, across, angle, count):
    """Corners of a polygon: even steps round the unit circle, stretched, turned and moved."""
    turns = 2 * np.pi * np.arange(int(count)) / count
    u, v = along * np.cos(turns), across * np.sin(turns)
    return np.stack([x + u * np.cos(angle) - v * np.sin(angle), y + u * np.sin(angle) + v * np.cos(angle)], axis=1)


def test_shapes_match_brute_force():
    templates = ShapeTemplates()
    parameters = draws(templates, 120)
    kinds = set()
    for sample, drawn in zip(templates.render(parameters, SIZE), parameters.double().tolist(), strict=True):
        x, y, along, across, angle, corners = drawn
        kinds.add(int(corners))
        if corners > 2:
            inside = points_in_poly(np.array(pixel_centres()), corners_of(*drawn))
        else:
            inside = []
            for px, py in pixel_centres():
                u = ((px - x) * math.cos(angle) + (py - y) * math.sin(angle)) / along
                v = ((py - y) * math.cos(angle) - (px - x) * math.sin(angle)) / across
                inside.append(u * u + v * v <= 1)
        assert (sample.flatten() != torch.tensor(np.array(inside)).float()).sum() <= 1, drawn
    assert kinds == {2, 3, 4, 5, 6}


def test_a_rectangle_by_hand():
    """A regular quadrangle with a corner on the axis is a diamond; turned by 45 degrees it is a square."""
    radius = 0.25 * math.sqrt(2)
    square = ShapeTemplates().render(torch.tensor([[0.0, 0.0, radius, radius, math.pi / 4, 4.0]]), 8)[0, 0].int()
    assert square.tolist() == [[0] * 8] * 2 + [[0, 0, 1, 1, 1, 1, 0, 0]] * 4 + [[0] * 8] * 2


def test_ellipses_alone():
    assert (draws(ShapeTemplates(corners=2), 200)[:, 5] == 2).all()


def test_area_of_an_ellipse():
    area = ShapeTemplates().render(torch.tensor([[0.0, 0.0, 0.4, 0.2, 0.7, 2.0]]), 200).mean()
    assert area.item() == pytest.approx(math.pi * 0.4 * 0.2, abs=2e-3)
