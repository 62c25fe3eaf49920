import math
from functools import partial

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, sobel
from torch.nn import functional as F

from mfif.losses import FusionLoss, SharperSourceSsim
from mfif.pair import FocusPair, blend


@pytest.fixture(params=[1, 3], ids=["gray", "rgb"])
def case(request):
    """Fused images, estimated maps and pairs."""
    generator = torch.Generator().manual_seed(0)
    fused, a, b, sharp = torch.rand(4, 2, request.param, 9, 11, generator=generator)
    alpha = torch.rand(2, 1, 9, 11, generator=generator)
    truth = (torch.rand(2, 1, 9, 11, generator=generator) < 0.5).float()
    return fused, alpha, FocusPair(a, b, truth, sharp)


def cross_entropy(estimate, truth):
    """Mean binary cross-entropy, pixel by pixel."""
    pixels = zip(estimate.flatten().tolist(), truth.flatten().tolist(), strict=True)
    return np.mean([-(t * math.log(p) + (1 - t) * math.log(1 - p)) for p, t in pixels])


def l1(fused, sharp):
    return np.mean(np.abs(fused.double().numpy() - sharp.double().numpy()))


def l2(fused, sharp):
    return np.mean((fused.double().numpy() - sharp.double().numpy()) ** 2)


def dissimilarity(fused, sharp):
    """1 - SSIM with the Gaussian window of the paper, cut at 5 pixels, mirrored at the border."""
    means = []
    for x, y in zip(fused.double().flatten(0, 1).numpy(), sharp.double().flatten(0, 1).numpy(), strict=True):
        smooth = partial(gaussian_filter, sigma=1.5, radius=5, mode="mirror")
        mean_x, mean_y = smooth(x), smooth(y)
        variance_x, variance_y = smooth(x * x) - mean_x**2, smooth(y * y) - mean_y**2
        covariance = smooth(x * y) - mean_x * mean_y
        luminance = (2 * mean_x * mean_y + 0.01**2) / (mean_x**2 + mean_y**2 + 0.01**2)
        means.append(np.mean(luminance * (2 * covariance + 0.03**2) / (variance_x + variance_y + 0.03**2)))
    return 1 - np.mean(means)


def gradients(fused, sharp):
    """Mean over both directions of the absolute difference of Sobel gradients, the border repeated."""
    planes = (fused.double() - sharp.double()).flatten(0, 1).numpy()
    return np.mean([np.abs(sobel(plane, axis, mode="nearest")) / 8 for plane in planes for axis in (0, 1)])


TERMS = {"l1": l1, "l2": l2, "ssim": dissimilarity, "gradient": gradients}


@pytest.mark.parametrize("name", [*TERMS, "cross_entropy", "ideal", "pristine", "regret", "undecided"])
def test_refuses_negative_weights(name):
    with pytest.raises(ValueError, match=f"Expected `{name}` to be zero or positive, got -1"):
        FusionLoss(**{name: -1})


def test_refuses_no_term():
    with pytest.raises(ValueError, match=r"Expected one of l1, .*, ideal, pristine, regret to be positive"):
        FusionLoss(l1=0)


def test_ideal_weighs_errors_of_the_map_by_what_they_show(case):
    _, alpha, pair = case
    loss = FusionLoss(l1=0, ideal=1)(blend(pair.a, pair.b, alpha), alpha, pair)
    a, b, of_map, truth = (value.double().numpy() for value in (pair.a, pair.b, alpha, pair.alpha))
    assert loss.item() == pytest.approx(np.mean(np.abs(of_map - truth) * np.abs(a - b)), rel=1e-5)


def test_noise_picked_away_is_a_gain_for_l1_and_none_for_ideal(case):
    _, _, pair = case
    pair = pair._replace(a=pair.a.mean(1, True), b=pair.b.mean(1, True), sharp=pair.sharp.mean(1, True))
    picked = ((pair.a - pair.sharp).abs() < (pair.b - pair.sharp).abs()).float()
    for weights, gains in (({"l1": 1.0}, True), ({"l1": 0.0, "ideal": 1.0}, False)):
        loss = FusionLoss(**weights)
        of_picked, of_truth = (loss(blend(pair.a, pair.b, map_), map_, pair) for map_ in (picked, pair.alpha))
        assert (of_picked < of_truth) == gains
    assert of_truth == 0


