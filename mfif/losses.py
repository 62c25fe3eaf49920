"""Training losses: fused image and map against the truth of a pair."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mfif.pair import FocusPair


class FusionLoss(nn.Module):
    """Mean distance of the fused image to the sharp photograph, optionally with supervision of the map.

    Args:
        norm: ``"l1"``, the paper's, or ``"l2"`` (mean squared error).
        map_weight: Weight of the binary cross-entropy of the map against the template; the paper has none.

    Raises:
        ValueError: `norm` is neither of the two, or `map_weight` is negative.

    Source: eq. (4) of Zeng et al., ICASSP 2020.
    """

    def __init__(self, norm: Literal["l1", "l2"] = "l1", map_weight: float = 0.0) -> None:
        super().__init__()
        if norm not in ("l1", "l2"):
            raise ValueError(f"Expected `norm` to be 'l1' or 'l2', got {norm!r}.")
        if map_weight < 0:
            raise ValueError(f"Expected `map_weight` to be zero or positive, got {map_weight}.")
        self.norm = norm
        self.map_weight = map_weight

    def forward(self, fused: Tensor, alpha: Tensor, pair: FocusPair) -> Tensor:
        """Loss of a batch.

        Args:
            fused: Fused images, ``(B, C, H, W)`` in [0, 1].
            alpha: Estimated maps, ``(B, 1, H, W)`` in [0, 1].
            pair: The pairs and their truth.

        Returns:
            Scalar.
        """
        loss = F.l1_loss(fused, pair.sharp) if self.norm == "l1" else F.mse_loss(fused, pair.sharp)
        if self.map_weight:
            # Binary cross-entropy is unsafe in half precision, so that autocast refuses it on CUDA whatever it is
            # given; and an unsquashed map may leave [0, 1].
            estimate = alpha.float().clamp(1e-6, 1 - 1e-6)
            with torch.autocast(alpha.device.type, enabled=False):
                loss = loss + self.map_weight * F.binary_cross_entropy(estimate, pair.alpha.float())
        return loss
