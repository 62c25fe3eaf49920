from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

import mfif
from mfif.classical import ConstantMap, ImageMatting, LaplacianEnergy
from mfif.errors import InputError
from mfif.fusion.fusers import Fuser, IdealFuser
from mfif.fusion.image_fusers import ImageFuser
from mfif.fusion.refine import RemoveSmallRegions
from mfif.models import Cnn, ContextTwoStream, TwoStream
from mfif.pair import luma


@pytest.fixture
def images() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.rand(2, 1, 3, 61, 83, generator=generator)
    return a, b


@pytest.mark.parametrize("tile", [7, 16, 32, 61, 80, 83])
@pytest.mark.parametrize("estimator", [TwoStream(width=6), TwoStream(width=6, depth=3), LaplacianEnergy(2.0)])
def test_tiles_change_nothing(estimator: nn.Module, tile: int, images: tuple[Tensor, Tensor]) -> None:
    whole = Fuser(estimator, threshold=None, tile=None).decision_map(*images)
    tiled = Fuser(estimator, threshold=None, tile=tile).decision_map(*images)
    assert (tiled - whole).abs().max() < 1e-6
    assert (Fuser(estimator, tile=tile).decision_map(*images) != Fuser(estimator).decision_map(*images)).sum() == 0


@pytest.mark.parametrize("detail", [0, 4])
def test_tiles_change_nothing_of_what_is_decided_in_a_wide_context(detail: int) -> None:
    torch.manual_seed(0)
    network = ContextTwoStream(4, levels=2, detail=detail).eval()
    with torch.no_grad():
        network.alpha.weight.mul_(20)  # decided
    a, b = torch.rand(2, 1, 3, 250, 217)
    seen: list[torch.Size] = []
    network.register_forward_pre_hook(lambda _, sources: seen.append(sources[0].shape))
    with torch.no_grad():
        whole, tiled = (Fuser(network, threshold=None, tile=tile).fuse([a, b]).decision for tile in (None, 40))
    assert len(seen) > 10
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-5)
    assert whole is not None
    assert (whole - 0.5).abs().max() > 0.3


def test_an_estimator_without_a_radius_sees_the_whole_image(images: tuple[Tensor, Tensor]) -> None:
    sizes = []

    def estimator(a: Tensor, b: Tensor) -> Tensor:
        sizes.append(a.shape[-2:])
        return torch.ones_like(a)

    Fuser(estimator, tile=16).decision_map(*images)
    assert sizes == [(61, 83)]


def test_threshold_and_refinement(images: tuple[Tensor, Tensor]) -> None:
    network = TwoStream(width=4)
    soft = Fuser(network, threshold=None).decision_map(*images)
    hard = Fuser(network).decision_map(*images)
    assert torch.equal(hard, (soft >= 0.5).float())
    gray = [luma(image) for image in images]
    cleaned = Fuser(network, refine=RemoveSmallRegions(0.01)).decision_map(*images)
    assert torch.equal(cleaned, RemoveSmallRegions(0.01)(hard, *gray))


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="tile"):
        Fuser(ConstantMap(1.0), tile=0)
    with pytest.raises(ValueError, match="threshold"):
        Fuser(ConstantMap(1.0), threshold=None, refine=RemoveSmallRegions())


# The call every method answers.


def mean_image(sources: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(sources)).mean(0)


METHODS = {
    "map": Fuser(LaplacianEnergy(1.0)),
    "soft map": Fuser(ConstantMap(0.5), threshold=None),
    "network": Fuser(TwoStream(width=4)),
    "image": ImageFuser(mean_image),
}
KINDS = [torch.uint8, torch.uint16, torch.float16, torch.float32, torch.float64]


def levels(kind: torch.dtype, *shape: int, seed: int = 0) -> Tensor:
    unit = torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return unit.to(kind) if kind.is_floating_point else (unit * torch.iinfo(kind).max).round().to(kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(1, 3, 20, 30), (2, 1, 20, 1), (1, 3, 1, 30), (1, 1, 1, 1)])
