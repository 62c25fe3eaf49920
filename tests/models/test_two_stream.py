from copy import deepcopy

import pytest
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from mfif.models import TwoStream

RADIUS = 9


def network(seed=0, **options):
    torch.manual_seed(seed)
    return TwoStream(**{"width": 8, **options}).eval()


def sources(batch=2, height=12, width=10, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, batch, 1, height, width, generator=generator).unbind()


def with_biases(net):
    """The network with biases that are not zero, so that a missing one shows."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith("bias"):
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    return net


def general_equations(weights, a1, a2, depth, early_fusion):
    """The equations with any number of blocks, and with one stream on both sources, on a state dict."""

    def conv(name, x):
        return F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], stride=1, padding=1)

    def stream(a):
        y = F.relu(conv("stream_a.input", a))
        features = []
        for block in range(1, depth + 1):
            inner = F.relu(conv(f"stream_a.block{block}.0", y))
            y = F.relu(conv(f"stream_a.block{block}.1", inner)) + y
            features.append(y)
        return features

    first = stream(torch.cat([a1, a2], 1) if early_fusion else a1)
    second = [] if early_fusion else stream(a2)
    e = F.relu(conv("e", first[-1] if early_fusion else first[-1] + second[-1]))
    f = F.relu(conv("f", torch.cat([a1 + a2, e], 1)))
    return 1 / (1 + torch.exp(-conv("alpha", F.relu(conv("g", torch.cat([*first, f, *second], 1))))))


def paper_equations(weights, a1, a2, squash, input_skip=True, feature_skip=True):
    """Equations (1) and (2), line for line, on a state dict."""

    def conv(name, x):
        return F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], stride=1, padding=1)

    def stream(name, a):
        y1 = F.relu(conv(f"{name}.input", a))
        y2 = F.relu(conv(f"{name}.block1.0", y1))
        c = F.relu(conv(f"{name}.block1.1", y2)) + y1
        y4 = F.relu(conv(f"{name}.block2.0", c))
        d = F.relu(conv(f"{name}.block2.1", y4)) + c
        return c, d

    c1, d1 = stream("stream_a", a1)
    c2, d2 = stream("stream_b" if "stream_b.input.weight" in weights else "stream_a", a2)
    e = F.relu(conv("e", d1 + d2))
    f = F.relu(conv("f", torch.cat([a1 + a2, e], 1) if input_skip else e))
    g = F.relu(conv("g", torch.cat([c1, d1, f, c2, d2], 1) if feature_skip else f))
    alpha = conv("alpha", g)
    if squash == "sigmoid":
        return 1 / (1 + torch.exp(-alpha))
    return alpha.maximum(torch.tensor(0.0)).minimum(torch.tensor(1.0)) if squash == "clamp" else alpha


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 3), (13, 8), (31, 17)], ids=str)
@pytest.mark.parametrize("shared", [True, False])
def test_smoke(shared, size):
    a, b = sources(3, *size)
    alpha = network(shared_streams=shared)(a, b)
    assert alpha.shape == (3, 1, *size)
    assert alpha.dtype == torch.float32
    assert alpha.isfinite().all()


@pytest.mark.parametrize("width", [0, -2, 1, 7])
def test_refuses_width(width):
    with pytest.raises(ValueError, match=f"Expected `width` to be even and at least 2, got {width}"):
        TwoStream(width=width)


def test_refuses_squash():
    with pytest.raises(ValueError, match="Expected `squash` to be 'sigmoid', 'clamp' or 'none', got 'tanh'"):
        TwoStream(squash="tanh")


@pytest.mark.parametrize("depth", [0, -1])
def test_refuses_depth(depth):
    with pytest.raises(ValueError, match=f"Expected `depth` to be positive, got {depth}"):
        TwoStream(depth=depth)


@pytest.mark.parametrize(
    "options", [{"shared_streams": False}, {"early_fusion": True}, {"feature_skip": False}], ids=str
)
def test_antisymmetry_needs_sources_treated_alike_and_told_apart(options):
    with pytest.raises(ValueError, match="Expected `antisymmetric` with `shared_streams`, `feature_skip` and no"):
        TwoStream(antisymmetric=True, **options)


def test_defaults_are_the_paper_s():
    net = TwoStream()
    assert (net.squash, net.input_skip, net.feature_skip) == ("sigmoid", True, True)
    assert net.stream_b is None
    assert net.e.out_channels == net.f.out_channels == 128
    assert net.g.out_channels == 64


@pytest.mark.parametrize(("shared", "stated"), [(True, 1_257_217), (False, 1_848_833)])
def test_parameters(shared, stated):
    def layer(inputs, outputs):
        return 3 * 3 * inputs * outputs + outputs

    stream = layer(1, 128) + 4 * layer(128, 128)
    head = layer(128, 128) + layer(129, 128) + layer(640, 64) + layer(64, 1)
    assert (1 if shared else 2) * stream + head == stated
    assert sum(parameter.numel() for parameter in TwoStream(shared_streams=shared).parameters()) == stated


@pytest.mark.parametrize("shared", [True, False])
def test_work_per_pixel(shared):
    """1.85 million multiplications a pixel whether streams share weights or not: both sources go through one."""
    net = TwoStream(shared_streams=shared)
    a, b = sources(1, 6, 5)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(a, b)
    stream = 9 * (1 * 128 + 4 * 128 * 128)
    head = 9 * (128 * 128 + 129 * 128 + 640 * 64 + 64 * 1)
    assert 2 * stream + head == 1_847_232
    assert counter.get_total_flops() == 2 * 30 * 1_847_232  # a multiplication and an addition each


@pytest.mark.parametrize("squash", ["sigmoid", "clamp", "none"])
@pytest.mark.parametrize("feature_skip", [True, False])
@pytest.mark.parametrize("input_skip", [True, False])
@pytest.mark.parametrize("shared", [True, False])
def test_forward_is_the_paper_s_equations(shared, input_skip, feature_skip, squash):
    options = {"squash": squash, "input_skip": input_skip, "feature_skip": feature_skip}
    net = with_biases(network(shared_streams=shared, **options))
    a, b = sources()
    torch.testing.assert_close(net(a, b), paper_equations(net.state_dict(), a, b, **options))


@pytest.mark.parametrize("early_fusion", [False, True])
@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_forward_at_any_depth(depth, early_fusion):
    net = with_biases(network(depth=depth, early_fusion=early_fusion))
    a, b = sources()
    assert net.stream_b is None
    assert net.g.in_channels == 8 * (1 + depth * (1 if early_fusion else 2))
    torch.testing.assert_close(net(a, b), general_equations(net.state_dict(), a, b, depth, early_fusion))


@pytest.mark.parametrize("squash", ["sigmoid", "clamp", "none"])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (32, 32), (61, 83)], ids=str)
def test_antisymmetry_is_exact(squash, size):
    """Bit for bit, also where the map is far from one half."""
    net = with_biases(network(antisymmetric=True, squash=squash, width=16))
    with torch.no_grad():
        net.alpha.weight.mul_(1000)
    a, b = sources(3, *size)
    alpha, swapped = net(a, b), net(b, a)
    assert torch.equal(swapped, 1 - alpha)
    assert torch.equal(alpha, 1 - swapped)
    assert alpha.std() > 0.1
    assert torch.equal(net(a, a), torch.full_like(a, 0.5))


@pytest.mark.parametrize("input_skip", [True, False])
def test_antisymmetric_map_is_that_of_the_difference(input_skip):
    """Of the scores of both orders, which the plain network with the same weights gives."""
    net = with_biases(network(antisymmetric=True, input_skip=input_skip))
    plain = network(input_skip=input_skip, squash="none")
    plain.load_state_dict(net.state_dict())
    a, b = sources()
    torch.testing.assert_close(net(a, b), torch.sigmoid(plain(a, b) - plain(b, a)))


def test_antisymmetry_is_exact_in_mixed_precision():
    net = with_biases(network(antisymmetric=True, width=32))
    a, b = sources()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(net(b, a), 1 - net(a, b))


def test_antisymmetric_gradients():
    """Those of the sigmoid of the difference, on both sides of one half."""
    net = with_biases(network(antisymmetric=True)).double()
    plain = network(squash="none").double()
    plain.load_state_dict(net.state_dict())
    a, b = (image.double() for image in sources())
    net(a, b).square().sum().backward()
    torch.sigmoid(plain(a, b) - plain(b, a)).square().sum().backward()
    for (name, one), two in zip(net.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad, msg=name)


def test_forward_at_full_width():
    net = with_biases(TwoStream(shared_streams=False))
    a, b = sources(1, 7, 6)
    expected = paper_equations(net.state_dict(), a, b, "sigmoid")
    with torch.no_grad():
        torch.testing.assert_close(net(a, b), expected)


def test_separate_streams_differ():
    net = network(shared_streams=False)
    assert not torch.equal(net.stream_a.input.weight, net.stream_b.input.weight)
    a, b = sources()
    (low_a, _), (low_b, _) = net.features(a, a)
    assert not torch.allclose(low_a, low_b)
    shared = network(shared_streams=True).features(a, b)
    swapped = network(shared_streams=True).features(b, a)
    torch.testing.assert_close(shared, swapped[::-1])


@pytest.mark.parametrize("shared", [True, False])
def test_samples_do_not_mix(shared):
    net = network(shared_streams=shared)
    a, b = sources(3)
    together = net(a, b)
    for n in range(3):
        torch.testing.assert_close(together[n : n + 1], net(a[n : n + 1], b[n : n + 1]))


@pytest.mark.parametrize("squash", ["sigmoid", "clamp", "none"])
def test_squash_range(squash):
    net = network(squash=squash)
    with torch.no_grad():
        net.alpha.weight.mul_(1000)
    alpha = net(*sources(4, 24, 24))
    if squash == "none":
        assert alpha.min() < 0
        assert alpha.max() > 1
    else:
        assert alpha.min() >= 0
        assert alpha.max() <= 1
        assert alpha.max() - alpha.min() > 0.9


def test_first_map_is_undecided():
    alpha = torch.stack([network(seed, width=128)(*sources(1, 16, 16)) for seed in range(3)])
    assert (alpha - 0.5).abs().max() < 0.25
    assert alpha.mean().item() == pytest.approx(0.5, abs=0.1)


def test_reset_parameters_draws_anew():
    net = network()
    before = deepcopy(net.state_dict())
    net.reset_parameters()
    assert not torch.equal(net.e.weight, before["e.weight"])
    torch.manual_seed(3)
    net.reset_parameters()
    first = deepcopy(net.state_dict())
    torch.manual_seed(3)
    net.reset_parameters()
    assert all(torch.equal(first[key], value) for key, value in net.state_dict().items())


@pytest.mark.parametrize("width", [128, 16])
def test_initialization_keeps_the_scale(width):
    """He: weights of deviation sqrt(2 / fan-in); the last layer's are a tenth of that."""
    net = network(width=width)
    for layer, scale in ((net.stream_a.block1[0], 1), (net.f, 1), (net.g, 1), (net.alpha, 0.1)):
        fan_in = layer.weight[0].numel()
        tolerance = 5 / (2 * layer.weight.numel()) ** 0.5
        assert layer.weight.std().item() == pytest.approx(scale * (2 / fan_in) ** 0.5, rel=tolerance)
        assert not layer.bias.any()


