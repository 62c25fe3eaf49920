import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view

from mfif.metrics.functional.window import box_moments, gaussian_moments, saliencies, similarity


def brute_force(images, size, sigma):
    """Means and central second moments of every window, each summed about its own mean in extended precision."""
    grid = np.arange(size) - (size - 1) / 2
    axis = np.ones(size) if sigma is None else np.exp(-(grid**2) / (2 * sigma**2))
    weights = np.outer(axis, axis).astype(np.longdouble)
    weights /= weights.sum()
    windows = [sliding_window_view(image.numpy().astype(np.longdouble), (size, size), (-2, -1)) for image in images]
    means = [(window * weights).sum((-2, -1)) for window in windows]
    apart = [window - mean[..., None, None] for window, mean in zip(windows, means, strict=True)]
    central = {
        (i, j): (apart[i] * apart[j] * weights).sum((-2, -1)) for i in range(len(images)) for j in range(i, len(images))
    }
    return means, central


MOMENTS = {
    "box": (box_moments, 8, None),
    "gaussian-7": (lambda *images: gaussian_moments(7, *images), 7, 1.5),
    "gaussian-11": (lambda *images: gaussian_moments(11, *images), 11, 1.5),
}


@pytest.fixture(params=MOMENTS)
def case(request):
    return MOMENTS[request.param]


@pytest.fixture
def bright():
    """Three images of whole numbers, most of it bright and nearly flat: where sums of squares lose the variance."""
    generator = torch.Generator().manual_seed(3)
    images = torch.randint(253, 256, (3, 2, 19, 23), generator=generator).double()
    images[..., :4] = torch.randint(0, 256, (3, 2, 19, 4), generator=generator).double()
    return images


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 1e-5)], ids=str)
def test_brute_force(case, bright, dtype, tolerance):
    function, size, sigma = case
    moments = function(*bright.to(dtype))
    means, central = brute_force(bright, size, sigma)
    for got, expected in zip(moments.mean, means, strict=True):
        np.testing.assert_allclose(got.numpy(), expected.astype(float), rtol=tolerance)
    assert moments.central.keys() == central.keys()
    for (i, j), expected in central.items():
        # float64 is as good as the rounding of squares, which would lose everything in float32.
        scale = 65025 * 0.01 if dtype == torch.float64 else np.sqrt(central[i, i] * central[j, j]).astype(float)
        np.testing.assert_array_less(np.abs(moments.central[i, j].numpy() - expected.astype(float)), tolerance * scale)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("level", [0.0, 77.0, 254.7, 1e-3])
def test_flat_windows_have_no_variance_at_all(case, bright, dtype, level):
    flat = torch.full((2, 19, 23), level, dtype=dtype)
    moments = case[0](flat, bright[0].to(dtype))
    torch.testing.assert_close(moments.mean[0], torch.full_like(moments.mean[0], level))
    assert not moments.central[0, 0].any()
    assert not moments.central[0, 1].any()
    assert (moments.central[1, 1] > 0).all()


def test_box_is_exact_for_whole_numbers(bright):
    moments = box_moments(*bright)
    windows = [sliding_window_view(image.numpy().astype(int), (8, 8), (1, 2)) for image in bright]
    for (i, j), central in moments.central.items():
        x, y = windows[i], windows[j]
        exact = 64 * (x * y).sum((-2, -1)) - x.sum((-2, -1)) * y.sum((-2, -1))
        assert np.array_equal(64 * 64 * central.numpy(), exact)


def test_gradient(case, bright):
    f, a = (image[:1, :12, :12].clone().requires_grad_() for image in bright[:2])

    def flat(f, a):
        moments = case[0](f, a)
        return (*moments.mean, *moments.central.values())

    assert torch.autograd.gradcheck(flat, (f, a), fast_mode=True)


def test_gradient_in_float32_is_that_in_float64(case, bright):
    gradients = []
    for dtype in (torch.float64, torch.float32):
        images = [image.to(dtype).requires_grad_() for image in bright[:2]]
        moments = case[0](*images)
        total = sum((central / 100).sin().sum() for central in moments.central.values())
        gradients.append(torch.autograd.grad(total, images))
    for exact, rounded in zip(*gradients, strict=True):
        torch.testing.assert_close(rounded.double(), exact, rtol=1e-3, atol=1e-4 * exact.abs().max().item())


def test_similarity_of_flat_windows_is_their_luminance():
    moments = box_moments(*(torch.full((1, 8, 8), level).double() for level in (100.0, 50.0, 0.0, 0.0)))
    for (i, j), expected in {(0, 1): 2 * 100 * 50 / (100**2 + 50**2), (0, 2): 0.0, (2, 3): 1.0}.items():
        torch.testing.assert_close(similarity(moments, i, j, (2e-16, 2e-16)).item(), expected)
    assert [saliency.item() for saliency in saliencies(moments, 0, 1)] == [0.5, 0.5]


def test_saliencies_are_variances(bright):
    moments = box_moments(*bright[:2])
    assert torch.equal(saliencies(moments, 0, 1)[0], moments.central[0, 0])
    assert torch.equal(saliencies(moments, 0, 1)[1], moments.central[1, 1])
