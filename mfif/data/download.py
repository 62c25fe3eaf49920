"""Fetch the public data sets from their public addresses, verified and resumable: ``python -m mfif.data.download``."""

import argparse
import json
import logging
import os
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote, urlsplit

from rich.console import Console
from rich.progress import DownloadColumn, Progress

from mfif.data.remote import DownloadError, RemoteFile, disk_error, fetch, require_space
from mfif.errors import suggest

if sys.platform != "win32":
    import fcntl

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RemoteDataset:
    """A data set: its files, the licence its authors state and the paper to cite."""

    name: str
    licence: str
    citation: str
    files: tuple[RemoteFile, ...]


def sources() -> dict[str, RemoteDataset]:
    """Load the data sets this package knows, from ``sources.json``.

    Returns:
        The data sets by name.

    Example:
        >>> len(sources()["lytro"].files)
        40
    """
    facts = json.loads(files("mfif.data").joinpath("sources.json").read_text(encoding="utf-8"))
    found = {}
    for name, fact in facts.items():
        rows = tuple(RemoteFile(row["name"], row["url"], row["sha256"], row["bytes"]) for row in fact["files"])
        found[name] = RemoteDataset(name, fact["licence"], fact["citation"], rows)
    return found


def fetch_dataset(name: str, root: str | Path, *, mirror: str | None = None) -> Path:
    """Fetch every file of a data set into ``root/name``, skip what is there, and unpack a zip archive.

    A second process that asks for the same folder waits for the first. An archive may be deleted once unpacked: a
    folder of its name is taken as it is.

    Args:
        name: A name from `sources`.
        root: Folder that holds one folder per data set.
        mirror: Address to fetch from instead of the public ones: ``MIRROR/NAME/FILE``.

    Returns:
        Folder of the pictures: ``root/name``, or ``root/name/ARCHIVE`` where they came in ``ARCHIVE.zip``.

    Raises:
        DownloadError: The name is unknown, or a file cannot be had, is not the expected one, or does not fit the disk.
    """
    dataset = _known(name)
    directory = folder = Path(root) / name
    done = 0
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with _alone(directory), _progress_line(dataset) as show:
            for file in dataset.files:
                located = replace(file, url=_mirrored(mirror, name, file.name)) if mirror else file
                if not file.name.endswith(".zip"):
                    fetch(located, directory, partial(show, done))
                else:
                    folder = directory / file.name.removesuffix(".zip")
                    if not folder.is_dir():
                        _unpack(fetch(located, directory, partial(show, done)), folder)
                done += file.size
    except OSError as error:
        raise disk_error(error, directory, name, 0) from error
    return folder


def _known(name: str) -> RemoteDataset:
    known = sources()
    if name not in known:
        raise DownloadError(
            f"Expected a data set among {', '.join(known)}, got {name!r}.{suggest(name.lower(), known)}"
        )
    return known[name]


def _mirrored(mirror: str, dataset: str, file: str) -> str:
    if urlsplit(mirror).scheme not in ("http", "https", "file"):
        raise DownloadError(f"Expected the mirror to be an http://, https:// or file:// address, got '{mirror}'.")
    return f"{mirror.rstrip('/')}/{dataset}/{quote(file)}"


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack beside `folder` and rename when it is whole; drops the archive's own top folder."""
    staging = folder.with_name(f"{folder.name}.unpacking")
    shutil.rmtree(staging, ignore_errors=True)  # of a killed run
    needed = 0
    try:
        with zipfile.ZipFile(archive) as bundle:
            needed = sum(member.file_size for member in bundle.infolist())
            require_space(archive.parent, needed)
            _log.info("%s: unpacking", archive.name)
            bundle.extractall(staging)
        inner = staging / folder.name
        (inner if inner.is_dir() else staging).replace(folder)
    except OSError as error:
        raise disk_error(error, folder.parent, archive.name, needed) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Wait for other processes at work in `directory`; goes on without where folders cannot be locked."""
    if sys.platform == "win32":
        yield
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        with suppress(OSError):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _log.info("%s: another process is fetching into it, waiting", directory)
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def _progress_line(dataset: RemoteDataset) -> Iterator[Callable[[int, int], None]]:
    """Show bytes done before and within the current file: a bar on a terminal, else a log line per quarter."""
    console = Console(stderr=True)
    total = sum(file.size for file in dataset.files)
    bar = Progress(*Progress.get_default_columns(), DownloadColumn(), console=console, disable=not console.is_terminal)
    task = bar.add_task(dataset.name, total=total)
    quarters = 0

    def show(before: int, held: int) -> None:
        nonlocal quarters
        bar.update(task, completed=before + held)
        if not console.is_terminal and (before + held) * 4 // total > quarters:
            quarters = (before + held) * 4 // total
            _log.info("%s: %d %% of %.1f MB", dataset.name, 25 * quarters, total / 1e6)

    with bar:
        yield show


class _StderrHandler(logging.Handler):
    """Writes to what `sys.stderr` is at the time: a progress bar takes it over and lifts the lines above itself."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        sys.stderr.write(f"{self.format(record)}\n")


def _parser() -> argparse.ArgumentParser:
    rows = (
        f"  {s.name:12} {sum(file.size for file in s.files) / 1e6:8,.1f} MB  {s.licence}" for s in sources().values()
    )
    parser = argparse.ArgumentParser(
        prog="python -m mfif.data.download",
        description="Fetch public data sets into ROOT/NAME, each file verified by size and sha256. A run that was cut "
        "off continues where it was; what is there already is not fetched again.",
        epilog="data sets:\n" + "\n".join(rows) + "\n\nA DIV2K set is unpacked and needs twice its size.\n"
        "Exit status: 0 fetched, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C.\n\nexamples:\n"
        "  python -m mfif.data.download lytro grayscale\n"
        "  python -m mfif.data.download div2k_valid --root /scratch/data --mirror http://files.example.org/mfif",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help="data sets to fetch, from the list below")
    parser.add_argument(
        "--root", default="data", help="folder that holds one folder per data set (default: %(default)s)"
    )
    parser.add_argument("--mirror", metavar="URL", help="fetch from URL/NAME/FILE instead of the public addresses")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Fetch the named data sets from the command line.

    Args:
        argv: Arguments; those of the process where not given.

    Returns:
        Exit status: 0 all there, 1 something could not be fetched, 130 stopped by Ctrl-C. Wrong usage exits with 2.
    """
    parser = _parser()
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[_StderrHandler()])
    try:
        wanted = [_known(name) for name in args.names]
    except DownloadError as error:
        parser.error(str(error))
    try:
        for dataset in wanted:
            folder = fetch_dataset(dataset.name, args.root, mirror=args.mirror)
            sys.stdout.write(
                f"{dataset.name} is in {folder}. Licence: {dataset.licence}. Please cite: {dataset.citation}.\n"
            )
    except DownloadError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Stopped. What was fetched stays; run the same command again to continue.\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
