"""The command line as a whole: help, usage, exit status."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mfif import __version__
from mfif.cli import main


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--help"], ["mfif fuse near.jpg far.jpg -o fused.png", "methods", "info", "export", "130 interrupted"]),
        (["fuse", "--help"], ["mfif fuse stack/*.tif", "beetle-A.jpg", "--align", "--on-error", "--max-pixels"]),
        (["methods", "--help"], ["--method"]),
        (["info", "--help"], ["CKPT"]),
        (["export", "--help"], ["--onnx FILE", "--torch-export FILE"]),
        (["--version"], [f"mfif {__version__}"]),
    ],
)
def test_help_teaches(words: list[str], parts: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    out = capsys.readouterr().out
    assert all(part in out for part in parts)


@pytest.mark.parametrize(
    "words", [[], ["fuze"], ["fuse"], ["fuse", "a.png", "b.png"], ["fuse", "a.png", "-o", "b.png", "--on-error", "x"]]
)
def test_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert "usage: mfif" in capsys.readouterr().err


def test_help_waits_for_nothing_heavy(root: Path) -> None:
    code = "import sys; from mfif.cli import main; main(['--help']); print(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "mfif.cli.fuse" in loaded
    assert not {"torch", "numpy", "PIL", "hydra", "matplotlib", "cv2"} & loaded


def test_methods(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert {"default", "laplacian", "mean", "FILE.ckpt"} <= set(lines)
    assert "checkpoint" not in lines
    assert lines["mean"].startswith("The average of both")
    assert all(meaning.endswith(".") for meaning in lines.values())