@pytest.mark.parametrize("name", METHODS)
def test_shape_and_type_are_those_of_the_sources(name: str, shape: tuple[int, ...], kind: torch.dtype) -> None:
    a, b = levels(kind, *shape), levels(kind, *shape, seed=1)
    image, decision = METHODS[name].fuse([a, b])
    assert image.dtype == kind
    assert image.shape == shape
    if name == "image":
        assert decision is None
    else:
        assert decision.shape == (shape[0], 1, *shape[2:])
    if name in ("map", "network"):
        assert torch.equal(image.double(), torch.where(decision == 1, a.double(), b.double()))
    else:
        within = 2e-3 if kind == torch.float16 else 0.5 if not kind.is_floating_point else 1e-6
        assert (image.double() - (a.double() + b.double()) / 2).abs().max() <= within


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("level", [0, 7, 255])
def test_constant_images(name: str, level: int) -> None:
    source = torch.full((1, 3, 24, 24), level, dtype=torch.uint8)
    assert torch.equal(METHODS[name].fuse([source, source]).image, source)


@pytest.mark.parametrize("name", METHODS)
def test_sources_pixels_apart_are_fused_all_the_same(name: str) -> None:
    a = levels(torch.uint8, 1, 3, 40, 40)
    b = a.roll((5, -7), (2, 3))
    image = METHODS[name].fuse([a, b]).image.int()
    assert (image >= torch.minimum(a, b).int()).all()
    assert (image <= torch.maximum(a, b).int()).all()


@pytest.mark.parametrize(("method", "name"), [(METHODS["map"], "LaplacianEnergy"), (METHODS["network"], "TwoStream")])
def test_a_map_is_of_two_images(method: Fuser, name: str) -> None:
    with pytest.raises(InputError, match=f"{name} takes two images, got 3. Fuse two"):
        method.fuse([torch.zeros(1, 1, 4, 4)] * 3)


