import pytest
import torch

from mfif.synthesis.transfer import send


@pytest.mark.parametrize(("device", "waits"), [("cpu", True), ("mps", True), ("cuda:0", False), ("xpu", False)])
def test_only_devices_that_copy_the_source_at_once_are_not_waited_for(device, waits):
    class Sent(torch.Tensor):
        def to(self, device, non_blocking):
            return device, non_blocking

    assert send(torch.zeros(3).as_subclass(Sent), device) == (device, not waits)


def test_values_arrive():
    assert send(torch.arange(3), "cpu").tolist() == [0, 1, 2]
