import math

import pytest
import torch

from mfif.memory import keep_freed_memory
from mfif.metrics.functional import q_p
from mfif.metrics.functional.phase_congruency import phase_congruency


@pytest.fixture
def features_once(monkeypatch):
    """Compute the features of each image once, as the reference values share their sources: half the time."""
    known = {}

    def once(gray):
        key = (gray.shape, gray.dtype, gray.numpy().tobytes())
        if key not in known:
            known[key] = phase_congruency(gray)
        return known[key]

    keep_freed_memory()  # a third of the time
    monkeypatch.setitem(q_p.__globals__, "phase_congruency", once)


@pytest.mark.usefixtures("features_once")
def test_golden(meets_golden):
    meets_golden("Q_P", q_p, torch.float64, 1e-6)


@pytest.mark.usefixtures("features_once", "without_float64")
def test_golden_in_float32(meets_golden):
    meets_golden("Q_P", q_p, torch.float32, 1e-4)


def test_perfect_fusion_is_near_one(images):
    fused, _, _ = images
    assert (q_p(fused, fused, fused) > 0.9).all()


def test_blur_and_noise_lower_the_score(images):
    fused, a, b = images
    blurred = torch.nn.functional.avg_pool2d(fused, 3, 1, 1)
    noise = torch.randn(fused.shape, generator=torch.Generator().manual_seed(0))
    assert (q_p(blurred, a, b) < q_p(fused, a, b)).all()
    assert (q_p((fused + 0.1 * noise).clamp(0, 1), a, b) < q_p(fused, a, b)).all()


def test_constant_images(images):
    f, a, b = (image[:1] for image in images)
    gray = torch.full_like(f, 0.5)
    for triple in ((gray, a, b), (f, gray, b), (gray, gray, gray)):
        assert q_p(*triple).isnan().all()
    assert q_p(f, a, gray).isfinite().all()


def test_one_constant_image_leaves_the_batch_alone(images):
    f, a, b = images
    spoiled = f.clone()
    spoiled[1] = 0.5
    score = q_p(spoiled, a, b)
    assert score.isnan().tolist() == [False, True, False]
    torch.testing.assert_close(score[::2], q_p(f, a, b)[::2], rtol=1e-12, atol=0)


@pytest.mark.parametrize("size", [(1, 1), (1, 20), (20, 1), (2, 2), (5, 7), (12, 9)])
def test_small_images_run(size):
    f, a, b = torch.rand(3, 1, 1, *size, generator=torch.Generator().manual_seed(0))
    score = q_p(f, a, b).item()
    assert math.isnan(score) if min(size) == 1 else not math.isinf(score)
