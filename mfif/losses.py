"""Training losses: fused image and map against the truth of a pair, or the fused image against its sources."""

from collections.abc import Callable
from typing import cast

import torch
from kornia.filters import spatial_gradient
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics.functional.image import structural_similarity_index_measure

from mfif.pair import FocusPair, blend


class FusionLoss(nn.Module):
    """Weighted sum of distances of the fused image to the sharp photograph, and of the map to the template.

    A term of weight 0 is not computed. The default is the paper's loss.

    Args:
        l1: Weight of the mean absolute error of the fused image, the paper's.
        l2: Weight of its mean squared error.
        ssim: Weight of 1 minus its structural similarity (Wang et al., IEEE TIP 2004; Gaussian window, deviation 1.5).
        gradient: Weight of the mean absolute error of its Sobel gradients, each an eighth of the filter's sum.
        cross_entropy: Weight of the binary cross-entropy of the map against the template: supervision of the map, and
            with nothing else a classification of every pixel.
        ideal: Weight of the mean absolute error of the fused image against the fusion of the same sources by the
            template: an error of the map counts by what it shows, and noise that a wrong choice averages away is no
            gain, as it is for `l1`.
        pristine: Weight of the mean absolute error of another fusion against the photograph: of the sources as the lens
            showed them, before they moved apart and before noise, compression and rounding, by the map that was
            estimated with all that. As for `l1` the nearer source counts, and as for `ideal` it is no gain to pick,
            pixel by pixel, what noise or a shift happens to bring nearer.
        regret: Weight of how much farther from the photograph that other fusion is than the one by the true map, in the
            mean over the channels of a pixel, where it is farther: the mean of ``max(0, |F - I| - |F* - I|)``. As
            `pristine`, but where leaving the true map would come nearer, that is no gain; so the seam before a
            background follows the margin of the pairs.
        undecided: Pixels on each side of an edge of the template that count as undecided in the cross-entropy, with a
            value of one half: the third class of Tang et al., Information Sciences 2018, as we read it.

    Raises:
        ValueError: A weight or `undecided` is negative, or all weights are zero.

    Source: eq. (4) of Zeng et al., ICASSP 2020, for `l1`; the paper has no other term.
    """

    def __init__(
        self,
        l1: float = 1.0,
        l2: float = 0.0,
        ssim: float = 0.0,
        gradient: float = 0.0,
        cross_entropy: float = 0.0,
        ideal: float = 0.0,
        pristine: float = 0.0,
        regret: float = 0.0,
        undecided: int = 0,
    ) -> None:
        super().__init__()
        self.weights = {
            "l1": l1,
            "l2": l2,
            "ssim": ssim,
            "gradient": gradient,
            "cross_entropy": cross_entropy,
            "ideal": ideal,
            "pristine": pristine,
            "regret": regret,
        }
        self.undecided = undecided
        for name, weight in {**self.weights, "undecided": undecided}.items():
            if not weight >= 0:
                raise ValueError(f"Expected `{name}` to be zero or positive, got {weight}.")
        if not any(self.weights.values()):
            raise ValueError(f"Expected one of {', '.join(self.weights)} to be positive, got zero for all.")

    def forward(self, fused: Tensor, alpha: Tensor | None, pair: FocusPair) -> Tensor:
        """Loss of a batch.

        Args:
            fused: Fused images, ``(B, C, H, W)`` in [0, 1].
            alpha: Estimated maps, ``(B, 1, H, W)`` in [0, 1]; None of a network that gives the image itself.
            pair: The pairs and their truth.

        Returns:
            Scalar, float32.

        Raises:
            ValueError: There is no map, and a weight for it.
        """
        for name in ("cross_entropy", "pristine", "regret"):
            if alpha is None and self.weights[name]:
                raise ValueError(
                    f"Expected `{name}` to be 0 for a network without a map. Choose loss=mfnet or loss=ssim."
                )
        # Small differences drown in half precision, and autocast refuses cross-entropy on CUDA altogether.
        with torch.autocast(fused.device.type, enabled=False):
            fused, sharp = fused.float(), pair.sharp.float()
            terms: dict[str, Callable[[], Tensor]] = {
                "l1": lambda: F.l1_loss(fused, sharp),
                "l2": lambda: F.mse_loss(fused, sharp),
                "ssim": lambda: 1 - _similarity(fused, sharp),
                "gradient": lambda: spatial_gradient(fused - sharp).abs().mean(),
                "cross_entropy": lambda: self._cross_entropy(cast(Tensor, alpha).float(), pair.alpha.float()),
                "ideal": lambda: F.l1_loss(fused, blend(pair.a.float(), pair.b.float(), pair.alpha.float())),
                "pristine": lambda: F.l1_loss(_pristine_fusion(pair, cast(Tensor, alpha)), sharp),
                "regret": lambda: _regret(pair, cast(Tensor, alpha)),
            }
            return torch.stack([weight * terms[name]() for name, weight in self.weights.items() if weight]).sum()

    def _cross_entropy(self, alpha: Tensor, template: Tensor) -> Tensor:
        if self.undecided:
            size = 2 * self.undecided + 1
            grown, shrunk = (
                sign * F.max_pool2d(sign * template, size, stride=1, padding=self.undecided) for sign in (1, -1)
            )
            template = (grown + shrunk) / 2
        # An unsquashed map may leave [0, 1].
        return F.binary_cross_entropy(alpha.clamp(1e-6, 1 - 1e-6), template)


