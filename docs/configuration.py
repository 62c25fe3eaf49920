"""Write docs/configuration.md, the table of all groups and options, from the comments in conf/: `make docs`."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
CONF = ROOT / "conf"
PAGE = ROOT / "docs" / "configuration.md"
HEAD = """\
# The configuration

Each group swaps one idea: `python train.py GROUP=OPTION`. What an option sets can be changed beside it:
`kernel=disc kernel.radius=[2,6]`. `-m` runs several: `-m kernel=paper,gaussian,disc`, or all of a group:
`-m 'ablation=glob(*)'`. In **bold** what is taken where nothing is said. Written by `make docs` from `conf/`.
"""


def chosen(root: str) -> dict[str, tuple[str, str]]:
    """Groups of a root configuration in its order, each with its default and what it is for."""
    lines = re.findall(r"^  - ([\w/]+): (\w+)(?: # (.*))?$", (CONF / f"{root}.yaml").read_text(), re.MULTILINE)
    return {group: (default, purpose) for group, default, purpose in lines}


def options(group: str) -> dict[str, str]:
    """Options of a group and what each says it is: its first line, or the sentence that begins there.

    Raises:
        ValueError: A file does not begin by saying what it is.
    """
    found = {}
    for path in sorted((CONF / group).glob("*.yaml")):
        comment = re.match(r"(?:# @package.*\n)?((?:# (?!@package).+\n)+)", path.read_text())
        if comment is None:
            raise ValueError(f"Expected {path.relative_to(ROOT)} to begin with a comment that says what it is.")
        first, *rest = re.findall(r"^# (.+)$", comment[1], re.MULTILINE)
        words = first if first.endswith(".") else re.split(r"(?<=\.) (?=[A-Z])", " ".join([first, *rest]))[0]
        found[path.stem] = words.replace("|", "\\|")
    return found


def table(groups: dict[str, tuple[str, str]]) -> str:
    """Markdown table of groups and their options."""
    rows = ["| group | option | what it is |", "|---|---|---|"]
    for group, (default, purpose) in groups.items():
        rows.append(f"| **{group}** | | {f'*{purpose}*' if purpose else ''} |")
        rows += [
            f"| | {f'**`{name}`**' if name == default else f'`{name}`'} | {line} |"
            for name, line in options(group).items()
        ]
    return "\n".join(rows) + "\n"


def render() -> str:
    """The whole page."""
    train, evaluate = chosen("train"), chosen("evaluate")
    named = {str(path.parent.relative_to(CONF)) for path in CONF.rglob("*/*.yaml")}
    others = dict.fromkeys(sorted(named - train.keys() - evaluate.keys()), ("null", ""))
    sections = {"`python train.py`": train, "`python evaluate.py`": evaluate, "Others": others}
    return "\n".join([HEAD, *(f"## {title}\n\n{table(groups)}" for title, groups in sections.items() if groups)])


if __name__ == "__main__":
    PAGE.write_text(render())
