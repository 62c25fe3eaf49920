"""What a run's folder tells about where it comes from."""

import json
import subprocess
from pathlib import Path

import hydra
import pytest
import torch
from omegaconf import DictConfig, OmegaConf

import mfif.training.provenance
from mfif.config import CONFIG_DIR, register_schemas
from mfif.training.provenance import write_provenance


@pytest.fixture
def config() -> DictConfig:
    register_schemas()
    with hydra.initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        return hydra.compose("train", ["experiment=quick", "output=/elsewhere", "seed=3", "resume=old"])


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=e@x"]
    done = subprocess.run(["git", "-C", str(folder), *identity, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that this code is said to be in."""
    folder = tmp_path / "checkout"
    (folder / "mfif").mkdir(parents=True)
    module = folder / "mfif" / "provenance.py"
    module.write_text("first\n")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    monkeypatch.setattr(mfif.training.provenance, "__file__", str(module))
    return folder


def test_what_is_written(config: DictConfig, checkout: Path, tmp_path: Path) -> None:
    (checkout / "mfif" / "provenance.py").write_text("second\n")
    (checkout / "new.py").write_text("untracked\n")
    write_provenance(config, tmp_path / "run")
    content = json.loads((tmp_path / "run" / "provenance.json").read_text())
    assert content["seed"] == 3
    assert content["config"] == OmegaConf.to_container(config, resolve=True)
    assert content["git"] == {
        "revision": git(checkout, "rev-parse", "HEAD"),
        "changed": ["mfif/provenance.py"],
        "untracked": ["new.py"],
    }
    assert content["machine"]["torch"] == torch.__version__
    assert f"torch=={torch.__version__}" in (tmp_path / "run" / "requirements.txt").read_text().splitlines()
    # The diff leads from the revision to what ran.
    git(checkout, "checkout", "-q", ".")
    git(checkout, "apply", str(tmp_path / "run" / "git.diff"))
    assert (checkout / "mfif" / "provenance.py").read_text() == "second\n"


def test_each_part_of_a_run_keeps_its_own(config: DictConfig, checkout: Path, tmp_path: Path) -> None:
    write_provenance(config, tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "config.yaml",
        "provenance.json",
        "requirements.txt",
    ]
    first = (tmp_path / "run" / "provenance.json").read_bytes()
    write_provenance(config, tmp_path / "run")
    assert (tmp_path / "run" / "provenance.json").read_bytes() == first
    assert (tmp_path / "run" / "provenance-2.json").is_file()


def test_a_checkout_of_something_else_is_not_named(config: DictConfig, checkout: Path, tmp_path: Path) -> None:
    git(checkout, "rm", "-q", "--cached", "mfif/provenance.py")
    write_provenance(config, tmp_path / "run")
    assert json.loads((tmp_path / "run" / "provenance.json").read_text())["git"] is None
    assert not (tmp_path / "run" / "git.diff").exists()


def test_the_configuration_composes_the_run_again(config: DictConfig, tmp_path: Path) -> None:
    write_provenance(config, tmp_path)
    with hydra.initialize_config_dir(str(tmp_path), version_base="1.3"):
        again = hydra.compose("config", ["output=/elsewhere"])
        reseeded = hydra.compose("config", ["output=/elsewhere", "seed=4"])
        with pytest.raises(hydra.errors.ConfigCompositionException):
            hydra.compose("config", ["sed=4"])
    expected = OmegaConf.to_container(config, resolve=True) | {"resume": None}  # a repetition starts anew
    assert OmegaConf.to_container(again, resolve=True) == expected
    assert reseeded.data.seed == 4  # what followed from a value still does