def _pristine_fusion(pair: FocusPair, alpha: Tensor) -> Tensor:
    a, b = pair.pristine
    return blend(a.float(), b.float(), alpha.float())


def _regret(pair: FocusPair, alpha: Tensor) -> Tensor:
    error, least = ((_pristine_fusion(pair, map_) - pair.sharp.float()).abs().mean(1) for map_ in (alpha, pair.alpha))
    return (error - least).relu().mean()


class SharperSourceSsim(nn.Module):
    """1 minus the structural similarity of the fused image to whichever source varies more in each window: no truth.

    Args:
        window: Side in pixels of the windows, all those inside the image.

    Raises:
        ValueError: `window` is less than 2.

    Source: Yan et al., arXiv 1806.07272, 2018, as we read its abstract: the standard deviation of a window decides
    which source counts. The side of 7 and the constants, those of Wang et al., IEEE TIP 2004, are what we take.
    """

    def __init__(self, window: int = 7) -> None:
        super().__init__()
        if window < 2:
            raise ValueError(f"Expected `window` to be at least 2, got {window}.")
        self.window = window

    def forward(self, fused: Tensor, alpha: Tensor | None, pair: FocusPair) -> Tensor:
        """Loss of a batch.

        Args:
            fused: Fused images, ``(B, C, H, W)`` in [0, 1], sides of at least `window`.
            alpha: Not read.
            pair: The pairs, of which only the sources are read.

        Returns:
            Scalar, float32.
        """
        with torch.autocast(fused.device.type, enabled=False):
            y, a, b = fused.float(), pair.a.float(), pair.b.float()
            mean_y, mean_a, mean_b = self._mean(y), self._mean(a), self._mean(b)
            variance_y, variance_a, variance_b = (
                self._mean(image * image) - mean * mean for image, mean in ((y, mean_y), (a, mean_a), (b, mean_b))
            )
            similarity_a = _ssim(mean_a, variance_a, mean_y, variance_y, self._mean(a * y) - mean_a * mean_y)
            similarity_b = _ssim(mean_b, variance_b, mean_y, variance_y, self._mean(b * y) - mean_b * mean_y)
            return 1 - torch.where(variance_a >= variance_b, similarity_a, similarity_b).mean()

    def _mean(self, image: Tensor) -> Tensor:
        return F.avg_pool2d(image, self.window, stride=1)


def _ssim(mean_x: Tensor, variance_x: Tensor, mean_y: Tensor, variance_y: Tensor, covariance: Tensor) -> Tensor:
    """Structural similarity from the moments of windows (eq. 13 of Wang et al.)."""
    c1, c2 = 0.01**2, 0.03**2
    means = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return means * (2 * covariance + c2) / (variance_x + variance_y + c2)


def _similarity(fused: Tensor, sharp: Tensor) -> Tensor:
    similarity: Tensor = structural_similarity_index_measure(fused, sharp, data_range=1.0)  # type: ignore[assignment]
    return similarity
