"""Closed-form matting: the opacity of a foreground from the pixels where it is known, coarse to fine.

Source: Levin, Lischinski, Weiss, "A closed-form solution to natural image matting", IEEE TPAMI 30(2), 2008, with the
weights of the authors' code and its way from level to level.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.ndimage import binary_erosion, convolve1d
from scipy.sparse.linalg import splu

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]

_SIDE = 3  # of a window
_AREA = _SIDE * _SIDE
_EPSILON = 1e-7  # holds back the slopes of a window's linear model
_CONSTRAINT_WEIGHT = 100.0
_PRIOR_WEIGHT = 1e-9  # too little to move what a known pixel reaches, and enough where none does
_BINOMIAL = np.array([1, 4, 6, 4, 1]) / 16
_SMALLEST_HALVED = 9  # the half of a shorter side holds no window


def closed_form_matting(image: Values, known: Mask, foreground: Mask, levels: int) -> Values:
    """Opacity of the foreground.

    Args:
        image: ``(H, W, C)`` in [0, 1].
        known: Where the opacity is given, ``(H, W)``.
        foreground: Where it is given as 1 and not as 0, ``(H, W)``.
        levels: The opacity is solved for where the image has been halved ``levels - 1`` times, or as often as it can
            be, and carried from there to its own size by what is linear in the colours around each pixel.

    Returns:
        ``(H, W)``, 1 in the foreground; 0.5 where nothing known reaches, and in places beyond [0, 1] if carried.
    """
    if levels == 1 or min(known.shape) < _SMALLEST_HALVED:
        return solve(image, known, foreground)
    coarse = halve(image)
    alpha = closed_form_matting(coarse, _halve_mask(known), _halve_mask(foreground), levels - 1)
    slope, offset = (double(coefficients, known.shape) for coefficients in linear_model(coarse, alpha))
    carried: Values = (slope * image).sum(-1) + offset
    return carried


def solve(image: Values, known: Mask, foreground: Mask) -> Values:
    """Opacity in [0, 1] that is least in the matting Laplacian and agrees with what is known, see above."""
    weight = _CONSTRAINT_WEIGHT * known.ravel()
    matrix = matting_laplacian(image, known) + sparse.diags_array(weight + _PRIOR_WEIGHT)
    # Symmetric and positive definite: no pivot has to be searched, which halves the time.
    factors = splu(matrix.tocsc(), "MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    alpha = factors.solve(weight * foreground.ravel() + _PRIOR_WEIGHT / 2)
    opacity: Values = np.clip(alpha, 0, 1).reshape(known.shape)
    return opacity


def matting_laplacian(image: Values, known: Mask) -> sparse.csr_array:
    """Quadratic form of how far an opacity is from linear in the colours of each window of 3x3.

    Args:
        image: ``(H, W, C)``.
        known: ``(H, W)``; windows of known pixels alone are left out.

    Returns:
        Symmetric ``(H * W, H * W)``, pixels row by row.

    Source: eq. (12).
    """
    open_windows = ~binary_erosion(known, np.ones((_SIDE, _SIDE)))[1:-1, 1:-1]
    pixels = _window_pixels(known.shape)[open_windows]
    _, deviation, precision = _colour_statistics(image, pixels)
    affinity = (1 + deviation @ precision @ deviation.swapaxes(-1, -2)) / _AREA
    rows = np.repeat(pixels, _AREA, axis=1)
    columns = np.tile(pixels, _AREA)
    entries = ((np.eye(_AREA) - affinity).ravel(), (rows.ravel(), columns.ravel()))
    return sparse.coo_array(entries, shape=(known.size, known.size)).tocsr()


def linear_model(image: Values, alpha: Values) -> tuple[Values, Values]:
    """Slopes ``(H, W, C)`` and offset ``(H, W)`` of the opacity as a linear function of the colours in each window.

    Pixels on the border, which no window is centred on, have those of the nearest window.
    """
    pixels = _window_pixels(alpha.shape)
    mean, deviation, precision = _colour_statistics(image, pixels)
    around = alpha.ravel()[pixels]
    covariance = (deviation * around[..., None]).mean(-2)
    slope = (precision @ covariance[..., None])[..., 0]
    offset = around.mean(-1) - (slope * mean).sum(-1)
    return np.pad(slope, ((1, 1), (1, 1), (0, 0)), mode="edge"), np.pad(offset, 1, mode="edge")


def _window_pixels(shape: tuple[int, ...]) -> NDArray[np.intp]:
    """Numbers, row by row, of the pixels of each window inside an image, ``(H - 2, W - 2, 9)``; none if too small."""
    height, width = shape
    corners = np.arange(height * width).reshape(shape)[: max(height - _SIDE + 1, 0), : max(width - _SIDE + 1, 0)]
    offsets = width * np.arange(_SIDE)[:, None] + np.arange(_SIDE)
    return corners[..., None] + offsets.ravel()


def _colour_statistics(image: Values, pixels: NDArray[np.intp]) -> tuple[Values, Values, Values]:
    """Mean ``(..., C)``, deviations from it ``(..., 9, C)`` and inverse covariance ``(..., C, C)`` of windows."""
    channels = image.shape[-1]
    colours = image.reshape(-1, channels)[pixels]
    mean = colours.mean(-2)
    deviation = colours - mean[..., None, :]
    covariance = deviation.swapaxes(-1, -2) @ deviation / _AREA
    return mean, deviation, np.linalg.inv(covariance + _EPSILON / _AREA * np.eye(channels))


def halve(values: Values) -> Values:
    """Smoothed, then every other pixel of each side from the third to the last but two."""
    for axis in (0, 1):
        values = convolve1d(values, _BINOMIAL, axis)
    return values[2:-2:2, 2:-2:2]


def _halve_mask(mask: Mask) -> Mask:
    return halve(mask.astype(float)) >= 0.5


def double(values: Values, shape: tuple[int, ...]) -> Values:
    """Linear interpolation from what `halve` has sampled to the size it came from."""
    for axis, size in enumerate(shape):
        last = values.shape[axis] - 1
        position = np.clip((np.arange(size) - 2) / 2, 0, last)
        before = np.floor(position).astype(int)
        after = np.minimum(before + 1, last)
        share = np.expand_dims(position - before, tuple(other for other in range(values.ndim) if other != axis))
        values = (1 - share) * values.take(before, axis) + share * values.take(after, axis)
    return values
