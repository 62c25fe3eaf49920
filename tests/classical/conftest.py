import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import Tensor

from mfif.metrics.functional import en, q_g, q_mi, viff


@pytest.fixture(scope="session")
def half_blurred():
    """A textured scene, sharp on the left in the first source and on the right in the second, and the true map."""
    scene = gaussian_filter(np.random.default_rng(0).random((96, 90)), 0.7, mode="nearest")
    scene = (scene - scene.min()) / (scene.max() - scene.min())
    blurred = gaussian_filter(scene, 2, mode="nearest")
    left = np.arange(90) < 48
    pair = np.where(left, scene, blurred), np.where(left, blurred, scene)
    return *(torch.from_numpy(image)[None, None].float() for image in pair), torch.from_numpy(left).expand(1, 1, 96, 90)


@pytest.fixture(scope="session")
def golf(shared):
    """The pair of the paper's table 1, RGB in [0, 1]."""
    images = [Image.open(shared / "data" / "lytro" / f"lytro-01-{source}.png") for source in "AB"]
    return [torch.from_numpy(np.array(image)).movedim(-1, 0)[None].float() / 255 for image in images]


@pytest.fixture(scope="session")
def paper_scores():
    """Q_MI, Q_G, EN and VIFF of a fused image as it would be saved."""

    def scores(fused: Tensor, a: Tensor, b: Tensor) -> list[float]:
        saved = (255 * fused).round() / 255
        return [score.item() for score in (q_mi(saved, a, b), q_g(saved, a, b), en(saved), viff(saved, a, b))]

    return scores
