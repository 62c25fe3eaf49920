"""Files that are written whole or not at all."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mfif.errors import InputError

FULL_DISK = frozenset({errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)})
"""What the operating system says when there is no room: disk full, file too large, quota used up."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path` to write to, and rename it to `path` once the block has succeeded.

    Args:
        path: Where the file shall be; its folder is made.

    Yields:
        A name with the suffix of `path`, in the same folder. It is removed when the block fails.

    Raises:
        InputError: The disk has no room, or the folder cannot be written to.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        with suppress(OSError):  # gone already, or never to be made
            temporary.unlink()


def write_error(path: Path, error: OSError) -> InputError:
    """Word an operating-system error met while writing `path`."""
    if error.errno in FULL_DISK:
        return InputError(f"No room left on the disk for {path}. Free some or choose another output folder.")
    return InputError(f"Could not write {path}: {error.strerror or error}. Check the folder and its permissions.")
