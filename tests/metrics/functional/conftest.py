import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view


def _piella(f, a, b, variant):
    """Quality of every window and the larger variance of the sources there, for gray images (H, W)."""
    size, c1, c2 = (8, 6.5025e-8, 6.5025e-8) if variant == "yl" else (11, 6.5025, 58.5225)
    grid = np.arange(size) - size // 2
    weights = np.ones((size, size)) if variant == "yl" else np.exp(-(grid[:, None] ** 2 + grid**2) / 4.5)
    weights /= weights.sum()
    f, a, b = (sliding_window_view(image, (size, size)) for image in (f, a, b))

    def mean(windows):
        return (windows * weights).sum((-2, -1))

    def covariance(x, y):
        return mean((x - mean(x)[..., None, None]) * (y - mean(y)[..., None, None]))

    def ssim(x, y):
        above = (2 * mean(x) * mean(y) + c1) * (2 * covariance(x, y) + c2)
        return above / ((mean(x) ** 2 + mean(y) ** 2 + c1) * (covariance(x, x) + covariance(y, y) + c2))

    var_a, var_b = covariance(a, a), covariance(b, b)
    flat = (var_a < 1e-9) & (var_b < 1e-9)
    var_a, var_b = np.where(flat, 0.5, var_a), np.where(flat, 0.5, var_b)
    return (var_a * ssim(a, f) + var_b * ssim(b, f)) / (var_a + var_b), np.maximum(var_a, var_b)


@pytest.fixture
def piella():
    """Piella's local quality and saliency, window by window."""
    return _piella
