import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mfif.losses import FusionLoss
from mfif.pair import FocusPair


@pytest.fixture(params=[1, 3], ids=["gray", "rgb"])
def case(request):
    """Fused images, estimated maps and pairs."""
    generator = torch.Generator().manual_seed(0)
    fused, a, b, sharp = torch.rand(4, 2, request.param, 5, 6, generator=generator)
    alpha = torch.rand(2, 1, 5, 6, generator=generator)
    truth = (torch.rand(2, 1, 5, 6, generator=generator) < 0.5).float()
    return fused, alpha, FocusPair(a, b, truth, sharp)


def cross_entropy(estimate, truth):
    """Mean binary cross-entropy, pixel by pixel."""
    pixels = zip(estimate.flatten().tolist(), truth.flatten().tolist(), strict=True)
    return np.mean([-(t * math.log(p) + (1 - t) * math.log(1 - p)) for p, t in pixels])


def distance(fused, sharp, norm):
    difference = fused.double().numpy() - sharp.double().numpy()
    return np.mean(np.abs(difference) if norm == "l1" else difference**2)


def test_refuses_norm():
    with pytest.raises(ValueError, match="Expected `norm` to be 'l1' or 'l2', got 'huber'"):
        FusionLoss("huber")


def test_refuses_map_weight():
    with pytest.raises(ValueError, match="Expected `map_weight` to be zero or positive, got -1"):
        FusionLoss(map_weight=-1)


def test_default_is_the_paper_s(case):
    fused, alpha, pair = case
    loss = FusionLoss()(fused, alpha, pair)
    assert loss.shape == ()
    assert loss.item() == pytest.approx(distance(fused, pair.sharp, "l1"), rel=1e-6)


@pytest.mark.parametrize("map_weight", [0.0, 0.3])
@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_values(case, norm, map_weight):
    fused, alpha, pair = case
    expected = distance(fused, pair.sharp, norm) + map_weight * cross_entropy(alpha, pair.alpha)
    assert FusionLoss(norm, map_weight)(fused, alpha, pair).item() == pytest.approx(expected, rel=1e-5)


def test_values_by_hand():
    fused = torch.tensor([[[[0.5, 0.0]]]])
    pair = FocusPair(fused, fused, torch.tensor([[[[1.0, 0.0]]]]), torch.tensor([[[[0.1, 0.2]]]]))
    alpha = torch.tensor([[[[0.5, 0.75]]]])
    assert FusionLoss("l1")(fused, alpha, pair).item() == pytest.approx(0.3)
    assert FusionLoss("l2")(fused, alpha, pair).item() == pytest.approx(0.1)
    assert FusionLoss("l1", 2)(fused, alpha, pair).item() == pytest.approx(0.3 + math.log(2) + math.log(4))


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_perfect_fusion_costs_nothing(case, norm):
    _, alpha, pair = case
    assert FusionLoss(norm)(pair.sharp, alpha, pair) == 0
    assert FusionLoss(norm, 1.0)(pair.sharp, pair.alpha, pair) == pytest.approx(0, abs=2e-6)


def test_map_is_only_read_with_a_weight(case):
    fused, alpha, pair = case
    assert FusionLoss()(fused, alpha * torch.nan, pair).isfinite()
    assert FusionLoss(map_weight=1.0)(fused, 1 - pair.alpha, pair) > 10  # a wrong map, certain of itself


def test_unsquashed_map_stays_finite(case):
    fused, _, pair = case
    outside = torch.where(pair.alpha > 0, -3.0, 4.0)
    loss = FusionLoss(map_weight=1.0)(fused, outside, pair)
    assert loss.item() == pytest.approx(distance(fused, pair.sharp, "l1") - math.log(1e-6), rel=0.01)


@pytest.mark.parametrize("norm", ["l1", "l2"])
@pytest.mark.parametrize("map_weight", [0.0, 0.5])
def test_half_precision_map(case, norm, map_weight):
    fused, alpha, pair = case
    alpha = alpha.bfloat16()
    rounded = FusionLoss(norm, map_weight)(fused, alpha.float(), pair)
    with torch.autocast("cpu", torch.bfloat16):
        loss = FusionLoss(norm, map_weight)(fused, alpha, pair)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, rounded)


def test_cross_entropy_is_kept_out_of_autocast(case, monkeypatch):
    """On CUDA autocast refuses it, even in float32; on a CPU only the switch tells."""
    seen = []

    def record(estimate, truth):
        seen.append((torch.is_autocast_enabled("cpu"), estimate.dtype, truth.dtype))
        return estimate.sum()

    monkeypatch.setattr(F, "binary_cross_entropy", record)
    fused, alpha, pair = case
    with torch.autocast("cpu", torch.bfloat16):
        FusionLoss(map_weight=1.0)(fused, alpha.bfloat16(), pair)
    assert seen == [(False, torch.float32, torch.float32)]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_autocast_on_the_accelerator(case):
    fused, alpha, pair = case
    expected = FusionLoss(map_weight=1.0)(fused, alpha, pair)
    with torch.autocast("cuda", torch.bfloat16):
        loss = FusionLoss(map_weight=1.0)(fused.cuda(), alpha.cuda(), FocusPair(*(field.cuda() for field in pair)))
    torch.testing.assert_close(loss.cpu(), expected)


def test_gradients(case):
    fused, alpha, pair = case
    fused, alpha = fused.clone().requires_grad_(), alpha.clone().requires_grad_()
    by_fused, by_alpha = torch.autograd.grad(FusionLoss("l1", 0.3)(fused, alpha, pair), (fused, alpha))
    torch.testing.assert_close(by_fused, (fused - pair.sharp).sign() / fused.numel())
    slope = (alpha - pair.alpha) / (alpha * (1 - alpha)) / alpha.numel()
    torch.testing.assert_close(by_alpha, 0.3 * slope)
    (by_fused,) = torch.autograd.grad(FusionLoss("l2")(fused, alpha, pair), fused)
    torch.testing.assert_close(by_fused, 2 * (fused - pair.sharp) / fused.numel())
