import inspect
import json
import math
import pickle
import subprocess
import sys
from functools import partial
from pathlib import Path

import matplotlib as mpl
import pytest
import torch
from matplotlib import pyplot as plt
from torchmetrics import MetricCollection

from mfif import metrics as exports
from mfif.metrics import PSNR, QG, QMI, VIFF, FusionMetrics, functional, paper_metrics

mpl.use("Agg")

# Class, its options, the function of the same score.
METRICS = {
    "Q_MI": (exports.QMI, {}, functional.q_mi),
    "Q_TE": (exports.QTE, {}, functional.q_te),
    "Q_TE nava": (exports.QTE, {"variant": "nava"}, functional.q_te),
    "Q_NCIE": (exports.QNCIE, {}, functional.q_ncie),
    "EN": (exports.EN, {}, functional.en),
    "CE": (exports.CE, {}, functional.ce),
    "FMI": (exports.FMI, {}, functional.fmi),
    "SCD": (exports.SCD, {}, functional.scd),
    "Q_G": (exports.QG, {}, functional.q_g),
    "Q_G yl": (exports.QG, {"variant": "yl"}, functional.q_g),
    "Q_M": (exports.QM, {}, functional.q_m),
    "Q_SF": (exports.QSF, {}, functional.q_sf),
    "Q_P": (exports.QP, {}, functional.q_p),
    "SD": (exports.SD, {}, functional.sd),
    "AG": (exports.AG, {}, functional.ag),
    "SF": (exports.SF, {}, functional.sf),
    "EI": (exports.EI, {}, functional.ei),
    "Q_S": (exports.QS, {}, functional.q_s),
    "Q_W": (exports.QW, {}, functional.q_w),
    "Q_E": (exports.QE, {}, functional.q_e),
    "Q_C": (exports.QC, {}, functional.q_c),
    "Q_Y": (exports.QY, {}, functional.q_y),
    "VIFF": (exports.VIFF, {}, functional.viff),
    "Q_CV": (exports.QCV, {}, functional.q_cv),
    "Q_CB": (exports.QCB, {}, functional.q_cb),
    "PSNR": (exports.PSNR, {}, functional.psnr),
    "SSIM": (exports.SSIM, {}, functional.ssim),
    "MapAccuracy": (exports.MapAccuracy, {}, functional.map_accuracy),
    "BoundaryAccuracy": (exports.BoundaryAccuracy, {"radius": 2}, functional.boundary_accuracy),
    "Islands": (exports.Islands, {"share": 0.01}, functional.islands),
}
LOWER_IS_BETTER = {"CE", "Q_CV", "Islands"}
BEST_AT_ZERO = {"Q_SF"}


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
    return metric, partial(function, **options), metric._filter_kwargs(**arguments)


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


@pytest.mark.parametrize("name", METRICS)
def test_direction(name):
    higher = None if name in BEST_AT_ZERO else name not in LOWER_IS_BETTER
    assert METRICS[name][0].higher_is_better is higher


def test_copies(case):
    metric, _, own = case
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


@pytest.mark.parametrize(
    ("name", "truth"),
    [
        (name, truth)
        for name, (metric_class, *_) in METRICS.items()
        for truth in ("source_a", "source_b", "sharp", "alpha_true")
        if truth in inspect.signature(metric_class.update).parameters
    ],
)
def test_truth_must_keep_its_range(name, truth, arguments):
    metric = METRICS[name][0]()
    arguments[truth] = 255 * arguments[truth].round()
    with pytest.raises(ValueError, match=rf"Expected `{truth}` to lie in \[0, 1\], got values from .* to .*255"):
        metric.update(**metric._filter_kwargs(**arguments))


def test_data_range_and_variant_reach_the_function(images):
    levels = [(255 * image).round().to(torch.uint8) for image in images]
    for metric_class, options, _ in METRICS.values():
        needed = inspect.signature(metric_class.update).parameters.keys() - {"self"}
        if "alpha" in needed:
            continue
        expected = metric_class(**options).score(*images[: len(needed)])
        white = metric_class(data_range=255, **options).score(*levels[: len(needed)])
        torch.testing.assert_close(white, expected)
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


def test_one_exact_image_does_not_hide_the_others(images):
    fused, sharp, _ = images
    others = functional.psnr(fused, sharp)[1:]
    fused[0] = sharp[0]
    metric = PSNR()
    metric.update(fused, sharp)
    assert metric.score(fused, sharp).tolist() == [100, *others.tolist()]
    torch.testing.assert_close(metric.compute(), (100 + others.sum()) / 3)
    low = PSNR(limit=others.min().item())
    assert low.score(fused, sharp).tolist() == [others.min().item()] * 3


def test_psnr_without_a_limit(images):
    fused, sharp, _ = images
    fused[0] = sharp[0]
    metric = PSNR(limit=None)
    metric.update(fused, sharp)
    assert metric.score(fused, sharp).isinf().tolist() == [True, False, False]
    assert metric.compute().isposinf()


def test_torchmetrics_own_collection_takes_one_set_of_arguments(arguments):
    metrics = MetricCollection({name: METRICS[name][0]() for name in ("Q_MI", "EN", "PSNR", "MapAccuracy")})
    metrics.update(**arguments)
    for name, score in metrics(**arguments).items():
        metric_class, _, function = METRICS[name]
        own = metric_class()._filter_kwargs(**arguments)
        torch.testing.assert_close(score, function(**own).mean(), rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", METRICS)
def test_empty_batch(name, arguments):
    metric_class, options, _ = METRICS[name]
    metric = metric_class(**options)
    own = {key: tensor[:0] for key, tensor in metric._filter_kwargs(**arguments).items()}
    with pytest.raises(ValueError, match=f"Expected `{next(iter(own))}` to hold at least one image .*, got \\(0, "):
        metric.update(**own)
    assert metric.count == 0


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
    items = []
    for i, c in chosen:
        item = dict(
            zip(("fused", "source_a", "source_b"), (x[i : i + 1, c : c + 1] for x in (fused, a, b)), strict=True)
        )
        item |= {"sharp": item["source_a"], "alpha": item["fused"], "alpha_true": item["source_b"].round()}
        items.append({name: tensor.clone() for name, tensor in item.items()})
    torch.save(items, tmp_path / "items.pt")
    names = {name: (metric_class.__name__, options) for name, (metric_class, options, _) in METRICS.items()}
    (tmp_path / "metrics.json").write_text(json.dumps(names))
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

    metrics = FusionMetrics({name: metric_class(**options) for name, (metric_class, options, _) in METRICS.items()})
    for item in items:
        metrics.update(**item)
    with pytest.warns(UserWarning, match="1 of 5 images"):
        expected = {name: score.item() for name, score in metrics.compute().items()}
    expected["lonely"] = functional.en(items[0]["fused"]).item()
    for rank, unscored in ((0, 0), (1, 1)):
        result = json.loads((tmp_path / f"{rank}.json").read_text())
        assert result == pytest.approx(expected | {"own": unscored}, rel=1e-9, abs=1e-12, nan_ok=True)