def test_pristine_fuses_the_sources_without_their_noise(case):
    fused, alpha, pair = case
    noisy = pair._replace(a=pair.a * torch.nan, b=pair.b * torch.nan, pristine_a=pair.a, pristine_b=pair.b)
    loss = FusionLoss(l1=0, pristine=1)(fused * torch.nan, alpha, noisy)
    a, b, of_map = (value.double().numpy() for value in (pair.a, pair.b, alpha))
    assert loss.item() == pytest.approx(l1(torch.from_numpy(of_map * a + (1 - of_map) * b), pair.sharp), rel=1e-5)


def test_without_noise_pristine_is_l1_and_so_are_its_gradients(case):
    _, alpha, pair = case
    gradients = []
    for weights in ({"l1": 1.0}, {"l1": 0.0, "pristine": 1.0}):
        estimate = alpha.clone().requires_grad_()
        FusionLoss(**weights)(blend(pair.a, pair.b, estimate), estimate, pair).backward()
        gradients.append(estimate.grad)
    assert torch.equal(*gradients)


def test_regret_is_how_much_farther_the_fusion_is_than_the_best(case):
    _, alpha, pair = case
    noisy = pair._replace(a=pair.a * torch.nan, b=pair.b * torch.nan, pristine_a=pair.a, pristine_b=pair.b)
    loss = FusionLoss(l1=0, regret=1)(noisy.a, alpha, noisy)
    a, b, of_map, truth, sharp = (value.double().numpy() for value in (pair.a, pair.b, alpha, pair.alpha, pair.sharp))
    regrets = []
    for n, y, x in np.ndindex(len(a), *a.shape[2:]):
        fused, best = (m[n, 0, y, x] * a[n, :, y, x] + (1 - m[n, 0, y, x]) * b[n, :, y, x] for m in (of_map, truth))
        farther = np.abs(fused - sharp[n, :, y, x]).mean() - np.abs(best - sharp[n, :, y, x]).mean()
        regrets.append(max(0.0, farther))
    assert loss.item() == pytest.approx(np.mean(regrets), rel=1e-5)


def test_leaving_the_true_map_for_the_nearer_source_is_a_gain_for_pristine_and_none_for_regret(case):
    _, _, pair = case
    errors = [(source - pair.sharp).abs().mean(1, keepdim=True) for source in (pair.a, pair.b)]
    nearer = (errors[0] < errors[1]).float()
    losses = [FusionLoss(l1=0, pristine=1), FusionLoss(l1=0, regret=1)]
    of_nearer, of_truth, of_farther = (
        [loss(pair.a, map_, pair).item() for loss in losses] for map_ in (nearer, pair.alpha, 1 - nearer)
    )
    assert of_nearer[0] < of_truth[0]
    assert of_nearer[1] == of_truth[1] == 0
    assert of_farther[1] > 0


def test_noise_picked_away_is_no_gain_for_pristine(case):
    """Both sources are the scene, and differ by their noise alone: no map is better than another."""
    _, alpha, pair = case
    pair = pair._replace(pristine_a=pair.sharp, pristine_b=pair.sharp)
    picked = ((pair.a - pair.sharp).abs() < (pair.b - pair.sharp).abs()).float().mean(1, keepdim=True)
    for estimate in (picked, alpha):
        loss = FusionLoss(l1=0, pristine=1)(blend(pair.a, pair.b, estimate), estimate, pair)
        assert loss.item() == pytest.approx(0, abs=1e-7)


def test_default_is_the_paper_s(case):
    fused, alpha, pair = case
    loss = FusionLoss()(fused, alpha, pair)
    assert loss.shape == ()
    assert loss.item() == pytest.approx(l1(fused, pair.sharp), rel=1e-6)


@pytest.mark.parametrize("name", TERMS)
def test_terms(case, name):
    fused, alpha, pair = case
    loss = FusionLoss(**{"l1": 0.0, name: 1.0})(fused, alpha, pair)
    assert loss.shape == ()
    assert loss.item() == pytest.approx(TERMS[name](fused, pair.sharp), rel=1e-4)


def test_cross_entropy_alone_does_not_read_the_fused_image(case):
    fused, alpha, pair = case
    loss = FusionLoss(l1=0.0, cross_entropy=1.0)(fused * torch.nan, alpha, pair)
    assert loss.item() == pytest.approx(cross_entropy(alpha, pair.alpha), rel=1e-5)


def test_mixture_is_the_weighted_sum(case):
    fused, alpha, pair = case
    weights = {"l1": 0.5, "l2": 2.0, "ssim": 0.1, "gradient": 3.0}
    expected = sum(weight * TERMS[name](fused, pair.sharp) for name, weight in weights.items())
    expected += 0.3 * cross_entropy(alpha, pair.alpha)
    assert FusionLoss(**weights, cross_entropy=0.3)(fused, alpha, pair).item() == pytest.approx(expected, rel=1e-4)