@pytest.mark.parametrize(("depth", "radius"), [(1, 7), (2, RADIUS), (3, 11)])
@pytest.mark.parametrize("early_fusion", [False, True])
def test_receptive_field_is_exact(depth, radius, early_fusion):
    """With positive weights no rectifier is shut and no two paths cancel: the field is where the gradient is."""
    net = network(width=2, squash="none", depth=depth, early_fusion=early_fusion).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.abs_()
    field = torch.zeros(25, 25)
    field[12 - radius : 12 + radius + 1, 12 - radius : 12 + radius + 1] = 1
    assert net.receptive_radius == radius
    images = [image.double().requires_grad_() for image in sources(1, 25, 25)]
    for gradient in torch.autograd.grad(net(*images)[0, 0, 12, 12], images):
        assert torch.equal((gradient[0, 0] != 0).float(), field)


@pytest.mark.parametrize("source", ["a", "b"])
@pytest.mark.parametrize("shared", [True, False])
def test_one_pixel_reaches_no_further(shared, source):
    net = network(shared_streams=shared, squash="none")
    a, b = sources(1, 31, 29)
    changed = [image.clone() for image in (a, b)]
    changed["ab".index(source)][..., 15, 14] += 100
    with torch.no_grad():
        difference = (net(*changed) - net(a, b))[0, 0]
    y, x = torch.meshgrid(torch.arange(31) - 15, torch.arange(29) - 14, indexing="ij")
    distance = torch.maximum(y.abs(), x.abs())
    assert not difference[distance > RADIUS].any()
    assert difference[distance == RADIUS].abs().max() > 0


