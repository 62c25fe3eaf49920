import numpy as np
import pytest
import torch
from scipy.ndimage import correlate

from mfif.fusion.fusers import Fuser
from mfif.models import PixelCnn


def network(seed=0, width=3):
    torch.manual_seed(seed)
    net = PixelCnn(width).eval()
    with torch.no_grad():
        net.classes[8].weight.mul_(4)  # surer of itself than a fresh one
    return net


def classes(weights, image):
    """Class scores ``(3, H, W)`` of an image ``(H, W)``, by filters with holes."""
    features = [image]
    for layer, dilation in zip((0, 2, 4, 6), (1, 2, 4, 8), strict=True):
        kernels, biases = (weights[f"classes.{layer}.{kind}"].double().numpy() for kind in ("weight", "bias"))
        side = 2 * dilation + 1
        spread = np.zeros((*kernels.shape[:2], side, side))
        spread[..., ::dilation, ::dilation] = kernels
        features = [
            np.maximum(
                sum(correlate(x, k, mode="constant") for x, k in zip(features, row, strict=True)) + bias,
                0,
            )
            for row, bias in zip(spread, biases, strict=True)
        ]
    matrix, bias = (weights[f"classes.8.{kind}"].double().numpy() for kind in ("weight", "bias"))
    return np.tensordot(matrix[:, :, 0, 0], np.stack(features), 1) + bias[:, None, None]


def test_map_by_the_definition(sources):
    net = network()
    a, b = sources(1, 21, 18)
    of_a, of_b = (np.exp(classes(net.state_dict(), image[0, 0].double().numpy())) for image in (a, b))
    first, second, neither = of_a[0] * of_b[1], of_a[1] * of_b[0], of_a[2] * of_b[2]
    expected = (first + neither / 2) / (first + second + neither)
    with torch.no_grad():
        alpha = net(a, b)[0, 0]
    np.testing.assert_allclose(alpha.numpy(), expected, atol=1e-5)
    assert expected.std() > 0.01
    focus_a, focus_b = (np.log(scores[0] / scores[1]) for scores in (of_a, of_b))
    with torch.no_grad():
        np.testing.assert_allclose(net.focus(a)[0, 0].numpy(), focus_a, atol=1e-5)
    clear = np.abs(expected - 0.5) > 1e-4
    assert clear.any()
    assert np.array_equal((alpha.numpy() > 0.5)[clear], (focus_a > focus_b)[clear])


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (13, 8)], ids=str)
def test_smoke(size, sources):
    alpha = network()(*sources(3, *size))
    assert alpha.shape == (3, 1, *size)
    assert alpha.dtype == torch.float32


def test_refuses_width():
    with pytest.raises(ValueError, match="Expected `width` to be positive, got -1"):
        PixelCnn(width=-1)


def test_parameters():
    stated = (9 + 1) * 64 + 3 * (9 * 64 + 1) * 64 + (64 + 1) * 3
    assert stated == 111_619
    assert sum(parameter.numel() for parameter in PixelCnn().parameters()) == stated


def test_swapping_the_sources_swaps_the_map(sources):
    net = network()
    a, b = sources()
    torch.testing.assert_close(net(a, b), 1 - net(b, a))
    torch.testing.assert_close(net(a, a), torch.full_like(a, 0.5))


def test_receptive_field(seen_by):
    net = network(width=1)
    with torch.no_grad():
        net.classes[8].weight[1:] = 0  # equal signs in all classes would cancel
    assert seen_by(net, 41) == (-15, 15)
    assert PixelCnn.receptive_radius == 15


def test_tiles_equal_the_whole(sources):
    a, b = sources(1, 51, 44)
    whole, tiles = (Fuser(network(), threshold=None, tile=size).decision_map(a, b) for size in (None, 16))
    torch.testing.assert_close(tiles, whole)


def test_gradients_reach_every_parameter(sources):
    net = network(width=8)
    a, b = sources(2, 20, 20)
    net(a, b)[:, :, :10].sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name
