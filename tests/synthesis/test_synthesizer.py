import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.stats import kstest

from mfif.pair import blend
from mfif.synthesis import (
    BlobTemplates,
    GaussianKernels,
    PairDraw,
    PaperKernels,
    PaperTemplates,
    Synthesizer,
    blur,
    compose,
    paper_templates,
)
from mfif.synthesis.degrade import compress, translate


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def photos(count, channels=1, height=32, width=32):
    return torch.rand(count, channels, height, width, generator=generator(99))


def paper(**options):
    return Synthesizer(PaperKernels(), PaperTemplates(), **options)


def drawn(**options):
    return Synthesizer(GaussianKernels((0.6, 2.0)), BlobTemplates(), **options)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("build", [paper, drawn])
def test_smoke(build, channels):
    synthesizer = build(noise=0.02)
    sharp = photos(5, channels)
    pair = synthesizer(sharp, synthesizer.draw(torch.arange(5), generator()))
    assert pair.a.shape == pair.b.shape == sharp.shape
    assert pair.alpha.shape == (5, 1, 32, 32)


def test_negative_noise():
    with pytest.raises(ValueError, match="Expected `noise` to be zero or positive"):
        paper(noise=-0.1)


def test_negative_edge():
    with pytest.raises(ValueError, match="Expected `edge` to be zero or positive"):
        paper(edge=-0.1)


def test_negative_softness_and_shift():
    for name in ("softness", "shift"):
        with pytest.raises(ValueError, match=f"Expected `{name}` to be zero or positive"):
            paper(**{name: -0.1})


@pytest.mark.parametrize("options", [{"backgrounds": 1.5, "boundary": "spread"}, {"backgrounds": 0.5}], ids=str)
def test_backgrounds_that_cannot_be(options):
    with pytest.raises(ValueError, match="Expected `backgrounds` to be a share, and 0 with the boundary 'selection'"):
        paper(**options)


@pytest.mark.parametrize("name", ["clean", "margin"])
@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_shares_that_cannot_be(name, share):
    with pytest.raises(ValueError, match=f"Expected `{name}` to be a share, from 0 to 1, got"):
        paper(**{name: share})


@pytest.mark.parametrize("jpeg", [(0, 50), (60, 50), (50, 101), (50,)], ids=str)
def test_qualities_that_cannot_be(jpeg):
    with pytest.raises(ValueError, match="Expected `jpeg` to be two qualities"):
        paper(jpeg=jpeg)


def test_what_is_off_leaves_the_draws_as_they_were():
    full = drawn(boundary="spread", backgrounds=0.5, softness=0.8, shift=1.0, jpeg=(40, 90))
    draw, plain = (each.draw(torch.arange(40), generator()) for each in (full, drawn()))
    for name in ("crop", "kernel", "template", "exchange", "noise"):
        assert torch.equal(getattr(draw, name), getattr(plain, name))
    assert torch.equal(plain.background, plain.crop)
    assert not plain.softness.any()
    assert not plain.shift.any()
    assert not plain.quality.any()


def test_draws_of_degradations():
    synthesizer = drawn(boundary="spread", backgrounds=0.25, softness=0.8, shift=1.5, jpeg=(40, 90))
    draw = synthesizer.draw(torch.arange(4000), generator())
    behind = draw.background != draw.crop
    assert behind.float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert torch.equal(draw.background[behind], (draw.crop[behind] - 1) % 4000)  # the one before in the batch
    assert kstest((draw.softness / 0.8).numpy(), "uniform").pvalue > 0.01
    assert kstest((draw.shift[:, 0] / 3 + 0.5).numpy(), "uniform").pvalue > 0.01
    compressed = draw.quality > 0
    assert compressed.float().mean().item() == pytest.approx(0.5, abs=0.04)
    assert kstest(((draw.quality[compressed] - 40) / 50).numpy(), "uniform").pvalue > 0.01


