import pytest
import torch
from torch.nn import functional as F

from mfif.fusion.fusers import Fuser
from mfif.models import Cnn


def network(seed=0, **options):
    """A network that is surer of itself than a fresh one, whose answers are all close to one half."""
    torch.manual_seed(seed)
    net = Cnn(**{"width": 3, **options}).eval()
    with torch.no_grad():
        net.classes.weight.mul_(8)
    return net


def patch_by_patch(net, a, b):
    """Classify one patch after the other, layer after layer, and average what each pixel was given."""
    weights = net.state_dict()

    def conv(name, image, padding=0):
        return F.conv2d(image, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=padding)

    def branch(image):
        image = F.relu(conv("branch.2", F.relu(conv("branch.0", image, 1)), 1))
        return F.relu(conv("branch.5", F.max_pool2d(image, 2), 1))

    features = torch.cat([branch(a), branch(b)], 1)
    total, count = torch.zeros_like(a), torch.zeros_like(a)
    for top in range(0, a.shape[2] - 15, 2):
        for left in range(0, a.shape[3] - 15, 2):
            seen = features[:, :, top // 2 : top // 2 + 8, left // 2 : left // 2 + 8]
            scores = conv("classes", seen if net.full is None else conv("full", seen))[:, :, 0, 0]
            probability = scores.exp()[:, 0] / scores.exp().sum(1)
            total[:, :, top : top + 16, left : left + 16] += probability[:, None, None, None]
            count[:, :, top : top + 16, left : left + 16] += 1
    return total / count


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (15, 16), (17, 33), (24, 21)], ids=str)
@pytest.mark.parametrize("light", [True, False])
def test_smoke(light, size, sources):
    alpha = network(light=light)(*sources(3, *size))
    assert alpha.shape == (3, 1, *size)
    assert alpha.dtype == torch.float32
    assert ((alpha >= 0) & (alpha <= 1)).all()


def test_refuses_width():
    with pytest.raises(ValueError, match="Expected `width` to be positive, got 0"):
        Cnn(width=0)


@pytest.mark.parametrize(("light", "stated"), [(False, 8_759_042), (True, 435_202)])
def test_parameters(light, stated):
    branch = (9 + 1) * 64 + (9 * 64 + 1) * 128 + (9 * 128 + 1) * 256
    head = (64 * 512 + 1) * 2 if light else (64 * 512 + 1) * 256 + (256 + 1) * 2
    assert branch + head == stated
    assert sum(parameter.numel() for parameter in Cnn(light=light).parameters()) == stated


@pytest.mark.parametrize("light", [True, False])
def test_whole_image_equals_patch_by_patch(light, sources):
    net = network(light=light)
    a, b = sources(2, 28, 22)
    with torch.no_grad():
        expected = patch_by_patch(net, a, b)
        torch.testing.assert_close(net(a, b), expected)
    assert expected.std() > 0.01


def test_a_patch_has_one_focus(sources):
    net = network()
    a, b = sources(3, 16, 16)
    alpha = net(a, b)
    assert torch.equal(alpha, alpha[..., :1, :1].expand(3, 1, 16, 16))
    assert alpha[:, 0, 0, 0].unique().numel() == 3


def test_other_sizes_are_continued_by_their_last_pixels(sources):
    net = network()
    a, b = sources(1, 19, 14)
    continued = [F.pad(image, (0, 2, 0, 1), mode="replicate") for image in (a, b)]
    torch.testing.assert_close(net(a, b), net(*continued)[..., :19, :14])


def test_receptive_field(seen_by):
    first, last = seen_by(network(width=1), 64)
    assert (first, last) == (-18, 19)  # of an even pixel; of an odd one -19 and 18
    assert Cnn.receptive_radius >= 19
    assert Cnn.receptive_radius % Cnn.stride == 0


@pytest.mark.parametrize("tile", [1, 16, 33])
def test_tiles_equal_the_whole(tile, sources):
    a, b = sources(1, 51, 44)
    whole, tiles = (Fuser(network(), threshold=None, tile=size).decision_map(a, b) for size in (None, tile))
    torch.testing.assert_close(tiles, whole)


def test_gradients_reach_every_parameter(sources):
    net = network()
    net(*sources(2, 16, 16)).sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


def test_learns_which_patch_is_blurred():
    """With the loss it is trained by: constant templates, every pixel of a patch classified alike."""
    torch.manual_seed(0)
    net = Cnn(width=4)
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(60):
        sharp = torch.rand(32, 1, 16, 16)
        blurred = F.avg_pool2d(sharp, 3, stride=1, padding=1)
        first = torch.rand(32, 1, 1, 1) < 0.5
        alpha = net(torch.where(first, sharp, blurred), torch.where(first, blurred, sharp))
        loss = F.binary_cross_entropy(alpha, first.float().expand_as(alpha))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1
