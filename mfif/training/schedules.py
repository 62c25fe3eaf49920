"""Learning-rate schedules that torch has only in pieces."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def warmup_cosine(optimizer: Optimizer, total_steps: int, warmup: float = 0.05) -> LambdaLR:
    """Linearly up to the optimizer's rate, then down to nothing by half a cosine.

    Args:
        optimizer: Its rate is the highest.
        total_steps: Iterations of the training, positive.
        warmup: Share of them that go up.

    Returns:
        The schedule, to be stepped with every iteration.

    Raises:
        ValueError: `total_steps` is not positive, or `warmup` is outside of [0, 1).

    Source: Loshchilov and Hutter, SGDR, ICLR 2017, without restarts; the warm-up: Goyal et al., 2017.
    """
    if total_steps < 1:
        raise ValueError(f"Expected `total_steps` to be positive, got {total_steps}. Set trainer.max_steps.")
    if not 0 <= warmup < 1:
        raise ValueError(f"Expected `warmup` to be in [0, 1), got {warmup}.")
    rising = int(warmup * total_steps)

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / rising
        return (1 + math.cos(math.pi * min((step - rising) / (total_steps - rising), 1))) / 2

    return LambdaLR(optimizer, factor)