def test_clean_pairs_are_spared_every_degradation():
    options = {"boundary": "spread", "backgrounds": 0.5, "softness": 0.8, "shift": 1.5, "jpeg": (40, 90)}
    full, some = (drawn(**options, clean=share).draw(torch.arange(4000), generator()) for share in (0, 0.3))
    degradations = ("noise", "softness", "shift", "quality")
    clean = ~torch.stack([getattr(some, name).reshape(4000, -1).any(1) for name in degradations]).any(0)
    assert clean.float().mean().item() == pytest.approx(0.3, abs=0.03)
    for name in degradations:
        assert torch.equal(getattr(some, name)[~clean], getattr(full, name)[~clean])
    for name in ("crop", "kernel", "template", "exchange", "background"):
        assert torch.equal(getattr(some, name), getattr(full, name))


def test_a_clean_pair_is_that_of_a_synthesizer_without_degradations():
    degraded, plain = (
        paper(clean=1, softness=0.8, shift=1.5, jpeg=(40, 90), noise=0.1),
        paper(),
    )
    sharp = photos(24)
    draw = degraded.draw(torch.arange(24), generator())
    for got, expected in zip(degraded(sharp, draw)[:4], plain(sharp, draw)[:4], strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=2e-4)  # a shift of nothing resamples, to rounding


def test_softness_blurs_the_whole_scene():
    synthesizer = paper(softness=1.0, exchange=False)
    sharp = photos(24)
    draw = synthesizer.draw(torch.arange(24), generator())
    pair = synthesizer(sharp, draw)
    for number, sigma in enumerate(draw.softness.tolist()):
        expected = gaussian_filter(sharp[number, 0].double().numpy(), max(sigma, 1e-3), mode="mirror", radius=3)
        np.testing.assert_allclose(pair.sharp[number, 0].numpy(), expected, atol=1e-5)
    assert torch.equal(blend(pair.a, pair.b, pair.alpha), pair.sharp)


def test_sources_move_apart_and_are_compressed():
    full, plain = (paper(exchange=False, **options) for options in ({"shift": 2.0, "jpeg": (50, 50)}, {}))
    sharp = photos(24)
    draw = full.draw(torch.arange(24), generator())
    pair, still = full(sharp, draw), plain(sharp, draw)
    assert torch.equal(pair.sharp, sharp)
    assert torch.equal(pair.alpha, still.alpha)
    for got, source, sign in ((pair.a, still.a, 1), (pair.b, still.b, -1)):
        torch.testing.assert_close(got, compress(translate(source, sign * draw.shift / 2), draw.quality))


def test_sources_have_the_levels_of_files():
    rounded, plain = (paper(rounded=value) for value in (True, False))
    sharp = photos(6)
    draw = plain.draw(torch.arange(6), generator())
    for got, exact in zip(rounded(sharp, draw)[:2], plain(sharp, draw)[:2], strict=True):
        assert torch.equal(got, (exact * 255).round() / 255)
        assert not torch.equal(got, exact)


def test_backgrounds_are_behind_where_they_are_drawn():
    synthesizer = drawn(boundary="spread", backgrounds=0.5)
    sharp, bank = photos(8), photos(16)[8:]
    draw = synthesizer.draw(torch.arange(8), generator())
    pair = synthesizer(sharp, draw, bank)
    template = synthesizer.templates.render(draw.template, 32)
    assert torch.equal(pair.sharp, torch.where(template == 1, sharp, bank))


@pytest.mark.parametrize("options", [{}, {"softness": 1.0}], ids=str)
def test_occlusion_is_the_pairs_with_a_background_and_selection_those_without(options):
    options = {**options, "margin": 0.5}
    occlusion = drawn(boundary="occlusion", backgrounds=0.5, **options)
    spread, selection = drawn(boundary="spread", backgrounds=0.5, **options), drawn(**options)
    bank = photos(12)
    draw = occlusion.draw(torch.arange(12), generator())
    behind = draw.background != draw.crop
    assert 0 < behind.sum() < 12
    pair = occlusion(bank[draw.crop], draw, bank[draw.background])
    expected = spread(bank[draw.crop], draw, bank[draw.background]), selection(bank[draw.crop], draw)
    for name, got in pair.tensors().items():
        for which, wanted in zip((behind, ~behind), expected, strict=True):
            torch.testing.assert_close(got[which], wanted.tensors()[name][which])
    assert not torch.equal(pair.b[~behind], expected[0].b[~behind])


def test_unknown_boundary():
    with pytest.raises(ValueError, match="Expected `boundary` to be 'selection', 'spread' or 'occlusion', got 'matte'"):
        paper(boundary="matte")


