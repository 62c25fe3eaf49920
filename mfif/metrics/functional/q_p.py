"""Q_P: phase congruency of the sources found again in the fused image."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mfif.metrics.functional.gray import gray8
from mfif.metrics.functional.phase_congruency import phase_congruency
from mfif.metrics.functional.smoothing import gaussian, smooth
from mfif.metrics.functional.validation import check_images

_FEATURE = 0.1  # phase congruency above which a pixel counts
_STABILIZER = 1e-4
_WINDOW = gaussian(11, 1.5)


def q_p(fused: Tensor, source_a: Tensor, source_b: Tensor, data_range: float = 1.0) -> Tensor:
    """Correlation of edges and corners of the fused image with those of its sources; higher is better.

    Phase congruency and its two moments are compared in 11x11 windows with source a, source b and the stronger of both,
    the best of the three counting at each pixel; the score is the product over the three features.

    Args:
        fused: ``(B, 1, H, W)`` or ``(B, 3, H, W)`` in [0, data_range]; colour is scored on its gray.
        source_a: First source, same shape.
        source_b: Second source, same shape.
        data_range: Value of white: 1 for floats in [0, 1], 255 for 8-bit images.

    Returns:
        ``(B,)``, about 0..1; 0.97 or so for perfect fusion. NaN, as the reference, where the fused image or source a is
        constant, where no pixel of the sources has a feature, and for images of one row or column; also where a pixel
        is not finite. A constant source b leaves a score: the reference is not symmetric there.

    Raises:
        TypeError: An image is not a real tensor.
        ValueError: Shapes are wrong or differ, or an image does not fit `data_range`.

    Source: Zhao et al., Int. J. Innovative Computing, Information and Control 3(6A), 2007; ``metricZhao.m`` of
    zhengliu6699/imageFusionMetrics over the phase congruency of yuliu316316/MFIF-Metrics (the copy inside the former
    differs for odd sizes).

    Example:
        >>> import torch
        >>> image = torch.zeros(1, 1, 48, 48)
        >>> image[..., 12:36, 12:36] = 1
        >>> q_p(image, image, image).round(decimals=3)
        tensor([0.9600], dtype=torch.float64)
    """
    check_images(data_range, fused=fused, source_a=source_a, source_b=source_b)
    grays = [gray8(image, data_range).detach() for image in (fused, source_a, source_b)]
    f, a, b = (phase_congruency(gray) for gray in grays)
    stronger = a.congruency > b.congruency
    counted_a, counted_b = a.congruency > _FEATURE, b.congruency > _FEATURE
    counted = torch.where(stronger, counted_a, counted_b)

    score = torch.ones_like(grays[0][:, 0, 0])
    for of_f, of_a, of_b in zip(f, a, b, strict=True):
        # Products, not `torch.where`: the reference lets a NaN that is not counted pass too.
        most = stronger * of_a + ~stronger * of_b
        features = (of_a * counted_a, of_b * counted_b, most * counted)
        score = score * _agreement(of_f, features, (counted_a, counted_b, counted))
    missing = torch.stack([gray.isnan().flatten(1).any(1) for gray in grays]).any(0)
    return score.masked_fill(missing, torch.nan)


def _agreement(fused: Tensor, features: tuple[Tensor, ...], counted: tuple[Tensor, ...]) -> Tensor:
    """Mean over the pixels counted of the best correlation with one of the features, ``(B,)``."""
    found = torch.stack(features)
    planes = torch.cat([fused.unsqueeze(0), found])
    smoothed = smooth(F.pad(torch.cat([planes, planes * planes, found * fused]), (5, 5, 5, 5)), _WINDOW)
    means, squares, mixed = smoothed[:4], smoothed[4:8], smoothed[8:]
    variances = squares - means * means
    covariances = mixed - means[1:] * means[:1]
    correlations = (covariances + _STABILIZER) / ((variances[1:] * variances[:1]).abs().sqrt() + _STABILIZER)

    # Where a feature is not counted its correlation is 0, or NaN if the means of source a are; NaN never wins.
    elsewhere = means[1] * 0
    best = torch.where(counted[0], correlations[0], elsewhere)
    for correlation, where in zip(correlations[1:], counted[1:], strict=True):
        best = torch.fmax(best, torch.where(where, correlation, elsewhere))
    return best.sum((1, 2)) / counted[-1].sum((1, 2))