def test_crop_with_halo_equals_the_whole():
    net = network()
    a, b = sources(1, 40, 45)
    inner = net(a[..., 3:33, 10:40], b[..., 3:33, 10:40])[..., RADIUS:-RADIUS, RADIUS:-RADIUS]
    torch.testing.assert_close(inner, net(a, b)[..., 3 + RADIUS : 33 - RADIUS, 10 + RADIUS : 40 - RADIUS])


@pytest.mark.parametrize("input_skip", [True, False])
@pytest.mark.parametrize("feature_skip", [True, False])
@pytest.mark.parametrize("shared", [True, False])
def test_state_dict_keys(shared, input_skip, feature_skip):
    layers = [
        f"{stream}.{layer}"
        for stream in (("stream_a",) if shared else ("stream_a", "stream_b"))
        for layer in ("input", "block1.0", "block1.1", "block2.0", "block2.1")
    ]
    keys = [f"{layer}.{kind}" for layer in (*layers, "e", "f", "g", "alpha") for kind in ("weight", "bias")]
    net = network(shared_streams=shared, input_skip=input_skip, feature_skip=feature_skip)
    assert list(net.state_dict()) == keys
    assert net.f.in_channels == (9 if input_skip else 8)
    assert net.g.in_channels == (40 if feature_skip else 8)