def test_values_by_hand():
    fused = torch.tensor([[[[0.5, 0.0]]]])
    pair = FocusPair(fused, fused, torch.tensor([[[[1.0, 0.0]]]]), torch.tensor([[[[0.1, 0.2]]]]))
    alpha = torch.tensor([[[[0.5, 0.75]]]])
    assert FusionLoss()(fused, alpha, pair).item() == pytest.approx(0.3)
    assert FusionLoss(l1=0, l2=1)(fused, alpha, pair).item() == pytest.approx(0.1)
    # Along x both differences are -0.6 over two pixels, where the border is repeated: -0.6 * 4 / 8; along y nothing.
    assert FusionLoss(l1=0, gradient=1)(fused, alpha, pair).item() == pytest.approx(0.6 * 4 / 8 / 2)
    expected = 0.3 + math.log(2) + math.log(4)
    assert FusionLoss(cross_entropy=2)(fused, alpha, pair).item() == pytest.approx(expected)


@pytest.mark.parametrize("name", TERMS)
def test_perfect_fusion_costs_nothing(case, name):
    _, alpha, pair = case
    weights = {"l1": 0.0, name: 1.0}
    assert FusionLoss(**weights)(pair.sharp, alpha, pair) == pytest.approx(0, abs=1e-6)
    assert FusionLoss(**weights, cross_entropy=1.0)(pair.sharp, pair.alpha, pair) == pytest.approx(0, abs=3e-6)


def test_map_is_only_read_with_a_weight(case):
    fused, alpha, pair = case
    assert FusionLoss()(fused, alpha * torch.nan, pair).isfinite()
    assert FusionLoss(cross_entropy=1.0)(fused, 1 - pair.alpha, pair) > 10  # a wrong map, certain of itself


def test_unsquashed_map_stays_finite(case):
    fused, _, pair = case
    outside = torch.where(pair.alpha > 0, -3.0, 4.0)
    loss = FusionLoss(cross_entropy=1.0)(fused, outside, pair)
    assert loss.item() == pytest.approx(l1(fused, pair.sharp) - math.log(1e-6), rel=0.01)


@pytest.mark.parametrize("name", [*TERMS, "cross_entropy"])
def test_half_precision(case, name):
    fused, alpha, pair = case
    fused, alpha = fused.bfloat16(), alpha.bfloat16()
    loss = FusionLoss(**{name: 1.0})
    rounded = loss(fused.float(), alpha.float(), pair)
    with torch.autocast("cpu", torch.bfloat16):
        half = loss(fused, alpha, pair)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, rounded)


def test_cross_entropy_is_kept_out_of_autocast(case, monkeypatch):
    """On CUDA autocast refuses it, even in float32; on a CPU only the switch tells."""
    seen = []

    def record(estimate, truth):
        seen.append((torch.is_autocast_enabled("cpu"), estimate.dtype, truth.dtype))
        return estimate.sum()

    monkeypatch.setattr(F, "binary_cross_entropy", record)
    fused, alpha, pair = case
    with torch.autocast("cpu", torch.bfloat16):
        FusionLoss(cross_entropy=1.0)(fused, alpha.bfloat16(), pair)
    assert seen == [(False, torch.float32, torch.float32)]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_autocast_on_the_accelerator(case):
    fused, alpha, pair = case
    expected = FusionLoss(cross_entropy=1.0)(fused, alpha, pair)
    with torch.autocast("cuda", torch.bfloat16):
        loss = FusionLoss(cross_entropy=1.0)(
            fused.cuda(), alpha.cuda(), FocusPair(**{k: v.cuda() for k, v in pair.tensors().items()})
        )
    torch.testing.assert_close(loss.cpu(), expected)


def test_gradients(case):
    fused, alpha, pair = case
    fused, alpha = fused.clone().requires_grad_(), alpha.clone().requires_grad_()
    by_fused, by_alpha = torch.autograd.grad(FusionLoss(cross_entropy=0.3)(fused, alpha, pair), (fused, alpha))
    torch.testing.assert_close(by_fused, (fused - pair.sharp).sign() / fused.numel())
    slope = (alpha - pair.alpha) / (alpha * (1 - alpha)) / alpha.numel()
    torch.testing.assert_close(by_alpha, 0.3 * slope)
    (by_fused,) = torch.autograd.grad(FusionLoss(l1=0, l2=1)(fused, alpha, pair), fused)
    torch.testing.assert_close(by_fused, 2 * (fused - pair.sharp) / fused.numel())