def test_boundary_is_that_of_compose():
    synthesizer = drawn(boundary="spread")
    sharp = photos(6)
    draw = synthesizer.draw(torch.arange(6), generator())
    parts = synthesizer.kernels.render(draw.kernel), synthesizer.templates.render(draw.template, 32), draw.exchange
    pairs = synthesizer(sharp, draw), compose(sharp, *parts, "spread")
    for got, wanted in zip(*(pair.tensors().values() for pair in pairs), strict=True):
        assert torch.equal(got, wanted)
    assert not torch.equal(synthesizer(sharp, draw).b, drawn()(sharp, draw).b)


def test_margin_is_that_of_compose():
    synthesizer = drawn(boundary="spread", backgrounds=1, margin=0.4)
    sharp = photos(6)
    draw = synthesizer.draw(torch.arange(6), generator())
    parts = synthesizer.kernels.render(draw.kernel), synthesizer.templates.render(draw.template, 32), draw.exchange
    maps = [compose(sharp, *parts, "spread", sharp.roll(1, 0), margin).alpha for margin in (0.4, 1)]
    assert torch.equal(synthesizer(sharp, draw, sharp.roll(1, 0)).alpha, maps[0])
    assert not torch.equal(*maps)


@pytest.mark.parametrize("edge", [0.5, 2.0])
def test_edge_softens_the_template(edge):
    synthesizer = paper(edge=edge, exchange=False)
    sharp = photos(24, height=20, width=32)
    draw = synthesizer.draw(torch.arange(24), generator())
    pair = synthesizer(sharp, draw)
    for alpha, template in zip(pair.alpha[:, 0], paper_templates(32)[draw.template, 0], strict=True):
        radius = int(np.ceil(3 * edge))
        expected = gaussian_filter(template.double().numpy(), edge, mode="mirror", radius=radius)
        np.testing.assert_allclose(alpha.numpy(), expected[6:26], atol=1e-6)
    torch.testing.assert_close(pair.a + pair.b, sharp + blur(sharp, PaperKernels().render(draw.kernel)))


def test_photo_too_small_for_the_kernel():
    synthesizer = paper()
    with pytest.raises(ValueError, match="Expected `image` to be larger than half the blur kernel"):
        synthesizer(photos(1, height=7, width=32), synthesizer.draw(torch.tensor([0]), generator()))


@pytest.mark.parametrize("crops", [1, 3])
def test_enumeration_is_complete(crops):
    synthesizer = Synthesizer(PaperKernels((3, 5)), PaperTemplates())
    assert synthesizer.pairs_per_crop == 12
    draw = synthesizer.draw(torch.arange(12 * crops), generator())
    seen = list(zip(draw.crop.tolist(), draw.template.tolist(), draw.kernel[:, 0].int().tolist(), strict=True))
    wanted = [(crop, template, size) for crop in range(crops) for template in range(6) for size in (3, 5)]
    assert seen == wanted


def test_enumeration_of_the_paper():
    synthesizer = paper()
    assert 60_000 * synthesizer.pairs_per_crop == 1_440_000
    draw = synthesizer.draw(torch.arange(1_440_000), generator())
    size_index = (draw.kernel[:, 0].long() - 3) // 4
    assert torch.equal(torch.tensor([3, 7, 11, 15])[size_index], draw.kernel[:, 0].long())
    visits = torch.bincount((draw.crop * 6 + draw.template) * 4 + size_index, minlength=1_440_000)
    assert draw.crop.max() == 59_999
    assert len(visits) == 1_440_000
    assert (visits == 1).all()


def test_enumeration_of_random_sets():
    synthesizer = drawn()
    assert synthesizer.pairs_per_crop == 1
    assert synthesizer.draw(torch.arange(7), generator()).crop.tolist() == list(range(7))


def test_pixels_of_a_draw():
    """The draw says which of the published templates and kernels a pair is made of."""
    synthesizer = paper()
    sharp = photos(24)
    draw = synthesizer.draw(torch.arange(24), generator())
    pair = synthesizer(sharp, draw)
    kernels = PaperKernels()
    kernel = kernels.render(kernels.draw(torch.arange(4).repeat(6), generator()))
    template = paper_templates(32).repeat_interleave(4, dim=0)
    expected = compose(sharp, kernel, template, draw.exchange)
    for got, wanted in zip(pair.tensors().values(), expected.tensors().values(), strict=True):
        assert torch.equal(got, wanted)
    assert torch.equal(blend(pair.a, pair.b, pair.alpha), sharp)


