"""Functions of tensors as CUDA graphs, for kernels that are done before the next ones could be launched one by one."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

Function = Callable[..., Sequence[Tensor | None]]
Outputs = TypeVar("Outputs")

_WARM_UP = 3


def can_record(device: torch.device) -> bool:
    """Whether what runs on the device can be recorded."""
    return device.type == "cuda"


def record(compute: Callable[[], Outputs]) -> tuple[torch.cuda.CUDAGraph, Outputs]:
    """The kernels of a call as one CUDA graph, and where in memory it leaves what the call gave."""
    # Outside of the recording cuDNN chooses its algorithms, optimizers make their state, and compilers compile.
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(_WARM_UP):
            compute()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = compute()
    return graph, outputs


class Recorded:
    """A function of tensors whose kernels are launched at once.

    They are recorded with the first call, and again where an input changes its shape. What the function reads besides
    its inputs must stay where it is in memory, and it must not wait for the GPU nor draw random numbers.

    Args:
        function: Takes tensors on `device`, gives tensors or None.
        device: A CUDA device.

    Source: CUDA graphs, https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs.
    """

    def __init__(self, function: Function, device: torch.device) -> None:
        self._function = function
        self._device = device
        self._inputs: list[Tensor] = []

    def __call__(self, *inputs: Tensor) -> tuple[Tensor | None, ...]:
        """Compute the function of inputs on the device or the CPU; the next call overwrites what this one gives."""
        if [value.shape for value in inputs] != [value.shape for value in self._inputs]:
            self._record(inputs)
        torch._foreach_copy_(self._inputs, list(inputs), non_blocking=True)
        self._graph.replay()
        return self._outputs

    def _record(self, inputs: Sequence[Tensor]) -> None:
        self._inputs = [value.to(self._device, copy=True) for value in inputs]
        self._graph, self._outputs = record(self._compute)

    def _compute(self) -> tuple[Tensor | None, ...]:
        # Weights that autocast has cast are no part of a recording: each replay is to cast those of its time.
        torch.clear_autocast_cache()
        outputs = tuple(self._function(*self._inputs))
        torch.clear_autocast_cache()
        return outputs


class RecordedLoss:
    """A loss as a CUDA graph, with the gradients, which each call leaves in the parameters.

    Args:
        loss: Of the inputs, a scalar.
        parameters: What the gradients are of, on a CUDA device. Nothing else may put other tensors into them.
    """

    def __init__(self, loss: Callable[..., Tensor], parameters: Iterable[nn.Parameter]) -> None:
        self._loss = loss
        self._parameters = list(parameters)
        self._recorded = Recorded(self._with_gradients, self._parameters[0].device)

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Compute the loss, and the gradients in place of those of the call before."""
        loss, *gradients = self._recorded(*inputs)
        assert loss is not None
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            if parameter.grad is not gradient:
                parameter.grad = gradient
        return loss.clone()

    def _with_gradients(self, *inputs: Tensor) -> tuple[Tensor | None, ...]:
        with torch.enable_grad():
            loss = self._loss(*inputs)
        with torch.autocast("cuda", enabled=False):
            # Not by `backward`: what adds up gradients belongs to the stream it was made on, which may be another.
            gradients = torch.autograd.grad(loss, self._parameters, allow_unused=True)
        return loss.detach(), *map(_laid_as, gradients, self._parameters)


def _laid_as(gradient: Tensor | None, parameter: Tensor) -> Tensor | None:
    """The gradient in memory as its parameter is, which fused optimizers ask for and `backward` sees to."""
    if gradient is None or gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)