# Classes of focus, one of them undecided.


def three_classes(template, reach):
    """1 and 0 where all is alike so many pixels around, else 1/2."""
    classes = np.empty(template.shape)
    for y, x in np.ndindex(template.shape):
        around = template[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1]
        classes[y, x] = around.mean() if around.min() == around.max() else 0.5
    return classes


@pytest.mark.parametrize("reach", [1, 2])
def test_undecided_pixels_lie_beside_edges(reach):
    template = torch.zeros(1, 1, 12, 11)
    template[..., :5, 2:] = 1
    generator = torch.Generator().manual_seed(0)
    image, alpha = torch.rand(2, 1, 1, 12, 11, generator=generator).unbind()
    loss = FusionLoss(l1=0, cross_entropy=1, undecided=reach)(image, alpha, FocusPair(image, image, template, image))
    classes = torch.tensor(three_classes(template[0, 0].numpy(), reach))
    assert set(classes.unique().tolist()) == {0, 0.5, 1}
    assert loss.item() == pytest.approx(cross_entropy(alpha, classes), rel=1e-5)


@pytest.mark.parametrize("name", ["cross_entropy", "pristine", "regret"])
def test_a_network_without_a_map_has_no_loss_of_it(case, name):
    fused, alpha, pair = case
    assert torch.equal(FusionLoss()(fused, None, pair), FusionLoss()(fused, alpha, pair))
    with pytest.raises(ValueError, match=f"Expected `{name}` to be 0 for a network without a map"):
        FusionLoss(**{name: 0.1})(fused, None, pair)


# Structural similarity to the source that varies more.


def sharper_source_ssim(fused, a, b, size):
    """Window after window, each against the source of the larger standard deviation."""
    similarities = []
    height, width = fused.shape[-2:]
    for n, c in np.ndindex(*fused.shape[:2]):
        for top in range(height - size + 1):
            for left in range(width - size + 1):
                y, x1, x2 = (
                    image[n, c, top : top + size, left : left + size].double().numpy() for image in (fused, a, b)
                )
                x = x1 if x1.std() >= x2.std() else x2
                covariance = ((x - x.mean()) * (y - y.mean())).mean()
                means = (2 * x.mean() * y.mean() + 1e-4) / (x.mean() ** 2 + y.mean() ** 2 + 1e-4)
                similarities.append(means * (2 * covariance + 9e-4) / (x.var() + y.var() + 9e-4))
    return 1 - np.mean(similarities)


@pytest.mark.parametrize("size", [7, 4])
def test_sharper_source_ssim_matches_brute_force(case, size):
    fused, alpha, pair = case
    pair = pair._replace(a=pair.a * torch.linspace(0.2, 1, 11))  # varies less on the left, more on the right
    loss = SharperSourceSsim(size)(fused, alpha, pair)
    assert loss.shape == ()
    assert loss.item() == pytest.approx(sharper_source_ssim(fused, pair.a, pair.b, size), abs=1e-5)


def test_sharper_source_ssim_wants_each_window_from_its_sharper_source():
    scene = torch.rand(1, 1, 40, 40, generator=torch.Generator().manual_seed(0))
    blurred = F.avg_pool2d(scene, 5, stride=1, padding=2)
    left = (torch.arange(40) < 20).float().expand(1, 1, 40, 40)
    a, b = left * scene + (1 - left) * blurred, left * blurred + (1 - left) * scene
    pair = FocusPair(a, b, left, scene * torch.nan)  # it knows no truth
    losses = [SharperSourceSsim()(fused, None, pair).item() for fused in (scene, a, (a + b) / 2)]
    assert losses[0] < 0.1 < losses[1]
    assert losses[0] < losses[2]


def test_sharper_source_ssim_of_the_source_is_nothing(case):
    _, _, pair = case
    assert SharperSourceSsim()(pair.a, None, pair._replace(b=pair.a)).item() == pytest.approx(0, abs=1e-6)


def test_sharper_source_ssim_in_half_precision(case):
    fused, _, pair = case
    with torch.autocast("cpu", torch.bfloat16):
        half = SharperSourceSsim()(fused.bfloat16(), None, pair)
    torch.testing.assert_close(half, SharperSourceSsim()(fused.bfloat16().float(), None, pair))


@pytest.mark.parametrize("window", [1, 0])
def test_refuses_window(window):
    with pytest.raises(ValueError, match=f"Expected `window` to be at least 2, got {window}"):
        SharperSourceSsim(window)
