import numpy as np
import pytest
import torch

from mfif.pair import LUMA_WEIGHTS, FocusPair, binarize, blend, luma

YIQ = [[1, 0.956, 0.621], [1, -0.272, -0.647], [1, -1.106, 1.703]]


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def test_pair_keeps_its_order():
    assert FocusPair._fields == ("a", "b", "alpha", "sharp", "pristine_a", "pristine_b")


@pytest.mark.parametrize("shape", [(1, 2, 4, 4), (1, 4, 4, 4), (3, 4, 4), (4, 4)], ids=str)
def test_luma_refuses_other_channels(shape):
    with pytest.raises(ValueError, match="Expected `image` to be"):
        luma(torch.rand(shape))


def test_luma_refuses_integers():
    with pytest.raises(TypeError, match=r"Expected `image` to be floating point, got torch\.uint8"):
        luma(torch.full((1, 3, 4, 4), 200, dtype=torch.uint8))


def test_luma_weights_are_matlab_s():
    np.testing.assert_allclose(LUMA_WEIGHTS, np.linalg.inv(YIQ)[0], rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_luma_of_rgb(generator, dtype):
    image = torch.rand(2, 3, 5, 7, generator=generator, dtype=dtype)
    expected = np.einsum("bchw,c->bhw", image.numpy().astype(np.float64), np.linalg.inv(YIQ)[0])[:, None]
    gray = luma(image)
    assert gray.dtype == dtype
    np.testing.assert_allclose(gray.numpy(), expected, rtol=1e-6 if dtype == torch.float32 else 1e-12)


def test_luma_of_gray_is_the_image(generator):
    image = torch.rand(2, 1, 5, 7, generator=generator)
    assert luma(image) is image


def test_luma_is_exact_under_autocast(generator):
    image = torch.rand(2, 3, 16, 16, generator=generator)
    with torch.autocast("cpu", torch.bfloat16):
        inside = luma(image)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, luma(image))


@pytest.mark.parametrize("channels", [1, 3])
def test_blend_selects_exactly(generator, channels):
    # Widely different magnitudes: an addition of the unselected source would show.
    a = torch.rand(2, channels, 6, 5, generator=generator)
    b = 1e6 * torch.rand(2, channels, 6, 5, generator=generator)
    alpha = (torch.rand(2, 1, 6, 5, generator=generator) < 0.5).float()
    chosen = torch.where(alpha.bool(), a, b)
    assert 0 < alpha.sum() < alpha.numel()
    assert torch.equal(blend(a, b, alpha), chosen)


def test_blend_between(generator):
    a, b = torch.rand(2, 2, 3, 4, 5, generator=generator, dtype=torch.float64)
    alpha = torch.rand(2, 1, 4, 5, generator=generator, dtype=torch.float64)
    expected = np.empty(a.shape)
    for n, c, y, x in np.ndindex(*a.shape):
        weight = alpha[n, 0, y, x].item()
        expected[n, c, y, x] = weight * a[n, c, y, x].item() + (1 - weight) * b[n, c, y, x].item()
    np.testing.assert_allclose(blend(a, b, alpha).numpy(), expected, rtol=1e-14)


def test_binarize_includes_the_threshold():
    below = np.nextafter(np.float32(0.5), np.float32(0))
    alpha = torch.tensor([-3.0, 0.0, float(below), 0.5, 0.7, 1.0, 4.0])
    assert binarize(alpha).tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert binarize(alpha, threshold=0.7).tolist() == [0, 0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_binarize_keeps_the_type(dtype):
    alpha = torch.tensor([[0.2, 0.8]], dtype=dtype)
    assert binarize(alpha).dtype == dtype
    assert binarize(alpha).shape == alpha.shape


def test_gradients(generator):
    a, b = torch.rand(2, 2, 3, 4, 5, generator=generator).requires_grad_().unbind()
    alpha = torch.rand(2, 1, 4, 5, generator=generator).requires_grad_()
    by_alpha, by_a, by_b = torch.autograd.grad(blend(a, b, alpha).sum(), (alpha, a, b))
    torch.testing.assert_close(by_alpha, (a - b).sum(1, keepdim=True))
    torch.testing.assert_close(by_a, alpha.expand_as(a))
    torch.testing.assert_close(by_b, (1 - alpha).expand_as(b))


def test_gradient_of_luma(generator):
    image = torch.rand(1, 3, 2, 2, generator=generator, requires_grad=True)
    (gradient,) = torch.autograd.grad(luma(image).sum(), image)
    torch.testing.assert_close(gradient, torch.tensor(LUMA_WEIGHTS).view(1, 3, 1, 1).expand_as(image))
