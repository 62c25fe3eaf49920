"""What all image metrics have in common."""

import inspect
from functools import partial

import pytest
import torch

from mfif.metrics import functional
from mfif.metrics.functional import (
    ag,
    ce,
    ei,
    en,
    fmi,
    psnr,
    q_c,
    q_cb,
    q_cv,
    q_e,
    q_g,
    q_m,
    q_mi,
    q_ncie,
    q_p,
    q_s,
    q_sf,
    q_te,
    q_w,
    q_y,
    scd,
    sd,
    sf,
    source_psnr,
    source_ssim,
    ssim,
    viff,
)
from mfif.metrics.functional.gray import gray8

METRICS = {
    "q_mi": q_mi,
    "q_g": q_g,
    "q_g_yl": partial(q_g, variant="yl"),
    "en": en,
    "viff": viff,
    "psnr": psnr,
    "q_te": q_te,
    "q_te_nava": partial(q_te, variant="nava"),
    "q_te_published": partial(q_te, variant="cvejic_published"),
    "q_ncie": q_ncie,
    "ce": ce,
    "fmi": fmi,
    "fmi_gradient": partial(fmi, feature="gradient"),
    "fmi_dct": partial(fmi, feature="dct"),
    "scd": scd,
    "sd": sd,
    "sd_vifb": partial(sd, variant="vifb"),
    "ag": ag,
    "ag_vifb": partial(ag, variant="vifb"),
    "sf": sf,
    "sf_tang": partial(sf, variant="tang"),
    "ei": ei,
    "q_sf": q_sf,
    "q_m": q_m,
    "q_p": q_p,
    "q_s": q_s,
    "q_s_zl": partial(q_s, variant="zl"),
    "q_w": q_w,
    "q_e": q_e,
    "q_c": q_c,
    "q_c_zl": partial(q_c, variant="zl"),
    "q_y": q_y,
    "q_cv": q_cv,
    "q_cb": q_cb,
    "source_psnr": source_psnr,
    "source_psnr_published": partial(source_psnr, variant="published"),
    "source_ssim": source_ssim,
    "ssim": ssim,
}

DIFFERENTIABLE = ["scd", "sd", "sd_vifb", "ag", "ag_vifb", "sf", "sf_tang", "ei", "q_sf", "q_m"]


def called_by_images(name):
    """The metric, called with as many images as it takes."""
    function = METRICS[name]
    arity = len(inspect.signature(function).parameters.keys() - {"data_range", "variant", "feature"})
    return lambda *images, **options: function(*images[:arity], **options)


@pytest.fixture(params=METRICS)
def metric(request):
    return called_by_images(request.param)


@pytest.fixture(params=[name for name in METRICS if name != "psnr"])
def gray_metric(request):
    """The metric, of those that look at gray only."""
    return called_by_images(request.param)


def test_all_image_metrics_are_tested_here():
    other = {"map_accuracy", "boundary_accuracy", "islands", "compiled", "computing_in", "computing_once"}
    assert {name for name in functional.__all__ if name not in METRICS} == other


def test_empty_batch(metric, images):
    with pytest.raises(ValueError, match=r"Expected `fused` to hold at least one image .*, got \(0, 3, 52, 47\)"):
        metric(*(image[:0] for image in images))


def test_batched_is_one_by_one(metric, images):
    scores = metric(*images)
    assert scores.shape == (3,)
    assert scores.dtype == torch.float64
    singles = torch.cat([metric(*(image[i : i + 1] for image in images)) for i in range(3)])
    torch.testing.assert_close(scores, singles, rtol=1e-12, atol=0)


def test_colour_is_scored_on_its_gray(gray_metric, images):
    gray = [gray8(image).unsqueeze(1) for image in images]
    torch.testing.assert_close(gray_metric(*images), gray_metric(*gray, data_range=255.0), rtol=0, atol=0)