@pytest.mark.parametrize("method", [METHODS["map"], METHODS["image"]])
@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ([torch.zeros(1, 1, 4, 4)], "at least two images, got 1"),
        ([torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 5)], "one size"),
        ([torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4).byte()], "and type, got"),
        ([torch.zeros(1, 1, 4, 4), torch.full((1, 1, 4, 4), 2.0)], "from 2 to 2"),
    ],
)
def test_sources_that_do_not_fit(method: Fuser, sources: list[Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        method.fuse(sources)


@pytest.mark.parametrize("wants", [True, False])
def test_an_estimator_that_takes_colour_gets_it(wants: bool, images: tuple[Tensor, Tensor]) -> None:
    class Estimator:
        takes_colour = wants
        receptive_radius = 0

        def __call__(self, a: Tensor, b: Tensor) -> Tensor:
            assert a.shape[1] == b.shape[1] == (3 if wants else 1)
            return a[:, :1]

    expected = images[0][:, :1] if wants else luma(images[0])
    assert torch.allclose(Fuser(Estimator(), threshold=None).decision_map(*images), expected)
    assert torch.allclose(Fuser(Estimator(), threshold=None, tile=32).decision_map(*images), expected)


@pytest.mark.parametrize("kind", [torch.uint8, torch.uint16])
@pytest.mark.parametrize("tile", [16, 33])
@pytest.mark.parametrize(
    "estimator", [LaplacianEnergy(1.0), TwoStream(width=4), Cnn(width=2)], ids=["laplacian", "two_stream", "cnn"]
)
def test_tiles_of_integers_change_nothing(estimator: object, tile: int, kind: torch.dtype) -> None:
    a, b = levels(kind, 1, 3, 61, 75), levels(kind, 1, 3, 61, 75, seed=1)
    whole, tiled = (Fuser(estimator, threshold=None, tile=side).fuse([a, b]) for side in (None, tile))
    assert (whole.decision - tiled.decision).abs().max() < 1e-6
    assert (whole.image.int() - tiled.image.int()).abs().max() <= 1


@pytest.mark.parametrize("name", ["default", "laplacian", "gf", "pyramid"])
@pytest.mark.parametrize("frames", [2, 3])
def test_levels_of_12_bit_are_fused_as_those_of_16(name: str, frames: int) -> None:
    generator = torch.Generator().manual_seed(0)
    sharp = torch.rand(1, 1, 64, 64, generator=generator)
    blurred = torch.nn.functional.avg_pool2d(sharp, 5, stride=1, padding=2)
    third = torch.arange(64) * frames // 64
    dark = [(4095 * torch.where(third == number, sharp, blurred)).to(torch.uint16) for number in range(frames)]
    bright = [(image.int() * 16).to(torch.uint16) for image in dark]
    results = [mfif.fuse([image[0] for image in images], name) for images in (dark, bright)]
    if results[0].index is not None:
        assert 0 < (results[0].index == 0).float().mean() < 1
        assert torch.equal(results[0].index, results[1].index)
        assert torch.equal(results[0].image.int() * 16, results[1].image.int())
    else:  # rounded to levels sixteen times as coarse
        assert (results[0].image.int() * 16 - results[1].image.int()).abs().max() <= 8


def test_a_method_of_pairs_alone_sees_12_bit_as_16() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randint(0, 4096, (2, 1, 1, 48, 48), generator=generator, dtype=torch.int32).to(torch.uint16)
    dark = mfif.load("dsift").fuse([a, b])
    bright = mfif.load("dsift").fuse([(image.int() * 16).to(torch.uint16) for image in (a, b)])
    assert dark.decision is not None
    assert bright.decision is not None
    assert torch.equal(dark.decision, bright.decision)


def test_a_gain_that_is_given_is_taken(images: tuple[Tensor, Tensor]) -> None:
    seen: list[float] = []

    def estimator(a: Tensor, b: Tensor) -> Tensor:
        seen.append(float(a.max()))
        return (a > b).float()

    a, b = ((255 * image).byte() // 4 for image in images)
    by_itself = Fuser(estimator).fuse([a, b])
    plain = Fuser(estimator, gain=1.0).fuse([a, b])
    assert seen[0] == 4 * seen[1]
    assert torch.equal(by_itself.image, plain.image)


def test_an_image_of_the_estimator_is_taken_as_it_is() -> None:
    class Brightened:
        """A map, and an image that is more than the blend by it."""

        takes_colour = True

        def __call__(self, a: Tensor, b: Tensor) -> Tensor:
            return torch.full_like(a[:, :1], 0.25)

        def fuse(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
            return (a + 0.5 * b).clamp(0, 1), self(a, b)

    a, b = levels(torch.uint8, 1, 4, 9, 8), levels(torch.uint8, 1, 4, 9, 8, seed=1)
    image, decision = Fuser(Brightened(), threshold=None).fuse([a, b])
    assert (image[:, :3].double() - (a + 0.5 * b.double())[:, :3].clamp(max=255)).abs().max() <= 0.5
    assert (image[:, 3:].double() - (a / 4 + 0.75 * b)[:, 3:]).abs().max() <= 0.5
    assert (decision == 0.25).all()
    assert torch.equal(Fuser(Brightened()).fuse([a, b]).image, b)


def test_image_matting_is_as_published() -> None:
    """Its weights do not add to one, see `ImageMatting.fuse`."""
    a, b = levels(torch.uint8, 1, 3, 40, 40), levels(torch.uint8, 1, 3, 40, 40, seed=1)
    image, decision = ImageMatting().fuse(a / 255, b / 255)
    fused = Fuser(ImageMatting(), threshold=None).fuse([a, b])
    assert (fused.image - 255 * image).abs().max() <= 0.51
    assert torch.equal(fused.decision, decision)


@pytest.mark.parametrize("name", METHODS)
def test_results_may_be_written_to(name: str) -> None:
    for result in METHODS[name].fuse([levels(torch.uint8, 1, 3, 20, 20, seed=seed) for seed in (0, 1)]):
        if result is not None:
            result.zero_()


def test_the_ideal_needs_the_truth() -> None:
    sources = [levels(torch.uint8, 1, 3, 8, 8, seed=seed) for seed in (0, 1)]
    with pytest.raises(InputError, match="true map"):
        IdealFuser().fuse(sources)
    truth = (torch.arange(64).reshape(1, 1, 8, 8) % 3 == 0).float()
    image, decision = IdealFuser(truth).to("cpu").fuse(sources)
    assert decision is truth
    assert torch.equal(image, torch.where(truth == 1, *sources))


def test_moving_a_method_moves_its_network() -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, sources: Sequence[Tensor]) -> Tensor:
            return sources[0] * self.weight

    assert ImageFuser(Network()).to("meta").estimator.weight.is_meta
    assert Fuser(TwoStream(width=4)).to("meta").estimator.alpha.weight.is_meta
    assert ImageFuser(mean_image).to("meta") == ImageFuser(mean_image)


def test_the_parts_are_in_reach_of_the_package() -> None:
    assert (mfif.Fuser, mfif.ImageFuser) == (Fuser, ImageFuser)
