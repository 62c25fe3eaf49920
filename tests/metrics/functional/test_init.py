"""What all image metrics have in common."""

import inspect
from functools import partial

import pytest
import torch

from mfif.metrics.functional import en, psnr, q_g, q_mi, viff
from mfif.metrics.functional.gray import gray8

METRICS = {
    "q_mi": q_mi,
    "q_g": q_g,
    "q_g_yl": partial(q_g, variant="yl"),
    "en": en,
    "viff": viff,
    "psnr": psnr,
}


@pytest.fixture(params=METRICS)
def metric(request):
    """The metric, called with as many images as it takes."""
    function = METRICS[request.param]
    arity = len(inspect.signature(function).parameters.keys() - {"data_range", "variant"})
    return lambda *images, **options: function(*images[:arity], **options)


@pytest.fixture(params=[name for name in METRICS if name != "psnr"])
def gray_metric(request):
    """The metric, of those that look at gray only."""
    function = METRICS[request.param]
    return lambda *images, **options: function(*(images[:1] if function is en else images), **options)


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


@pytest.mark.parametrize("name", ["q_mi", "q_g", "q_g_yl", "viff"])
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


@pytest.mark.parametrize("name", ["q_mi", "q_g", "viff"])
def test_shapes_must_agree(name, images):
    fused, a, b = images
    with pytest.raises(ValueError, match="Expected `source_b` to have the shape of `fused`"):
        METRICS[name](fused, a, b[..., 1:])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_scores_as_cpu(metric, images):
    torch.testing.assert_close(metric(*(x.cuda() for x in images)).cpu(), metric(*images), rtol=1e-10, atol=0)
