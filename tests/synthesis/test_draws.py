import numpy as np
import pytest
import torch
from scipy.stats import kstest

from mfif.synthesis.draws import LogUniform, draw_angle


@pytest.mark.parametrize(
    "bounds", [(0.0, 1.0), (2.0, 1.0), (-1.0, 1.0), (1.0,), (1.0, 2.0, 3.0), (float("nan"), 1)], ids=str
)
def test_refuses_bounds(bounds):
    with pytest.raises(ValueError, match="Expected `width` to be two bounds, 0 < low <= high"):
        LogUniform("width", bounds)


def test_values():
    drawn = LogUniform("width", (0.5, 8.0)).draw(2000, torch.Generator().manual_seed(0))
    assert drawn.shape == (2000, 1)
    assert kstest((drawn[:, 0].double() / 0.5).log2().numpy() / 4, "uniform").pvalue > 0.01
    assert (LogUniform("width", (3.0, 3.0)).draw(5, torch.Generator()) == 3).all()


def test_angles():
    angle = draw_angle(2000, torch.Generator().manual_seed(0))
    assert angle.shape == (2000, 1)
    assert kstest(angle[:, 0].double().numpy() / (2 * np.pi), "uniform").pvalue > 0.01