@pytest.mark.parametrize("shared", [True, False])
def test_state_dict_round_trip(shared):
    saved, loaded = network(0, shared_streams=shared), network(1, shared_streams=shared)
    a, b = sources()
    assert not torch.allclose(saved(a, b), loaded(a, b))
    loaded.load_state_dict(saved.state_dict())
    assert torch.equal(saved(a, b), loaded(a, b))


def test_weights_of_separate_streams_do_not_load_into_shared_ones():
    with pytest.raises(RuntimeError, match="stream_b"):
        network().load_state_dict(network(shared_streams=False).state_dict())


@pytest.mark.parametrize("shared", [True, False])
def test_gradients_reach_every_parameter(shared):
    net = network(shared_streams=shared)
    a, b = (image.requires_grad_() for image in sources())
    net(a, b).sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name
    assert a.grad.any()
    assert b.grad.any()


@pytest.mark.parametrize("squash", ["sigmoid", "clamp", "none"])
def test_autocast_gives_float32(squash):
    net = network(squash=squash, width=32)
    a, b = sources()
    with torch.no_grad():
        whole = net(a, b)
        with torch.autocast("cpu", torch.bfloat16):
            half = net(a, b)
    assert half.dtype == torch.float32
    assert not torch.equal(half, whole)
    torch.testing.assert_close(half, whole, rtol=0, atol=0.02)


def test_compile_in_place_keeps_the_keys():
    net = network()
    keys = list(net.state_dict())
    net.compile()
    assert net._compiled_call_impl is not None
    assert list(net.state_dict()) == keys


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_the_accelerator():
    net = network(width=32).double()
    a, b = (image.double() for image in sources())
    expected = net(a, b)
    torch.testing.assert_close(net.cuda()(a.cuda(), b.cuda()).cpu(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("batch", [1, 3])
def test_one_source_after_the_other_gives_the_map_of_one_batch(batch):
    network = TwoStream(width=8).eval()
    a, b = sources(batch)
    seen = []
    network.stream_a.register_forward_pre_hook(lambda stream, images: seen.append(len(images[0])))
    together = network(a, b).detach()
    with torch.no_grad():
        apart = network(a, b)
    assert seen == [2 * batch, batch, batch]
    torch.testing.assert_close(apart, together, rtol=0, atol=1e-5)