def test_exchange_is_half():
    synthesizer = paper()
    draw = synthesizer.draw(torch.arange(24_000), generator())
    assert draw.exchange.dtype == torch.bool
    for group in (draw.template, draw.kernel[:, 0].long()):
        for value in group.unique():
            chosen = draw.exchange[group == value].double()
            assert chosen.mean().item() == pytest.approx(0.5, abs=4 * 0.5 / len(chosen) ** 0.5)


def test_no_exchange():
    with_exchange, without = paper(), paper(exchange=False)
    draw = without.draw(torch.arange(1000), generator())
    assert not draw.exchange.any()
    # The switch changes nothing else about the stream of random numbers.
    other = with_exchange.draw(torch.arange(1000), generator())
    assert draw.seed == other.seed
    assert torch.equal(draw.kernel, other.kernel)


@pytest.mark.parametrize("build", [paper, drawn])
def test_draw_depends_on_the_generator_alone(build):
    synthesizer = build()
    torch.manual_seed(1)
    first = synthesizer.draw(torch.arange(30), generator(4))
    torch.manual_seed(2)
    state = torch.get_rng_state()
    again = synthesizer.draw(torch.arange(30), generator(4))
    other = synthesizer.draw(torch.arange(30), generator(5))
    assert torch.equal(state, torch.get_rng_state())
    for one, two in zip(first[:4], again[:4], strict=True):
        assert torch.equal(one, two)
    assert first.seed == again.seed != other.seed
    assert not torch.equal(first.exchange, other.exchange)


@pytest.mark.parametrize("build", [paper, drawn])
def test_part_is_a_slice(build):
    synthesizer = build()
    sharp = photos(8)
    draw = synthesizer.draw(torch.arange(8), generator())
    part = draw.part(2, 5)
    assert isinstance(part, PairDraw)
    pairs = synthesizer(sharp, draw), synthesizer(sharp[2:5], part)
    for whole, some in zip(*(pair.tensors().values() for pair in pairs), strict=True):
        torch.testing.assert_close(some, whole[2:5])
    assert torch.equal(part.crop, draw.crop[2:5])


def test_parts_have_noise_of_their_own():
    synthesizer = paper(noise=0.1)
    draw = synthesizer.draw(torch.zeros(8, dtype=torch.long), generator())
    sharp = torch.full((4, 1, 32, 32), 0.5)
    first, second = (synthesizer(sharp, draw.part(start, start + 4)).a for start in (0, 4))
    assert abs(np.corrcoef(first.flatten(), second.flatten())[0, 1]) < 0.1
    assert draw.part(0, 4).seed != draw.part(4, 8).seed


def test_noise_level():
    """On a constant photograph, which no blur changes, all variation is noise."""
    synthesizer = paper(noise=0.1)
    draw = synthesizer.draw(torch.arange(400), generator())
    sharp = torch.full((400, 1, 32, 32), 0.5)
    pair = synthesizer(sharp, draw)
    level = pair.a.std((1, 2, 3)).double()
    assert level.max().item() < 0.1 * 1.08
    assert kstest((level / 0.1).clamp(0, 1).numpy(), "uniform").pvalue > 0.01
    torch.testing.assert_close(pair.b.std((1, 2, 3)).double(), level, rtol=0.15, atol=0)  # one level for both
    noise_a, noise_b = (pair.a - 0.5).flatten(1), (pair.b - 0.5).flatten(1)
    cosine = torch.nn.functional.cosine_similarity(noise_a, noise_b, dim=1)
    assert cosine.abs().max() < 0.2  # but a noise for each
    assert pair.a.mean().item() == pytest.approx(0.5, abs=1e-3)


