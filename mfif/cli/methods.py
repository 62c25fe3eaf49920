"""`mfif methods`: what can fuse."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add_to(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to a parser."""
    command = commands.add_parser(
        "methods", help="list the methods", description="List the methods that --method of `mfif fuse` takes."
    )
    command.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from mfif.config import CONFIG_DIR
    from mfif.fusion.loading import method_names

    for name in method_names():
        lines = (CONFIG_DIR / "method" / f"{name}.yaml").read_text().splitlines()
        meaning = next(line for line in lines if line.startswith("# ") and not line.startswith("# @"))
        print(f"{name:<12}{meaning.removeprefix('# ')}")
    print(f"{'FILE.ckpt':<12}A network trained by train.py.")
    return 0
