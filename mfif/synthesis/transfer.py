"""How small tensors of the CPU come to where the photographs are."""

import torch
from torch import Tensor


def send(tensor: Tensor, device: torch.device | str) -> Tensor:
    """Move a tensor without waiting for what the device has still to do, where that is safe.

    CUDA takes a copy of pageable memory before the call returns. MPS may read the source later, and a copy to the CPU
    may be read before it has arrived, so they wait, as in Lightning.

    Args:
        tensor: Of any shape and type.
        device: Where to.

    Returns:
        The tensor there.
    """
    return tensor.to(device, non_blocking=torch.device(device).type not in ("cpu", "mps"))
