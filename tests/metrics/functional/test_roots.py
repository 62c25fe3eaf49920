import torch

from mfif.metrics.functional.roots import root


def test_values_and_gradients():
    squared = torch.tensor([0.0, 1e-30, 4.0], dtype=torch.float64)
    assert torch.equal(root(squared), squared.sqrt())
    squared.requires_grad_()
    assert torch.equal(root(squared), squared.sqrt())
    root(squared).sum().backward()
    torch.testing.assert_close(squared.grad, torch.tensor([0.0, 0.5e15, 0.25]).double())
