import json
import math
import pickle
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import pytest
import torch
from matplotlib import pyplot as plt
from torchmetrics import MetricCollection

from mfif.metrics import EN, PSNR, QG, QMI, VIFF, FusionMetric, MapAccuracy, functional, paper_metrics

mpl.use("Agg")

# Class, its options, the function of the same score.
METRICS = {
    "Q_MI": (QMI, {}, functional.q_mi),
    "Q_G": (QG, {}, functional.q_g),
    "EN": (EN, {}, functional.en),
    "VIFF": (VIFF, {}, functional.viff),
    "PSNR": (PSNR, {}, functional.psnr),
    "MapAccuracy": (MapAccuracy, {}, functional.map_accuracy),
}


@pytest.fixture
def arguments(images):
    """One set of keyword arguments for all metrics."""
    fused, source_a, source_b = images
    alpha = fused[:, :1]
    alpha_true = source_a[:, :1].round()
    return {
        "fused": fused,
        "source_a": source_a,
        "source_b": source_b,
        "sharp": (fused + 3 * source_a) / 4,
        "alpha": alpha,
        "alpha_true": alpha_true,
    }


@pytest.fixture(params=METRICS)
def case(request, arguments):
    """A metric, its function, and the arguments both take."""
    metric_class, options, function = METRICS[request.param]
    metric = metric_class(**options)
    return metric, function, metric._filter_kwargs(**arguments)


def batches(own, *sizes):
    """The arguments cut into batches of the given sizes."""
    chunks = {name: tensor.split(sizes) for name, tensor in own.items()}
    return [{name: chunk[i] for name, chunk in chunks.items()} for i in range(len(sizes))]


def test_score_is_the_function(case):
    metric, function, own = case
    assert torch.equal(metric.score(**own), function(**own))
    assert metric.count == 0


def test_mean_over_images_whatever_the_batches(case):
    metric, function, own = case
    expected = function(**own).mean()
    for batch in batches(own, 2, 1):
        metric.update(**batch)
    torch.testing.assert_close(metric.compute(), expected, rtol=1e-12, atol=0)
    assert metric.total.dtype == torch.float64
    assert metric.count == 3

    metric.reset()
    first, second = batches(own, 1, 2)
    torch.testing.assert_close(metric(**first), function(**first).mean(), rtol=1e-12, atol=0)
    metric(**second)
    torch.testing.assert_close(metric.compute(), expected, rtol=1e-12, atol=0)


def test_sums_are_never_half(case):
    metric, function, own = case
    for converted in (metric.half(), torch.nn.ModuleList([metric]).to(torch.bfloat16)[0]):
        converted.reset()
        converted.update(**own)
        torch.testing.assert_close(converted.compute(), function(**own).mean(), rtol=1e-12, atol=0)


def test_direction_and_copies(case):
    metric, _, own = case
    assert metric.higher_is_better
    assert not metric.full_state_update
    metric.update(**own)
    for copy in (metric.clone(), pickle.loads(pickle.dumps(metric))):
        assert copy.compute() == metric.compute()


def test_differentiable_as_declared(case):
    metric, _, own = case
    first = next(iter(own))
    own[first] = own[first].clone().requires_grad_()
    value = metric(**own)
    assert not metric.total.requires_grad  # no graph is kept from batch to batch
    if metric.is_differentiable:
        (gradient,) = torch.autograd.grad(value, own[first])
        assert gradient.isfinite().all()
        assert gradient.any()


def test_plot(case):
    metric, _, own = case
    metric.update(**own)
    metric.plot()
    _, axes = metric.plot([metric.compute(), metric.compute()])
    bounds = (metric.plot_lower_bound, metric.plot_upper_bound)
    assert all(bound is None or low <= bound <= high for bound in bounds for low, high in [axes.get_ylim()])
    plt.close("all")


def test_arguments_must_be_finite(case):
    metric, _, own = case
    for name in own:
        spoiled = own[name].clone()
        spoiled[1, 0, 0, 0] = math.nan
        with pytest.raises(ValueError, match=f"Expected `{name}` to be finite"):
            metric.update(**{**own, name: spoiled})
    assert metric.count == 0


@pytest.mark.parametrize(("name", "truth"), [("Q_MI", "source_a"), ("Q_G", "source_b"), ("VIFF", "source_a"),
                                             ("PSNR", "sharp"), ("MapAccuracy", "alpha_true")])  # fmt: skip
def test_truth_must_keep_its_range(name, truth, arguments):
    metric = METRICS[name][0]()
    arguments[truth] = 255 * arguments[truth].round()
    with pytest.raises(ValueError, match=rf"Expected `{truth}` to lie in \[0, 1\], got values from .* to .*255"):
        metric.update(**metric._filter_kwargs(**arguments))


def test_data_range_and_variant_reach_the_function(images):
    levels = [(255 * image).round().to(torch.uint8) for image in images]
    for metric_class, arity in ((QMI, 3), (QG, 3), (EN, 1), (VIFF, 3), (PSNR, 2)):
        expected = metric_class().score(*images[:arity])
        torch.testing.assert_close(metric_class(data_range=255).score(*levels[:arity]), expected)
    assert torch.equal(QG(variant="yl").score(*images), functional.q_g(*images, variant="yl"))


