"""What people see while they wait, and that nobody else sees it."""

import io
from pathlib import Path

import pytest

from mfif.cli import main
from mfif.cli.progress import shown


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def fuse(folder: Path) -> int:
    names = [str(folder / f"colour-{side}.png") for side in "AB"]
    return main(["fuse", *names, "-o", str(folder / "fused.png"), "--method", "laplacian"])


def test_on_a_terminal(pair_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    assert fuse(pair_folder) == 0
    said = terminal.getvalue()
    assert "fusing" in said
    assert "100%" in said
    assert said.rstrip().endswith("\x1b[2K")  # the line is taken away


def test_elsewhere_nothing(pair_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with shown() as progress:
        assert progress is None
    assert fuse(pair_folder) == 0
    assert capsys.readouterr().err == ""