def test_data_range(metric, images):
    levels = [(255 * image).round() for image in images]
    expected = metric(*images)
    torch.testing.assert_close(metric(*levels, data_range=255), expected)
    torch.testing.assert_close(metric(*(x.to(torch.uint8) for x in levels), data_range=255), expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_images_are_not_scored_in_half_precision(metric, images, dtype):
    rough = [image.to(dtype) for image in images]
    torch.testing.assert_close(metric(*rough), metric(*(x.float() for x in rough)), rtol=0, atol=0)
    with torch.autocast("cpu", dtype):
        inside = metric(*images)
    torch.testing.assert_close(inside, metric(*images), rtol=0, atol=0)


def test_float32_images_score_as_float64(gray_metric, images):
    # Their pixels round to the same levels, so golden values met by one are met by the other.
    torch.testing.assert_close(gray_metric(*(image.float() for image in images)), gray_metric(*images), rtol=0, atol=0)


@pytest.mark.parametrize("name", ["q_mi", "q_g", "q_g_yl", "viff", "q_te", "q_te_nava", "q_te_published", "q_ncie",
                                  "ce", "fmi", "scd", "q_sf", "q_m", "q_p", "q_s", "q_w", "q_e", "q_c", "q_y", "q_cv",
                                  "q_cb", "source_psnr", "source_ssim"])  # fmt: skip
def test_symmetric_in_the_sources(name, images):
    fused, a, b = images
    torch.testing.assert_close(METRICS[name](fused, a, b), METRICS[name](fused, b, a), rtol=1e-10, atol=0)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_pixel_that_is_not_finite_costs_its_image_the_score(gray_metric, images, value):
    spoiled = images[0].clone()
    spoiled[1, 0, 3, 4] = value
    scores = gray_metric(spoiled, *images[1:])
    assert scores.isnan().tolist() == [False, True, False]
    torch.testing.assert_close(scores[::2], gray_metric(*images)[::2], rtol=1e-12, atol=0)


def test_layout_in_memory_does_not_matter(metric, images):
    strided = [image.contiguous(memory_format=torch.channels_last) for image in images]
    torch.testing.assert_close(metric(*strided), metric(*images), rtol=1e-12, atol=0)


def test_arguments_are_checked_and_named(metric, images):
    with pytest.raises(ValueError, match=r"Expected `fused` to be .*, got \(3, 3, 52\)"):
        metric(*(image[..., 0] for image in images))
    with pytest.raises(ValueError, match="Expected `data_range` to be 255 for the integer image `fused`"):
        metric(*(image.to(torch.uint8) for image in images))


@pytest.mark.parametrize("name", ["q_mi", "q_g", "viff", "q_te", "q_ncie", "ce", "fmi", "scd", "q_sf", "q_m", "q_p",
                                  "q_s", "q_w", "q_e", "q_c", "q_y", "q_cv", "q_cb", "source_psnr",
                                  "source_ssim"])  # fmt: skip
def test_shapes_must_agree(name, images):
    fused, a, b = images
    with pytest.raises(ValueError, match="Expected `source_b` to have the shape of `fused`"):
        METRICS[name](fused, a, b[..., 1:])


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradient_is_that_of_the_unrounded_score(name, images, monkeypatch):
    metric = called_by_images(name)
    f, a, b = (image[:, :1] for image in images)
    f = ((20 + 200 * f).round() / 255).requires_grad_()  # off the ends of the range, where one side is clipped
    metric(f, a, b).sum().backward()

    monkeypatch.setattr("mfif.metrics.functional.gray._round", lambda pixels: pixels)
    direction = torch.randn(f.shape, generator=torch.Generator().manual_seed(1)).double()
    with torch.no_grad():
        slope = (metric(f + 1e-6 * direction, a, b) - metric(f - 1e-6 * direction, a, b)) / 2e-6
    torch.testing.assert_close((f.grad * direction).sum((1, 2, 3)), slope, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradient_is_finite_in_flat_images(name, images):
    metric = called_by_images(name)
    _, a, b = images
    f = torch.full_like(a, 0.5).requires_grad_()
    for fused in (f, f.lerp(a, 0)):
        (gradient,) = torch.autograd.grad(metric(fused, a, b).sum(), f)
        assert gradient.isfinite().all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_scores_as_cpu(metric, images):
    torch.testing.assert_close(metric(*(x.cuda() for x in images)).cpu(), metric(*images), rtol=1e-10, atol=0)
