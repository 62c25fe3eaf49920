import math

import pytest
import torch

from mfif.metrics.functional import psnr


def reference(golden_score):
    """The reference fails on equal images, where we answer infinity."""
    return lambda f, a, b: golden_score(f, a).masked_fill(golden_score(f, a).isinf(), torch.nan)


def test_golden(meets_golden):
    meets_golden("PSNR_AF", reference(psnr), torch.float64, 1e-6)


@pytest.mark.usefixtures("without_float64")
def test_golden_in_float32(meets_golden):
    meets_golden("PSNR_AF", reference(psnr), torch.float32, 1e-4)


@pytest.mark.parametrize("error", [1.0, 0.1, 0.003])
def test_closed_form(error):
    sharp = torch.zeros(2, 3, 4, 5, dtype=torch.float64)
    torch.testing.assert_close(psnr(sharp + error, sharp).tolist(), [-20 * math.log10(error)] * 2)


def test_per_image_over_all_channels(images):
    fused, sharp, _ = images
    expected = [-10 * math.log10(((f - s) ** 2).mean().item()) for f, s in zip(fused, sharp, strict=True)]
    torch.testing.assert_close(psnr(fused, sharp).tolist(), expected, rtol=1e-6, atol=0)


def test_equal_images_are_infinitely_good(images):
    assert psnr(images[0], images[0]).isposinf().all()


def test_gradient(images):
    fused, sharp, _ = images
    fused.requires_grad_()
    psnr(fused, sharp).sum().backward()
    assert ((fused.grad * (fused - sharp).detach()) <= 0).all()
