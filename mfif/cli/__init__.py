"""The command line, for people who want to fuse photographs: `mfif --help`."""

import argparse
import os
import sys
from collections.abc import Sequence

from mfif import __version__
from mfif.cli import checkpoints, fuse, methods
from mfif.errors import InputError

_DESCRIPTION = """\
Fuse photographs of one scene, each focused elsewhere, into one that is sharp everywhere.

  mfif fuse near.jpg far.jpg -o fused.png          two photographs
  mfif fuse stack/*.tif -o fused.tif --align       a focus stack, aligned first
  mfif fuse shoots/ -o fused/                      a folder of pairs or of stacks
  mfif methods                                     what can fuse them
  mfif info best.ckpt                              what a trained network is
  mfif export best.ckpt --onnx network.onnx        take it elsewhere

`mfif COMMAND --help` says more. Networks are trained by train.py.
"""
_NO_MEMORY = (
    "Not enough memory. Take .tif files for input and output, a smaller --tile, "
    "or a method that works in tiles (not bf or im)."
)
_STATUS = "Exit status: 0 done, 1 something could not be done, 2 wrong usage, 130 interrupted."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: The words after ``mfif``; None takes them from the process.

    Returns:
        Exit status: 0 for success, 1 for what could not be done, 2 for wrong usage, 130 for an interruption.
    """
    try:
        options = _parser().parse_args(arguments)
    except SystemExit as end:  # argparse has printed the help, or what is wrong
        return int(end.code or 0)
    try:
        status: int = options.run(options)
    except BrokenPipeError:  # whoever read the output has enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except MemoryError:
        print(f"error: {_NO_MEMORY}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted. No half file is left, and a batch goes on where it stopped.", file=sys.stderr)
        return 130
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mfif",
        description=_DESCRIPTION,
        epilog=_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"mfif {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in (fuse, methods, checkpoints):
        command.add_to(commands)
    return parser
