import math

import matplotlib as mpl
import pytest
import torch
from matplotlib import pyplot as plt

from mfif.metrics.functional import ce, fmi, q_ncie, q_te, scd
from mfif.metrics.information import CE, FMI, QNCIE, QTE, SCD

mpl.use("Agg")

# Class, its options, the function of the same score, whether higher is better.
METRICS = {
    "Q_TE": (QTE, {}, q_te, True),
    "Q_TE nava": (QTE, {"variant": "nava"}, q_te, True),
    "Q_NCIE": (QNCIE, {}, q_ncie, True),
    "CE": (CE, {}, ce, False),
    "FMI": (FMI, {}, fmi, True),
    "FMI dct": (FMI, {"feature": "dct"}, fmi, True),
    "SCD": (SCD, {}, scd, True),
    "SCD tang": (SCD, {"variant": "tang"}, scd, True),
}


@pytest.fixture(params=METRICS)
def case(request):
    """A metric, its function with the same options, and its direction."""
    metric_class, options, function, higher = METRICS[request.param]
    return metric_class(**options), lambda *images, **more: function(*images, **options, **more), higher


def test_score_is_the_function_and_the_mean_that_of_the_scores(case, images):
    metric, function, _ = case
    expected = function(*images)
    assert torch.equal(metric.score(*images), expected)
    for start, stop in ((0, 2), (2, 3)):
        metric.update(*(image[start:stop] for image in images))
    torch.testing.assert_close(metric.compute(), expected.mean(), rtol=1e-12, atol=0)
    assert metric.count == 3


def test_data_range(images):
    levels = [(255 * image).round().to(torch.uint8) for image in images]
    for metric_class, options, _, _ in METRICS.values():
        expected = metric_class(**options).score(*images)
        torch.testing.assert_close(metric_class(255, **options).score(*levels), expected)


def test_direction(case, images):
    metric, _, higher = case
    f, a, b = images
    assert metric.higher_is_better is higher
    worse = f + torch.randn(f.shape, generator=torch.Generator().manual_seed(0)) / 10
    assert ((metric.score(f, a, b) > metric.score(worse, a, b)) == higher).all()


def test_differentiable_as_declared(case, images):
    metric, _, _ = case
    fused = images[0].requires_grad_()
    value = metric(fused, *images[1:])
    assert metric.is_differentiable == value.requires_grad
    if metric.is_differentiable:
        (gradient,) = torch.autograd.grad(value, fused)
        assert gradient.isfinite().all()
        assert gradient.any()


def test_plot(case, images):
    metric, _, _ = case
    metric.update(*images)
    _, axes = metric.plot([metric.compute(), metric.compute()])
    low, high = axes.get_ylim()
    assert low <= metric.compute() <= high
    plt.close("all")


def test_arguments_must_be_finite_and_sources_in_range(case, images):
    metric, _, _ = case
    for index, name in enumerate(("fused", "source_a", "source_b")):
        spoiled = [image.clone() for image in images]
        spoiled[index][1, 0, 0, 0] = math.nan
        with pytest.raises(ValueError, match=f"Expected `{name}` to be finite"):
            metric.update(*spoiled)
    with pytest.raises(ValueError, match=r"Expected `source_b` to lie in \[0, 1\]"):
        metric.update(images[0], images[1], 255 * images[2])
    assert metric.count == 0