def test_images_without_a_score_are_counted_not_averaged(images):
    fused, a, b = images
    fused[1] = 0.5  # a constant image: Q_MI is undefined
    metric = QMI()
    metric.update(fused, a, b)
    with pytest.warns(UserWarning, match=r"QMI: 1 of 3 images have no score \(NaN\)"):
        mean = metric.compute()
    torch.testing.assert_close(mean, metric.score(fused, a, b)[::2].mean())
    assert metric.score(fused, a, b).isnan().tolist() == [False, True, False]
    assert (metric.count, metric.unscored) == (2, 1)


def test_no_scored_image_gives_nan_and_says_so():
    small = torch.rand(2, 1, 16, 16)
    metric = VIFF()
    metric.update(small, small, small)
    with pytest.warns(UserWarning, match="VIFF: 2 of 2 images have no score"):
        assert metric.compute().isnan()


def test_infinite_psnr_is_not_hidden(images):
    fused, sharp, _ = images
    fused[0] = sharp[0]
    metric = PSNR()
    metric.update(fused, sharp)
    assert metric.score(fused, sharp).isinf().tolist() == [True, False, False]
    assert metric.compute().isposinf()


def test_collection_takes_one_set_of_arguments(arguments):
    metrics = MetricCollection({name: metric(**options) for name, (metric, options, _) in METRICS.items()})
    metrics.update(**arguments)
    scores = metrics(**arguments)
    assert scores.keys() == METRICS.keys()
    for name, (metric_class, options, function) in METRICS.items():
        own = metric_class(**options)._filter_kwargs(**arguments)
        torch.testing.assert_close(scores[name], function(**own).mean(), rtol=1e-12, atol=0)


def test_paper_metrics(images):
    fused, a, b = images
    metrics = paper_metrics()
    assert set(metrics.keys()) == {"Q_MI", "Q_G", "EN", "VIFF"}
    assert all(isinstance(metric, FusionMetric) for metric in metrics.values())
    assert set(paper_metrics().clone(prefix="test/")(fused=fused, source_a=a, source_b=b)) == {
        "test/Q_MI",
        "test/Q_G",
        "test/EN",
        "test/VIFF",
    }
    white = paper_metrics(data_range=255)(fused=255 * fused, source_a=255 * a, source_b=255 * b)
    torch.testing.assert_close(white, paper_metrics()(fused=fused, source_a=a, source_b=b))


def test_metrics_with_equal_sums_are_not_merged(images):
    flat = torch.full_like(images[0], 0.5)
    metrics = paper_metrics()
    metrics.update(fused=flat[..., :9, :], source_a=flat[..., :9, :], source_b=flat[..., :9, :])  # no Q_MI, no VIFF
    assert (metrics["Q_MI"].unscored, metrics["VIFF"].unscored) == (3, 3)
    metrics.update(fused=images[0], source_a=images[1], source_b=images[2])
    assert metrics["Q_MI"].total != metrics["VIFF"].total


@pytest.mark.parametrize(
    ("method", "table"),
    [
        ("DSIFT", {"Q_MI": 1.145, "Q_G": 0.725, "EN": 7.013, "VIFF": 0.968}),
        ("CNN", {"Q_MI": 1.089, "Q_G": 0.720, "EN": 7.007, "VIFF": 0.962}),
    ],
)
def test_table_1_of_the_paper(golden, method, table):
    fused, a, b = golden.images("lytro_01", method, torch.float32)
    scores = paper_metrics()(fused=fused, source_a=a, source_b=b)
    for name, printed in table.items():
        assert abs(scores[name].item() - printed) <= 0.00051, name


def test_two_processes_score_as_one(images, tmp_path, repo_environment):
    fused, a, b = images
    fused[2] = 0.5  # Q_MI undefined: counted in one process, known to both
    chosen = ((0, 0), (0, 1), (1, 0), (2, 0), (1, 2))  # image and channel
    items = [tuple(image[i : i + 1, c : c + 1].clone() for image in (fused, a, b)) for i, c in chosen]
    torch.save(items, tmp_path / "items.pt")
    worker = str(Path(__file__).with_name("ddp_worker.py"))
    processes = [
        subprocess.Popen(
            [sys.executable, worker, str(tmp_path), str(rank)], env=repo_environment, stderr=subprocess.PIPE
        )
        for rank in range(2)
    ]
    try:
        for process in processes:
            _, errors = process.communicate(timeout=120)
            assert process.returncode == 0, errors.decode()
    finally:
        for process in processes:
            process.kill()

    metrics = paper_metrics()
    for fused, a, b in items:
        metrics.update(fused=fused, source_a=a, source_b=b)
    with pytest.warns(UserWarning, match="1 of 5 images"):
        expected = {name: score.item() for name, score in metrics.compute().items()}
    expected["lonely"] = functional.en(items[0][0]).item()
    for rank, unscored in ((0, 0), (1, 1)):
        assert json.loads((tmp_path / f"{rank}.json").read_text()) == pytest.approx(
            expected | {"own": unscored}, rel=1e-6
        )
