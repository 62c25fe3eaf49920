import pytest
import torch
from torch.nn import functional as F

from mfif.fusion.image_fusers import ChannelByChannel, ImageFuser
from mfif.models import MFNet


def network(seed=0, width=4):
    """A network that has learned something: a fresh one gives the average."""
    torch.manual_seed(seed)
    net = MFNet(width).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return net


def by_the_definition(weights, a, b):
    def conv(name, image):
        return F.conv2d(image, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=1)

    def twice(name, image):
        return F.relu(conv(f"{name}.2", F.relu(conv(f"{name}.0", image))))

    average = 0.5 * a + 0.5 * b
    features = twice("source", a) + twice("source", b) + twice("average", average)
    return average + conv("image.1", twice("image.0", features))


def test_image_by_the_definition(sources):
    net = network()
    a, b = sources()
    with torch.no_grad():
        expected = by_the_definition(net.state_dict(), a, b)
        torch.testing.assert_close(net(a, b), expected)
    assert (expected - (a + b) / 2).std() > 0.01


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (13, 8)], ids=str)
def test_smoke(size, sources):
    fused = network()(*sources(3, *size))
    assert fused.shape == (3, 1, *size)
    assert fused.dtype == torch.float32


def test_refuses_width():
    with pytest.raises(ValueError, match="Expected `width` to be positive, got 0"):
        MFNet(width=0)


def test_parameters():
    stated = 2 * ((9 + 1) * 64 + (9 * 64 + 1) * 64) + 2 * (9 * 64 + 1) * 64 + 9 * 64 + 1
    assert stated == 149_569
    assert sum(parameter.numel() for parameter in MFNet().parameters()) == stated


def test_the_order_of_the_sources_does_not_matter(sources):
    a, b = sources()
    torch.testing.assert_close(network()(a, b), network()(b, a))


def test_starts_as_the_average(sources):
    a, b = sources()
    assert torch.equal(MFNet(4)(a, b), (a + b) / 2)


def test_gradients_reach_every_parameter(sources):
    net = network(width=8)
    net(*sources()).square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


def test_receptive_field(seen_by):
    assert seen_by(network(width=1), 21) == (-5, 5)
    assert MFNet.receptive_radius == 5


def test_tiles_equal_the_whole():
    sources = torch.rand(2, 1, 3, 41, 34, generator=torch.Generator().manual_seed(0)).unbind()
    estimator = ChannelByChannel(network())
    whole, tiles = (ImageFuser(estimator, tile=tile).fuse(sources).image for tile in (None, 16))
    torch.testing.assert_close(tiles, whole)
