"""The classes of `mfif.metrics.structure`, `mfif.metrics.perception` and `mfif.metrics.maps`."""

import math
import pickle

import matplotlib as mpl
import pytest
import torch
from matplotlib import pyplot as plt

from mfif.metrics.functional.boundary_accuracy import boundary_accuracy
from mfif.metrics.functional.gray import gray8
from mfif.metrics.functional.q_c import q_c
from mfif.metrics.functional.q_cb import q_cb
from mfif.metrics.functional.q_cv import q_cv
from mfif.metrics.functional.q_e import q_e
from mfif.metrics.functional.q_s import q_s
from mfif.metrics.functional.q_w import q_w
from mfif.metrics.functional.q_y import q_y
from mfif.metrics.functional.shared_work import computing_once
from mfif.metrics.functional.source_psnr import source_psnr
from mfif.metrics.functional.source_ssim import source_ssim
from mfif.metrics.functional.ssim import ssim
from mfif.metrics.maps import BoundaryAccuracy
from mfif.metrics.perception import QCB, QCV
from mfif.metrics.structure import QC, QE, QS, QW, QY, SSIM, SourcePSNR, SourceSSIM

mpl.use("Agg")

# Class, its options, the function of the same score.
METRICS = {
    "Q_S": (QS, {}, q_s),
    "zl_Q_S": (QS, {"variant": "zl"}, q_s),
    "Q_W": (QW, {}, q_w),
    "zl_Q_W": (QW, {"variant": "zl"}, q_w),
    "Q_E": (QE, {}, q_e),
    "Q_C": (QC, {}, q_c),
    "zl_Q_C": (QC, {"variant": "zl"}, q_c),
    "Q_Y": (QY, {}, q_y),
    "PSNR_AB": (SourcePSNR, {}, source_psnr),
    "published_PSNR_AB": (SourcePSNR, {"variant": "published"}, source_psnr),
    "SSIM_AB": (SourceSSIM, {}, source_ssim),
    "SSIM": (SSIM, {}, ssim),
    "Q_CV": (QCV, {}, q_cv),
    "Q_CB": (QCB, {}, q_cb),
    "BoundaryAccuracy": (BoundaryAccuracy, {"radius": 2}, boundary_accuracy),
}
IMAGES = [name for name in METRICS if name != "BoundaryAccuracy"]


def arguments(images, metric):
    fused, source_a, source_b = images
    maps = {"alpha": fused[:, :1], "alpha_true": source_a[:, :1].round()}
    return metric._filter_kwargs(fused=fused, source_a=source_a, source_b=source_b, sharp=source_a, **maps)


@pytest.fixture(params=METRICS)
def case(request, images):
    """A metric, its function with the same options, and the arguments both take."""
    metric_class, options, function = METRICS[request.param]
    metric = metric_class(**options)
    return metric, lambda **own: function(**own, **options), arguments(images, metric)


def test_score_is_the_function(case):
    metric, function, own = case
    scores = metric.score(**own)
    assert scores.shape == (3,)
    assert scores.dtype == torch.float64
    assert torch.equal(scores, function(**own))


def test_shared_work_changes_no_score(images):
    cases = [(function, arguments(images, cls(**options)), options) for cls, options, function in METRICS.values()]
    alone = [function(**own, **options) for function, own, options in cases]
    with computing_once() as work:
        together = [function(**own, **options) for function, own, options in cases]
        names = [name for name, *_ in work]
    assert all(map(torch.equal, together, alone))
    # Of a batch of three: gray images at once, the rest image by image; two variants of local quality.
    counts = {name: names.count(name) for name in names}
    assert counts == {"gray8": 3, "box_moments": 3, "local_quality": 6, "stretch8": 9}


def test_mean_over_images_whatever_the_batches(case):
    metric, function, own = case
    singles = [function(**{name: tensor[i : i + 1] for name, tensor in own.items()}) for i in range(3)]
    torch.testing.assert_close(function(**own), torch.cat(singles), rtol=1e-12, atol=0)
    metric.update(**{name: tensor[:2] for name, tensor in own.items()})
    metric.update(**{name: tensor[2:] for name, tensor in own.items()})
    torch.testing.assert_close(metric.compute(), torch.cat(singles).mean(), rtol=1e-12, atol=0)
    assert pickle.loads(pickle.dumps(metric)).compute() == metric.compute()


