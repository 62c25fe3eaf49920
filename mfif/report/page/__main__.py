"""The page of a finished evaluation made anew: ``python -m mfif.report.page FOLDER``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mfif.errors import InputError
from mfif.report.page.assembly import LARGEST_PAGE, rewrite_page


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the page from the command line.

    Args:
        arguments: Those of the process where not given.

    Returns:
        Exit status: 0 made, 1 could not be made. Wrong usage exits with 2.
    """
    parser = argparse.ArgumentParser(
        prog="python -m mfif.report.page", description="Make report.html of a finished evaluation anew."
    )
    parser.add_argument("folder", type=Path, help="of the evaluation: runs/evaluate/TIME")
    parser.add_argument(
        "--megabytes", type=float, default=LARGEST_PAGE / 1e6, help="largest size of the page (default: %(default)g)"
    )
    given = parser.parse_args(arguments)
    try:
        rewrite_page(given.folder, int(given.megabytes * 1e6))
    except InputError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"{given.folder / 'report.html'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
