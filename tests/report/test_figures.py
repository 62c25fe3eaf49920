from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mfif.errors import InputError
from mfif.images import write_image
from mfif.models import TwoStream
from mfif.report.figures import draw_crops, draw_differences, draw_stages, main, stage_maps

NAMES = ["A1", "C1", "D1", "A2", "C2", "D2", "E", "F", "G", "alpha"]


@pytest.fixture
def sources() -> tuple[torch.Tensor, torch.Tensor]:
    first, second = torch.rand(2, 1, 1, 10, 12, generator=torch.Generator().manual_seed(0))
    return first, second


def network(**arguments: object) -> TwoStream:
    torch.manual_seed(0)
    return TwoStream(width=4, **arguments).eval()  # type: ignore[arg-type]


def titled(figure: object) -> dict[str, object]:
    return {axis.get_title(): axis for axis in figure.axes if axis.get_title()}  # type: ignore[attr-defined]


def drawn(axis: object) -> np.ndarray:
    (image,) = axis.get_images()  # type: ignore[attr-defined]
    return np.asarray(image.get_array())


@pytest.mark.parametrize("arguments", [{}, {"shared_streams": False}, {"antisymmetric": True}])
def test_stages_are_those_of_the_forward_pass(
    sources: tuple[torch.Tensor, torch.Tensor], arguments: dict[str, object]
) -> None:
    """Alpha follows from the maps that were found on the way."""
    a, b = sources
    net = network(**arguments)
    maps = stage_maps(net, a, b)
    assert list(maps) == NAMES
    assert all(image.shape == (10, 12) for image in maps.values())
    with torch.inference_mode():
        (c1, d1), (c2, d2) = net.features(a, b)
        e = net.e(d1 + d2).relu()
        f = net.f(torch.cat([a + b, e], dim=1)).relu()
        g = net.g(torch.cat([c1, d1, f, c2, d2], dim=1)).relu()
        for name, features in {"C1": c1, "D1": d1, "E": e, "F": f, "G": g}.items():
            spreads = features[0].flatten(1).std(dim=1)
            assert torch.allclose(maps[name], features[0, spreads.argmax()], atol=1e-6), name
        assert torch.allclose(maps["C2"], c2[0, c1[0].flatten(1).std(dim=1).argmax()], atol=1e-6)
        assert torch.equal(maps["alpha"], net(a, b)[0, 0])
    assert torch.equal(maps["A1"], a[0, 0])
    assert torch.equal(maps["A2"], b[0, 0])


def test_stages_of_other_networks(sources: tuple[torch.Tensor, torch.Tensor]) -> None:
    early = stage_maps(network(early_fusion=True), *sources)
    assert list(early) == [name for name in NAMES if name not in ("C2", "D2")]
    deep = stage_maps(network(depth=3), *sources)
    assert len(deep) == len(NAMES) + 2
    assert {"block 3 of 1", "block 3 of 2"} < set(deep)


def test_figure_of_stages(sources: tuple[torch.Tensor, torch.Tensor]) -> None:
    maps = stage_maps(network(), *sources)
    axes = titled(draw_stages(maps))
    assert list(axes) == NAMES
    for name, image in maps.items():
        assert np.array_equal(drawn(axes[name]), image.numpy())
    assert axes["alpha"].get_images()[0].get_clim() == (0, 1)  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_crops_are_the_regions_they_frame(kind: type, channels: tuple[int, ...]) -> None:
    white = np.iinfo(kind).max
    images = {
        name: np.random.default_rng(seed).integers(0, white, (20, 30, *channels)).astype(kind)
        for seed, name in enumerate("xy")
    }
    figure = draw_crops(images, (4, 7, 9))
    whole, magnified = figure.axes[:2], figure.axes[2:]
    for axis, crop, (name, pixels) in zip(whole, magnified, images.items(), strict=True):
        assert axis.get_title() == name
        assert np.allclose(drawn(axis), pixels / white)
        assert np.allclose(drawn(crop), pixels[7:16, 4:13] / white)
        assert crop.get_images()[0].get_clim() == (0, 1)
        (frame,) = axis.patches
        assert (*frame.get_xy(), frame.get_width(), frame.get_height()) == (3.5, 6.5, 9, 9)


@pytest.mark.parametrize("crop", [(-1, 0, 5), (0, -1, 5), (26, 0, 5), (0, 16, 5), (0, 0, 0)])
def test_crops_lie_within(crop: tuple[int, int, int]) -> None:
    with pytest.raises(InputError, match="30x20"):
        draw_crops({"x": np.zeros((20, 30), np.uint8)}, crop)


@pytest.mark.parametrize("gain", [1.0, 3.0])
def test_differences_are_those_of_the_formula(gain: float) -> None:
    source, fused = np.random.default_rng(0).integers(0, 256, (2, 8, 9, 3)).astype(np.uint8)
    axes = titled(draw_differences({"m": fused, "same": source}, source, gain))
    expected = (0.5 + gain * (fused / 255 - source / 255) / 2).clip(0, 1)
    assert np.allclose(drawn(axes["m"]), expected, atol=1e-6)
    assert (drawn(axes["same"]) == 0.5).all()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("x/p-A.png", "x/p-B.png", "x/gf/p-fused.png", "x/bf/p-fused.png"):
        write_image(tmp_path / name, rng.integers(0, 256, (20, 24, 3)).astype(np.uint8))
    state = {f"network.{key}": value for key, value in network().state_dict().items()}
    node = {"network": {"_target_": "mfif.models.TwoStream", "width": 4}}
    torch.save({"state_dict": state, "hyper_parameters": {"configuration": node}}, tmp_path / "net.ckpt")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "columns"),
    [
        ("stages FOLDER/net.ckpt FOLDER/x/p-A.png FOLDER/x/p-B.png", 4),
        ("crops FOLDER x p --crop 2 3 8", 4),
        ("crops FOLDER x p --methods gf --crop 2 3 8", 3),
        ("differences FOLDER x p --gain 4", 2),
    ],
)
def test_from_the_command_line(folder: Path, words: str, columns: int) -> None:
    output = folder / "figures" / "figure"
    assert main([*words.replace("FOLDER", str(folder)).split(), "--output", str(output)]) == 0
    picture = Image.open(f"{output}.png")
    rows = {"stages": 3, "crops": 2, "differences": 1}[words.split()[0]]
    assert picture.width / picture.height == pytest.approx(columns / rows, rel=0.25)
    assert Path(f"{output}.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("crops FOLDER x q --crop 0 0 5", "There is no image at"),
        ("differences FOLDER x p --methods none", "There is no image at"),
        ("crops FOLDER x p --crop 20 0 8", "24x20"),
        ("stages FOLDER/x/p-A.png FOLDER/x/p-A.png FOLDER/x/p-B.png", "checkpoint"),
    ],
)
def test_mistakes_are_worded(folder: Path, words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words.replace("FOLDER", str(folder)).split(), "--output", str(folder / "figure")]) == 1
    assert said in capsys.readouterr().err
    assert not list(folder.glob("figure*"))
