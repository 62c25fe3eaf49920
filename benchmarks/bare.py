"""The bare training step, the floor that a training is measured against."""

from collections.abc import Callable

import torch

from mfif.module import FusionModule
from mfif.pair import FocusPair
from mfif.recorded import record


class BareStep:
    """Forward, loss, backward and optimizer on a fixed batch, without Lightning, draws, synthesis or logging.

    Args:
        module: What is trained, weights and all.
        pair: The batch, where the weights are.
        precision: ``"32"`` or ``"bf16-mixed"``, as `trainer.precision`.
        **optimizer: Arguments for the optimizer besides its own.
    """

    def __init__(self, module: FusionModule, pair: FocusPair, precision: str = "32", **optimizer: object) -> None:
        self.module = module
        self.pair = pair
        self.precision = precision
        self.optimizer = module._optimizer(module.network.parameters(), **optimizer)

    def __call__(self) -> None:
        """Take a step."""
        with torch.autocast(self.pair.a.device.type, torch.bfloat16, enabled=self.precision == "bf16-mixed"):
            _, _, loss = self.module._step(self.pair)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def record_graph(step: BareStep) -> Callable[[], None]:
    """A call that launches the kernels of a step at once, as one CUDA graph; the step's optimizer is `capturable`."""
    graph, _ = record(step)

    def replay(_keep: BareStep = step) -> None:  # the graph works in the memory of the step
        graph.replay()

    return replay
