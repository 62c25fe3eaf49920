import math

import matplotlib as mpl
import pytest
import torch
from matplotlib import pyplot as plt

from mfif.metrics.functional import ag, ei, q_m, q_sf, sd, sf
from mfif.metrics.gradient import AG, EI, QM, QSF, SD, SF

mpl.use("Agg")

# Class, its options, the function of the same score, number of images.
METRICS = {
    "SD": (SD, {}, sd, 1),
    "SD vifb": (SD, {"variant": "vifb"}, sd, 1),
    "AG": (AG, {}, ag, 1),
    "AG vifb": (AG, {"variant": "vifb"}, ag, 1),
    "SF": (SF, {}, sf, 1),
    "SF tang": (SF, {"variant": "tang"}, sf, 1),
    "EI": (EI, {}, ei, 1),
    "Q_SF": (QSF, {}, q_sf, 3),
    "Q_M": (QM, {}, q_m, 3),
}


@pytest.fixture(params=METRICS)
def case(request):
    """A metric, its function with the same options, and the number of images both take."""
    metric_class, options, function, arity = METRICS[request.param]
    return metric_class(**options), lambda *images, **more: function(*images, **options, **more), arity


def test_score_is_the_function_and_the_mean_that_of_the_scores(case, images):
    metric, function, arity = case
    images = images[:arity]
    expected = function(*images)
    assert torch.equal(metric.score(*images), expected)
    for start, stop in ((0, 2), (2, 3)):
        metric.update(*(image[start:stop] for image in images))
    torch.testing.assert_close(metric.compute(), expected.mean(), rtol=1e-12, atol=0)
    assert metric.count == 3


def test_data_range(images):
    levels = [(255 * image).round().to(torch.uint8) for image in images]
    for metric_class, options, _, arity in METRICS.values():
        expected = metric_class(**options).score(*images[:arity])
        torch.testing.assert_close(metric_class(255, **options).score(*levels[:arity]), expected)


def test_direction(case, images):
    metric, _, arity = case
    assert metric.higher_is_better is (None if isinstance(metric, QSF) else True)
    blurred = torch.nn.functional.avg_pool2d(images[0], 5, 1, 2)
    assert (metric.score(blurred, *images[1:arity]) < metric.score(*images[:arity])).all()


def test_differentiable_as_declared(case, images):
    metric, _, arity = case
    fused = images[0].requires_grad_()
    (gradient,) = torch.autograd.grad(metric(fused, *images[1:arity]), fused)
    assert metric.is_differentiable
    assert gradient.isfinite().all()
    assert gradient.any()
    assert not metric.total.requires_grad


def test_plot(case, images):
    metric, _, arity = case
    metric.update(*images[:arity])
    _, axes = metric.plot([metric.compute(), metric.compute()])
    low, high = axes.get_ylim()
    assert low <= metric.compute() <= high
    plt.close("all")


def test_arguments_must_be_finite_and_sources_in_range(case, images):
    metric, _, arity = case
    images = images[:arity]
    for index, name in enumerate(("fused", "source_a", "source_b")[:arity]):
        spoiled = [image.clone() for image in images]
        spoiled[index][1, 0, 0, 0] = math.nan
        with pytest.raises(ValueError, match=f"Expected `{name}` to be finite"):
            metric.update(*spoiled)
    if arity == 3:
        with pytest.raises(ValueError, match=r"Expected `source_b` to lie in \[0, 1\]"):
            metric.update(images[0], images[1], 255 * images[2])
    assert metric.count == 0
