"""What ``--help`` of an entry point says, read from the configuration files without composing them."""

import re
import textwrap
from pathlib import Path
from string import Template

from omegaconf import OmegaConf

_DEFAULT = re.compile(r"  - (?:override )?/?(?P<group>[\w/]+): (?P<option>\w+)(?: # (?P<meaning>.*))?")

_OF_HYDRA = {"hydra/launcher": "how the jobs of -m are started, if not one after the other"}  # with options of ours


def help_text(folder: Path, config_name: str) -> str:
    """The help of an entry point.

    Hydra's own composes a configuration and copies it once for each option, which takes seconds.

    Args:
        folder: The configurations.
        config_name: The root one. Its ``hydra.help.template`` is the text; ``$APP_CONFIG_GROUPS`` in it stands for the
            groups, each with the comment of its line in the defaults, and its options.

    Returns:
        The text.
    """
    root = folder / f"{config_name}.yaml"
    template = OmegaConf.load(root).hydra.help.template
    found = map(_DEFAULT.fullmatch, root.read_text().splitlines())
    groups = [_describe(folder, **match.groupdict()) for match in found if match]
    groups += [_describe(folder, group, "basic", meaning) for group, meaning in _OF_HYDRA.items()]
    return Template(template).substitute(APP_CONFIG_GROUPS="\n".join(groups))


def _describe(folder: Path, group: str, option: str, meaning: str | None) -> str:
    options = sorted(path.stem for path in (folder / group).glob("*.yaml"))
    listed = textwrap.fill(", ".join(f"{name}*" if name == option else name for name in options), width=92)
    return f"  {group:<16}{meaning or ''}\n{textwrap.indent(listed, ' ' * 18)}"