def test_noise_is_clipped_and_spares_the_photograph():
    synthesizer = paper(noise=0.3)
    sharp = (photos(24) < 0.5).float()
    draw = synthesizer.draw(torch.arange(24), generator())
    clean, noisy = paper()(sharp, draw), synthesizer(sharp, draw)
    for source in (noisy.a, noisy.b):
        assert source.min() == 0
        assert source.max() == 1
    assert torch.equal(noisy.sharp, sharp)
    assert torch.equal(noisy.alpha, clean.alpha)
    assert not torch.equal(noisy.a, clean.a)


@pytest.mark.parametrize("damage", [{"noise": 0.1}, {"jpeg": [20, 40]}, {"rounded": True}, {"shift": 1.0}], ids=str)
def test_a_pair_keeps_its_sources_as_they_were(damage):
    """Before they moved apart and what happened in the camera, not before the lens."""
    damaged, plain = paper(**{"shift": 1.0, **damage}, softness=1.0), paper(softness=1.0)
    sharp = photos(6)
    draw = damaged.draw(torch.arange(6), generator())
    pair, expected = damaged(sharp, draw), plain(sharp, draw)
    assert torch.equal(pair.pristine[0], expected.a)
    assert torch.equal(pair.pristine[1], expected.b)
    assert not torch.equal(pair.a, expected.a)
    assert not torch.equal(pair.b, expected.b)
    assert expected.pristine_a is None
    assert expected.pristine[1] is expected.b


def test_noise_repeats_by_seed():
    synthesizer = paper(noise=0.1)
    sharp = photos(6)
    draw = synthesizer.draw(torch.arange(6), generator())
    torch.manual_seed(1)
    first = synthesizer(sharp, draw)
    torch.manual_seed(2)
    again = synthesizer(sharp, draw)
    other = synthesizer(sharp, draw._replace(seed=draw.seed + 1))
    assert torch.equal(first.a, again.a)
    assert torch.equal(first.b, again.b)
    assert not torch.equal(first.a, other.a)


@pytest.mark.parametrize(("height", "width"), [(16, 40), (40, 16), (17, 24)], ids=str)
def test_rectangular_photos_take_the_centre_of_the_template(height, width):
    synthesizer = paper(exchange=False)
    sharp = photos(24, 3, height, width)
    pair = synthesizer(sharp, synthesizer.draw(torch.arange(24), generator()))
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    for n, alpha in enumerate(pair.alpha[:, 0]):
        whole = paper_templates(side)[n // 4, 0]
        assert torch.equal(alpha, whole[top : top + height, left : left + width])
    assert torch.equal(blend(pair.a, pair.b, pair.alpha), sharp)


def test_rectangular_photos_keep_the_areas():
    synthesizer = paper(exchange=False)
    pair = synthesizer(photos(6, 1, 20, 40), synthesizer.draw(4 * torch.arange(6), generator()))
    left, top, main, anti, _, corner = pair.alpha.mean((1, 2, 3)).tolist()
    assert (left, top, corner) == (0.5, 0.5, 0.25)
    assert main == pytest.approx(0.5, abs=0.03)
    assert anti == pytest.approx(0.5, abs=0.03)


def test_rectangular_blobs():
    synthesizer = drawn()
    draw = synthesizer.draw(torch.arange(12), generator())
    pair = synthesizer(photos(12, 1, 24, 36), draw)
    assert pair.alpha.shape == (12, 1, 24, 36)
    assert torch.equal(blend(pair.a, pair.b, pair.alpha), pair.sharp)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_the_accelerator():
    synthesizer = paper()
    sharp = photos(24, 3)
    draw = synthesizer.draw(torch.arange(24), generator())
    pairs = synthesizer(sharp, draw), synthesizer(sharp.cuda(), draw.to("cuda"))
    for here, moved in zip(*(pair.tensors().values() for pair in pairs), strict=True):
        assert moved.is_cuda
        torch.testing.assert_close(moved.cpu(), here, rtol=0, atol=2e-3)  # TF32


@pytest.mark.parametrize("build", [paper, drawn])
def test_applying_a_draw_waits_for_no_value(build, scalar_reads):
    synthesizer = build(noise=0.02, edge=0.5, boundary="spread")
    sharp, draw = photos(5), synthesizer.draw(torch.arange(5), generator())
    with scalar_reads:
        synthesizer(sharp, draw)
        assert scalar_reads.count == 0
        float(sharp[0, 0, 0, 0])
        assert scalar_reads.count == 1
