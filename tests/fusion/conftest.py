from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn


@pytest.fixture(scope="session")
def checkpoint() -> Callable[..., Path]:
    """Write a file of the layout Lightning writes, of a network and its configuration; its path."""

    def write(path: Path, network: nn.Module, **configuration: object) -> Path:
        node = {"_target_": f"mfif.models.{type(network).__name__}", **configuration}
        state = {f"network.{key}": value for key, value in network.state_dict().items()}
        torch.save({"state_dict": state, "hyper_parameters": {"configuration": {"network": node}}}, path)
        return path

    return write
