import gc
import weakref
from collections import Counter

import pytest
import torch

from mfif import metrics as exports
from mfif.metrics import EN, PSNR, QG, QMI, VIFF, FusionMetric, FusionMetrics, MapAccuracy, paper_metrics
from mfif.metrics.functional.shared_work import computing_once

CLASSES = {
    name: item
    for name, item in vars(exports).items()
    if isinstance(item, type) and issubclass(item, FusionMetric) and item is not FusionMetric
}


@pytest.fixture
def known(images):
    """All arguments that metrics take, (3, 3, 52, 47) or (3, 1, 52, 47)."""
    fused, source_a, source_b = images
    pictures = {"fused": fused, "source_a": source_a, "source_b": source_b, "sharp": (fused + 3 * source_a) / 4}
    return {**pictures, "alpha": fused[:, :1], "alpha_true": source_a[:, :1].round()}


def everything():
    return FusionMetrics({name: metric() for name, metric in CLASSES.items()})


def test_every_class_is_there():
    assert len(CLASSES) == 30


def test_scores_are_those_of_the_metrics_alone(known):
    scores = everything().score(**known)
    assert list(scores) == list(CLASSES)
    for name, metric_class in CLASSES.items():
        metric = metric_class()
        assert torch.equal(scores[name], metric.score(**metric._filter_kwargs(**known))), name
        assert scores[name].shape == (3,)


def test_each_intermediate_is_computed_once_per_image(known):
    with computing_once() as work:
        everything().score(**{name: tensor[:1] for name, tensor in known.items()})  # some take batches image by image
        runs = Counter(name for name, *_ in work)
    assert runs["gray8"] == 4  # fused, source_a, source_b, sharp
    assert runs["level_histogram"] == runs["has_no_histogram"] == runs["stretch8"] == 3
    assert runs["joint_histogram"] == 3  # a and f, b and f, a and b
    assert runs["box_moments"] == runs["local_quality"] == 1  # Q_S, Q_W, Q_E and Q_C share them


def test_update_and_forward_share_too(known, monkeypatch):
    metrics, blocks = everything(), []

    class Seen(EN):
        def score(self, fused):
            with computing_once() as work:
                blocks.append((work, len(work)))
            return super().score(fused)

    metrics = FusionMetrics({"Q_MI": QMI(), "seen": Seen()})
    metrics.update(**known)
    metrics(**known)
    assert len(blocks) == 2
    for work, size in blocks:
        assert size > 0  # Q_MI had left its work
        assert not work  # and it is gone


def test_images_are_released(known):
    metrics = everything()
    image = torch.rand(1, 1, 48, 48)
    kept = weakref.ref(image.untyped_storage())
    metrics.score(fused=image, source_a=image, source_b=image)
    del image
    gc.collect()
    assert kept() is None


def test_updates_equal_scores(known):
    metrics = everything()
    metrics.update(**{name: tensor[:2] for name, tensor in known.items()})
    metrics.update(**{name: tensor[2:] for name, tensor in known.items()})
    means = metrics.compute()
    for name, scores in metrics.score(**known).items():
        torch.testing.assert_close(means[name], scores.mean(), rtol=1e-10, atol=1e-12)
    metrics.reset()
    for name, mean in metrics(**known).items():
        torch.testing.assert_close(mean, means[name], rtol=1e-10, atol=1e-12)


def test_order_is_kept():
    metrics = FusionMetrics({"VIFF": VIFF(), "EN": EN(), "Q_MI": QMI(), "Q_G": QG()})
    assert list(metrics) == ["VIFF", "EN", "Q_MI", "Q_G"]
    assert list(metrics.clone()) == ["VIFF", "EN", "Q_MI", "Q_G"]
    assert list(paper_metrics()) == ["Q_MI", "Q_G", "EN", "VIFF"]
    image = torch.rand(1, 1, 48, 48)
    metrics = FusionMetrics({"Q_MI": QMI(), "EN": EN()}, prefix="val/")
    assert list(metrics(fused=image, source_a=image, source_b=image)) == ["val/Q_MI", "val/EN"]
    assert list(metrics.score(fused=image)) == ["val/EN"]


def test_score_leaves_out_what_it_cannot_know(known):
    metrics = FusionMetrics({"PSNR": PSNR(), "EN": EN(), "map": MapAccuracy(), "Q_MI": QMI()})
    assert list(metrics.score(fused=known["fused"])) == ["EN"]
    assert list(metrics.score(fused=known["fused"], sharp=known["sharp"])) == ["PSNR", "EN"]
    assert metrics["EN"].count == 0


def test_gradients_pass(known):
    known["fused"] = known["fused"].clone().requires_grad_()
    for name, scores in everything().score(**known).items():
        if not CLASSES[name].is_differentiable:
            continue
        (gradient,) = torch.autograd.grad(scores.sum(), known["fused"], retain_graph=True)
        assert gradient.isfinite().all(), name


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
