import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from mfif.synthesis import StripTemplates
from mfif.synthesis.templates.blobs import random_fields


def strips(count, size, seed=0, **settings):
    templates = StripTemplates(**settings)
    parameters = templates.draw(torch.zeros(count, dtype=torch.long), torch.Generator().manual_seed(seed))
    return parameters, templates.render(parameters, size)[:, 0].bool()


@pytest.mark.parametrize("name", ["width", "length"])
@pytest.mark.parametrize("bounds", [(0.0, 0.1), (0.2, 0.1), (0.1,)], ids=str)
def test_strips_refuse_bounds(name, bounds):
    with pytest.raises(ValueError, match=f"Expected `{name}` to be two bounds"):
        StripTemplates(**{name: bounds})


def test_strips_are_as_wide_as_said():
    """What lies in a strip is about as far from the zero of the field as an exact distance transform says."""
    size, width = 200, 0.04
    parameters, maps = strips(12, size, width=(width, width), length=(0.3, 0.3))
    frequency, phase = parameters[:, :48].view(-1, 24, 2), parameters[:, 48:72]
    above = (random_fields(frequency, phase, size) > 0).numpy()
    gap = parameters[:, -1].bool()
    inside = (maps ^ gap[:, None, None]).numpy()
    # From the centre of a pixel to the nearest one across the zero, which is half a pixel farther than the zero itself.
    distance = np.stack([np.where(sample, *map(distance_transform_edt, (sample, ~sample))) for sample in above]) - 0.5
    assert inside[distance < 0.5 * width * size - 1].mean() > 0.99
    assert inside[distance > 0.5 * width * size + 1].mean() < 0.01
    assert inside.mean() > 0.05


def test_strips_cover_what_their_length_and_width_say():
    """The zero of a Gaussian field of correlation length l is 1 / (2 l) long per area (Kac and Rice)."""
    parameters, maps = strips(300, 160, width=(0.02, 0.02), length=(0.2, 0.2))
    inside = maps ^ parameters[:, -1:, None].bool()
    assert inside.float().mean().item() == pytest.approx(0.02 / (2 * 0.2), rel=0.1)


def test_strips_have_gaps_as_often():
    parameters, maps = strips(200, 64, width=(0.02, 0.02))
    gap = parameters[:, -1].bool()
    assert 80 < gap.sum() < 120
    share = maps.float().mean((1, 2))
    assert share[gap].min() > 0.5
    assert share[~gap].max() < 0.5
