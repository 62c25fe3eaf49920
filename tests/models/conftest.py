import pytest
import torch


@pytest.fixture
def sources():
    """Two gray images of any size."""

    def draw(batch=2, height=12, width=10, seed=0):
        generator = torch.Generator().manual_seed(seed)
        return torch.rand(2, batch, 1, height, width, generator=generator).unbind()

    return draw


@pytest.fixture
def seen_by():
    """Which pixels of an image the middle of a network's output depends on, as offsets (first, last) on each axis."""

    def field(network, size):
        network = network.double()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.abs_().mul_(0.1)  # no rectifier is shut, no two paths cancel, and the map is not saturated
        image = torch.rand(1, 1, size, size, dtype=torch.float64, requires_grad=True)
        middle = size // 2
        (gradient,) = torch.autograd.grad(network(image, torch.zeros_like(image))[0, 0, middle, middle], image)
        rows, columns = (gradient[0, 0].abs().sum(axis).nonzero().flatten() - middle for axis in (1, 0))
        assert torch.equal(rows, columns)
        return rows[0].item(), rows[-1].item()

    return field
