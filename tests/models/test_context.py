import pytest
import torch
from scipy.ndimage import uniform_filter
from torch.nn import functional as F

from mfif.models import ContextTwoStream


def network(seed=0, **options):
    torch.manual_seed(seed)
    net = ContextTwoStream(**{"width": 4, **options}).eval()
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0, 0.1)
    return net


def sources(height=40, width=56, batch=2, seed=0):
    return torch.rand(2, batch, 1, height, width, generator=torch.Generator().manual_seed(seed)).unbind()


def block(weights, name, x):
    inner = F.relu(F.conv2d(x, weights[f"{name}.0.weight"], weights[f"{name}.0.bias"], padding=1))
    return F.relu(F.conv2d(inner, weights[f"{name}.1.weight"], weights[f"{name}.1.bias"], padding=1)) + x


def equations(weights, a, b, detail=False):
    """The plain network of three levels, line for line, on images of sides that are multiples of 16."""
    mean = uniform_filter(((a + b) / 2).double().numpy(), (1, 1, 9, 9), mode="nearest")
    a, b = (8 * (source - torch.from_numpy(mean)).float() for source in (a, b))

    def conv(name, x):
        kernel = weights[f"{name}.weight"]
        return F.conv2d(x, kernel, weights[f"{name}.bias"], padding=kernel.shape[-1] // 2)

    def stream(image):
        corners = [image[:, :, dy::2, dx::2] for dy in (0, 1) for dx in (0, 1)]
        y = F.relu(conv("stream.input", torch.cat(corners, 1)))
        c = block(weights, "stream.block1", y)
        return [c, block(weights, "stream.block2", c)]

    def half(x):
        return (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4

    def double(x):
        return F.interpolate(x, size=(2 * x.shape[-2], 2 * x.shape[-1]), mode="bilinear", align_corners=False)

    merged = torch.cat(stream(a) + stream(b), 1)
    quarter = block(weights, "down.0", F.relu(conv("merge", half(merged))))
    eighth = block(weights, "down.1", half(quarter))
    sixteenth = block(weights, "down.2", half(eighth))
    eighth = block(weights, "up.0", double(sixteenth) + eighth)
    quarter = block(weights, "up.1", double(eighth) + quarter)
    g = F.relu(conv("g", torch.cat([merged, double(conv("context", quarter))], 1)))
    score = conv("alpha", g)
    whole = torch.empty(len(a), score.shape[1] // 4, *a.shape[-2:])
    for number, (dy, dx) in enumerate((dy, dx) for dy in (0, 1) for dx in (0, 1)):
        whole[..., dy::2, dx::2] = score[:, number::4]
    if detail:
        looks = [block(weights, "detail.block", F.relu(conv("detail.input", image))) for image in (a, b)]
        seen = F.relu(conv("detail.g", torch.cat([*looks, whole[:, 1:]], 1)))
        whole = whole[:, :1] + conv("detail.alpha", seen)
    return 1 / (1 + torch.exp(-whole))


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (13, 8), (33, 17)], ids=str)
def test_smoke(size):
    alpha = network()(*sources(*size))
    assert alpha.shape == (2, 1, *size)
    assert alpha.dtype == torch.float32
    assert ((alpha >= 0) & (alpha <= 1)).all()


@pytest.mark.parametrize("detail", [0, 6])
def test_is_its_equations(detail):
    net, (a, b) = network(antisymmetric=False, detail=detail), sources(48, 64)
    with torch.no_grad():
        for name in ("detail.alpha.weight", "detail.input.weight") if detail else ():
            net.get_parameter(name).mul_(10)  # as much as the rest
    torch.testing.assert_close(net(a, b), equations(net.state_dict(), a, b, detail > 0), rtol=0, atol=2e-6)


def test_any_size_is_padded_by_repeating():
    net, (a, b) = network(), sources(45, 50)
    padded = [F.pad(image, (0, 14, 0, 3), mode="replicate") for image in (a, b)]
    torch.testing.assert_close(net(a, b), net(*padded)[..., :45, :50])


@pytest.mark.parametrize("option", [{"width": 0}, {"levels": 0}], ids=str)
def test_refuses_nothing(option):
    (name,) = option
    with pytest.raises(ValueError, match=f"Expected `{name}` to be positive"):
        network(**option)


@pytest.mark.parametrize("detail", [-2, 3])
def test_refuses_an_odd_look(detail):
    with pytest.raises(ValueError, match="Expected `detail` to be even and not negative"):
        network(detail=detail)


@pytest.mark.parametrize(("levels", "detail"), [(1, 0), (2, 0), (3, 0), (1, 4), (3, 2)])
def test_receptive_radius_bounds_what_a_decision_depends_on(levels, detail):
    net, (a, b) = network(levels=levels, detail=detail), sources(320, 320, batch=1)
    assert net.stride == 2 ** (levels + 1)
    radius, a = net.receptive_radius, a.requires_grad_()
    reached = 0
    for place in range(152, 168, 3):  # places in blocks of each size
        (gradient,) = torch.autograd.grad(net(a, b)[0, 0, place, place], a)
        reached = max(reached, int((gradient[0, 0].nonzero() - place).abs().max()))
    assert radius / 2 < reached <= radius


@pytest.mark.parametrize(("levels", "detail"), [(1, 0), (3, 0), (1, 4), (3, 8)])
def test_antisymmetric_in_every_bit(levels, detail):
    net, (a, b) = network(levels=levels, detail=detail), sources()
    with torch.no_grad():
        net.alpha.weight.mul_(20)  # decided
    forth, back = net(a, b), net(b, a)
    assert torch.equal(forth, 1 - back)
    plain = network(levels=levels, detail=detail, antisymmetric=False)
    bias = "detail.alpha.bias" if detail else "alpha.bias"  # which cancels
    plain.load_state_dict({**net.state_dict(), bias: torch.ones_like(plain.get_parameter(bias))})
    assert (forth - 0.5).abs().max() > 0.1
    odds = torch.logit(plain(a, b).double()) - torch.logit(plain(b, a).double())
    torch.testing.assert_close(forth, odds.sigmoid().float(), rtol=0, atol=1e-5)


def test_starts_undecided():
    torch.manual_seed(0)
    for antisymmetric, detail in ((True, 0), (False, 0), (True, 8)):
        alpha = ContextTwoStream(width=16, antisymmetric=antisymmetric, detail=detail)(*sources())
        assert (alpha - 0.5).abs().mean() < 0.1


@pytest.mark.parametrize("detail", [0, 4])
def test_every_weight_takes_part(detail):
    net = network(detail=detail)
    net(*sources(64, 64)).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in net.parameters())
