"""--help and completion name what there is, and every command they show works."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob

from mfif.config import CONFIG_DIR, register_schemas
from mfif.entry import run_entry_point
from mfif.help import help_text

ENTRIES = ["train", "evaluate"]
NOT_CONFIGURATION = {"-m", "--cfg", "job"}


def run(root: Path, *words: str, **variables: str) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=root, env=environment)
    return done.stdout


@pytest.mark.parametrize("entry", ENTRIES)
def test_help_names_every_group_and_option(entry: str) -> None:
    """What Hydra knows of the groups is what the help says of them."""
    register_schemas()
    described = help_text(CONFIG_DIR, entry).partition("Groups and their options")[2]
    with hydra.initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        choices = hydra.compose(entry, return_hydra_config=True).hydra.runtime.choices
        groups = {str(group): choice for group, choice in choices.items() if not str(group).startswith("hydra/")}
        options = {group: loader.get_group_options(group) for group in groups}
    assert len(groups) > 4
    for group, choice in groups.items():
        found = re.search(rf"^  {group} +(.*)\n((?: {{18}}.*\n)*)", described, re.M)
        assert found, group
        assert found[1].strip(), f"the line of {group} in the defaults has no comment"
        listed = found[2].replace(",", " ").split()
        assert [name.rstrip("*") for name in listed] == sorted(options[group])
        assert [name.rstrip("*") for name in listed if name.endswith("*")] == [choice] * (choice is not None)


def test_every_group_is_in_one_of_the_helps() -> None:
    described = "".join(help_text(CONFIG_DIR, entry) for entry in ENTRIES)
    groups = {str(path.parent.relative_to(CONFIG_DIR)) for path in CONFIG_DIR.rglob("*/*.yaml")}
    assert {group for group in groups if not re.search(rf"^  {group} ", described, re.M)} == set()


def commands() -> list[tuple[str, str]]:
    lines = [(entry, line.strip()) for entry in ENTRIES for line in help_text(CONFIG_DIR, entry).splitlines()]
    shown = [(entry, line.split("   ")[0]) for entry, line in lines if line.startswith(f"python {entry}.py ")]
    assert len(shown) > 10
    return shown


@pytest.mark.parametrize(("entry", "command"), commands())
def test_every_command_shown_composes(entry: str, command: str) -> None:
    register_schemas()
    words = [word for word in shlex.split(command)[2:] if word not in NOT_CONFIGURATION]
    with hydra.initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        for override in OverridesParser.create(loader).parse_overrides(words):
            if override.is_sweep_override():
                assert "-m" in command
                swept = override.value()
                values = (
                    swept.filter(loader.get_group_options(override.key_or_group))
                    if isinstance(swept, Glob)
                    else list(override.sweep_string_iterator())
                )
                words[words.index(str(override.input_line))] = f"{override.key_or_group}={values[-1]}"
        assert hydra.compose(entry, words)


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_answers_without_the_heavy_libraries(
    flag: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], root: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", "experiment=quick", flag])
    assert run_entry_point(lambda: pytest.fail("started"), "train") == 0
    assert capsys.readouterr().out == help_text(CONFIG_DIR, "train") + "\n"
    script = (
        "import runpy, sys; sys.argv = ['train.py', '--help']\ntry: runpy.run_path('train.py', run_name='__main__')\n"
    )
    script += "except SystemExit: print(sorted({'torch', 'lightning', 'kornia', 'wandb', 'PIL'} & sys.modules.keys()))"
    assert run(root, sys.executable, "-c", script).splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("python train.py experiment=", {f"experiment={name.stem}" for name in (CONFIG_DIR / "experiment").iterdir()}),
        ("python train.py experiment=quick debug=o", {"debug=overfit"}),
        ("python train.py network.wid", {"network.width="}),
        ("python evaluate.py refine=s", {"refine=small_regions"}),
    ],
)
def test_bash_completes(root: Path, line: str, words: set[str]) -> None:
    entry = line.split()[1]
    said = run(root, sys.executable, entry, "-sc", "query=bash", COMP_LINE=line, COMP_POINT=str(len(line)))
    assert set(said.split()) == words


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_line_that_installs_completion_works(root: Path, entry: str) -> None:
    (line,) = re.findall(r"in bash: (.*)", help_text(CONFIG_DIR, entry))
    folder = Path(sys.executable).parent
    said = run(root, "bash", "-c", f"{line}; complete -p python", PATH=f"{folder}:{os.environ['PATH']}")
    assert "hydra_bash_completion" in said