@pytest.mark.parametrize("name", METRICS)
def test_direction(name, images):
    metric_class, options, _ = METRICS[name]
    metric = metric_class(**options)
    assert metric.higher_is_better is (name != "Q_CV")
    own = arguments(images, metric)
    first, target = list(own)[:2]
    better = metric.score(**{**own, first: own[target], "source_b": own[target]} if "source_b" in own
                          else {**own, first: own[target]})  # fmt: skip
    worse = metric.score(**own)
    assert ((better > worse) if metric.higher_is_better else (better < worse)).all()


@pytest.mark.parametrize("name", IMAGES)
def test_colour_is_scored_on_its_gray_in_any_type_and_range(name, images):
    metric_class, options, _ = METRICS[name]
    metric = metric_class(**options)
    own = arguments(images, metric)
    expected = metric.score(**own)
    gray = {key: gray8(image).unsqueeze(1) for key, image in own.items()}
    white = metric_class(data_range=255, **options)
    torch.testing.assert_close(white.score(**gray), expected, rtol=0, atol=0)
    levels = {key: (255 * image).round().to(torch.uint8) for key, image in own.items()}
    torch.testing.assert_close(white.score(**levels), expected, rtol=0, atol=0)
    floats = {key: image.float() for key, image in own.items()}
    torch.testing.assert_close(metric.score(**floats), expected, rtol=0, atol=0)
    rough = {key: image.bfloat16() for key, image in own.items()}
    with torch.autocast("cpu", torch.bfloat16):
        inside = metric.score(**rough)
    torch.testing.assert_close(inside, metric.score(**{key: x.float() for key, x in rough.items()}), rtol=0, atol=0)


def test_differentiable_as_declared(case):
    metric, _, own = case
    first = next(iter(own))
    own[first] = own[first].clone().requires_grad_()
    value = metric(**own)
    assert not metric.total.requires_grad
    if metric.is_differentiable:
        (gradient,) = torch.autograd.grad(value, own[first])
        assert gradient.isfinite().all()
        assert gradient.any()


@pytest.mark.parametrize("name", IMAGES)
def test_gradient_is_that_of_the_unrounded_score(name, images, monkeypatch):
    metric_class, options, function = METRICS[name]
    own = arguments([image[:, :1] for image in images], metric_class(**options))
    # Nothing is rounded, here: what the gradient is passed through is the identity.
    monkeypatch.setattr("mfif.metrics.functional.gray._round", lambda pixels: pixels)
    monkeypatch.setattr(torch, "floor", lambda pixels: pixels - 0.5)
    fused = own["fused"].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(function(**{**own, "fused": fused}, **options).sum(), fused)
    direction = torch.randn(fused.shape, generator=torch.Generator().manual_seed(1)).double()
    step = 1e-6 * direction
    with torch.no_grad():
        up, down = (function(**{**own, "fused": own["fused"] + sign * step}, **options) for sign in (1, -1))
    slope = (up - down) / 2e-6
    torch.testing.assert_close((gradient * direction).sum((1, 2, 3)), slope, rtol=1e-3, atol=1e-4)


def test_plot_keeps_its_bounds(case):
    metric, _, own = case
    metric.update(**own)
    metric.plot()
    bounds = (metric.plot_lower_bound, metric.plot_upper_bound)
    low, high = metric.plot([metric.compute(), metric.compute()])[1].get_ylim()
    assert all(bound is None or low <= bound <= high for bound in bounds)
    scores = metric.score(**own)
    assert bounds[0] is None or (scores >= bounds[0]).all()
    assert bounds[1] is None or (scores <= bounds[1]).all()
    plt.close("all")


def test_arguments_must_be_finite_and_the_truth_keep_its_range(case):
    metric, _, own = case
    for name in own:
        spoiled = own[name].clone()
        spoiled[1, 0, 0, 0] = math.nan
        with pytest.raises(ValueError, match=f"Expected `{name}` to be finite"):
            metric.update(**{**own, name: spoiled})
    truth = list(own)[1]
    own[truth] = 255 * own[truth]
    with pytest.raises(ValueError, match=rf"Expected `{truth}` to lie in \[0, 1\]"):
        metric.update(**own)
    assert metric.count == 0


@pytest.mark.parametrize("name", IMAGES)
def test_a_pixel_that_is_not_finite_costs_its_image_the_score(name, images):
    metric_class, options, function = METRICS[name]
    own = arguments(images, metric_class(**options))
    clean = function(**own, **options)
    for key in own:
        for value in (math.nan, math.inf):
            spoiled = own[key].clone()
            spoiled[1, 0, 3, 4] = value
            scores = function(**{**own, key: spoiled}, **options)
            assert scores.isnan().tolist() == [False, True, False]
            torch.testing.assert_close(scores[::2], clean[::2], rtol=1e-12, atol=0)
