import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def page(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("configuration", root / "docs" / "configuration.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(page: ModuleType) -> None:
    assert page.PAGE.read_text() == page.render(), "conf/ has changed: run `make docs`"


def test_every_option_is_in_the_page(page: ModuleType) -> None:
    files = list(page.CONF.rglob("*/*.yaml"))
    assert len(files) > 60
    for path in files:
        assert f"`{path.stem}`" in page.render()
        assert f"**{path.parent.relative_to(page.CONF)}**" in page.render()


def test_defaults_are_marked(page: ModuleType) -> None:
    rows = page.render().splitlines()
    assert any(row.startswith("| | **`paper`** | The four of the paper") for row in rows)
    assert any(row.startswith("| | `disc` | Disc of a radius") for row in rows)
    assert page.render().count("| | **`l1`**") == 1
    assert "| | **`checkpoint`**" in page.render()


def fake(page: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A configuration of one option."""
    (folder / "kernel").mkdir()
    (folder / "kernel" / "box.yaml").write_text(text)
    monkeypatch.setattr(page, "CONF", folder)
    monkeypatch.setattr(page, "ROOT", folder)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# A box.\nsize: 3\n", "A box."),
        ("# @package _global_\n# A box. Or two.\n# More.\nsize: 3\n", "A box. Or two."),
        (
            "# A box of which it takes\n# a line more to tell. And more.\nsize: 3\n",
            "A box of which it takes a line more to tell.",
        ),
        ("# A box: kernel=box kernel.size=3\nsize: 3\n# Not this.\n", "A box: kernel=box kernel.size=3"),
        ("# A box | a cube.\n", "A box \\| a cube."),
    ],
)
def test_the_first_line_or_its_sentence(
    page: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, words: str
) -> None:
    fake(page, tmp_path, monkeypatch, text)
    assert page.options("kernel") == {"box": words}


@pytest.mark.parametrize("text", ["# @package _global_\nsize: 3\n", "size: 3 # a box\n", ""])
def test_a_file_without_its_line_is_named(
    page: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    fake(page, tmp_path, monkeypatch, text)
    with pytest.raises(ValueError, match=r"kernel/box\.yaml to begin with a comment"):
        page.options("kernel")
