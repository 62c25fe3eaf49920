"""Fetch one file from a public address: resumed where it was cut off, and verified before it gets its name."""

import errno
import hashlib
import http.client
import logging
import os
import re
import shutil
import ssl
import time
import urllib.error
from collections.abc import Callable
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from urllib.request import Request, urlopen

from mfif.errors import InputError

_log = logging.getLogger(__name__)
_CHUNK = 1 << 18
_TIMEOUT = 30.0  # seconds of silence after which a connection counts as lost
_ATTEMPTS = 5  # tries in a row before giving up; one that gained bytes starts the count again
_BACKOFF = 1.0  # seconds before the first retry; doubles with each failure in a row, up to 30


class DownloadError(InputError):
    """A data set could not be fetched; the message says what was expected, what came and what to do."""


class _Interrupted(Exception):  # noqa: N818
    """The network failed in a way that may pass."""


@dataclass(frozen=True)
class RemoteFile:
    """A file at a public address and the facts that prove it arrived whole: `size` in bytes, `sha256` in hex."""

    name: str
    url: str
    sha256: str
    size: int


def fetch(file: RemoteFile, directory: Path, progress: Callable[[int], None] = lambda held: None) -> Path:
    """Download one file into `directory`, continuing from ``NAME.part``, and verify it before it gets its name.

    Args:
        file: What to fetch. Where it already lies with this size and checksum, nothing is requested.
        directory: Where to put it; made if missing. One process at a time (`mfif.data.download` sees to that).
        progress: Called with the number of bytes held so far.

    Returns:
        Path of the verified file.

    Raises:
        DownloadError: The file cannot be had, is not the expected one, or does not fit the disk.
    """
    target, part = directory / file.name, directory / f"{file.name}.part"
    try:
        if _difference(target, file):
            directory.mkdir(parents=True, exist_ok=True)
            if _size(part) > file.size:
                part.unlink()
            require_space(directory, file.size - _size(part))
            _download(file, part, progress)
            if difference := _difference(part, file):
                part.unlink(missing_ok=True)
                raise _wrong_file(file, f"{difference}; it was removed")
            part.replace(target)
    except OSError as error:
        raise disk_error(error, directory, file.name, file.size - _size(part)) from error
    progress(file.size)
    return target


def require_space(directory: Path, needed: int) -> None:
    """Raise the disk's own error now instead of after an hour, where `directory` has less than `needed` bytes left."""
    if shutil.disk_usage(directory).free < needed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def disk_error(error: OSError, directory: Path, name: str, needed: int) -> DownloadError:
    """Word what the disk said while `name` was put into `directory`, `needed` bytes of it being left to write."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return DownloadError(
            f"Expected to read and write {name} in {directory}, got: {error}. Check --root and rights."
        )
    free = shutil.disk_usage(next(path for path in (directory, *directory.parents) if path.exists())).free
    return DownloadError(
        f"Expected {needed:,} free bytes in {directory} for the rest of {name}, got {free:,}: free some space, or "
        "choose another --root, and run the same command again; what was fetched stays and is continued from."
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _difference(path: Path, file: RemoteFile) -> str:
    """Say what was expected of `path` and what it is; empty where it is the expected file."""
    if _size(path) != file.size:
        return f"{file.size:,} bytes, got {_size(path):,}"
    with path.open("rb") as stream:
        checksum = hashlib.file_digest(stream, "sha256").hexdigest()
    return "" if checksum == file.sha256 else f"sha256 {file.sha256}, got {checksum}"


def _wrong_file(file: RemoteFile, difference: str) -> DownloadError:
    return DownloadError(
        f"Expected {file.name} from {file.url} to have {difference}. Run the same command again; if it repeats, the "
        "address, or a proxy on the way, serves another file: use --mirror, or put the right file there by hand."
    )


def _download(file: RemoteFile, part: Path, progress: Callable[[int], None]) -> None:
    """Fill `part`, trying again after trouble that may pass."""
    best, failures = _size(part), 0
    while _size(part) < file.size:
        try:
            _receive(file, part, progress)
            return
        except _Interrupted as trouble:
            held = _size(part)
            failures = 1 if held > best else failures + 1
            best = max(best, held)
            if failures >= _ATTEMPTS:
                raise DownloadError(
                    f"Expected {file.size:,} bytes of {file.name} from {file.url}, got {held:,}, then: {trouble} "
                    f"(attempt {failures} of {_ATTEMPTS}). Check the connection and the proxy settings, or use "
                    "--mirror; run the same command again to continue from there."
                ) from trouble
            wait = min(_BACKOFF * 2 ** (failures - 1), 30.0)
            _log.info("%s: %s at byte %s; trying again in %g s", file.name, trouble, f"{held:,}", wait)
            time.sleep(wait)


def _receive(file: RemoteFile, part: Path, progress: Callable[[int], None]) -> None:
    """Append one answer of the server to `part`; start `part` again where the server sends the whole file."""
    with _open(file, part) as answer:
        partial_content = getattr(answer, "status", None) == http.client.PARTIAL_CONTENT
        total = answer.headers.get("Content-Length", "")
        if partial_content:
            span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
            if span is None or int(span[1]) != _size(part):
                part.unlink(missing_ok=True)
                raise _Interrupted("the server sent another range than asked for")
            total = span[2]
        if total.isdecimal() and int(total) != file.size:
            raise _wrong_file(file, f"{file.size:,} bytes, got an announcement of {int(total):,}")
        with part.open("ab" if partial_content else "wb", buffering=0) as stream:
            while stream.tell() <= file.size and (chunk := _read(answer)):
                _write(stream, chunk)
                progress(min(stream.tell(), file.size))
        if _size(part) < file.size and not getattr(answer, "chunked", False):
            raise _Interrupted("the connection closed")


def _open(file: RemoteFile, part: Path) -> http.client.HTTPResponse:
    """Ask for the bytes that `part` lacks; trouble that may pass becomes `_Interrupted`, any other `DownloadError`."""
    held = _size(part)
    request = Request(file.url, headers={"User-Agent": "mfif"} | ({"Range": f"bytes={held}-"} if held else {}))
    try:
        return urlopen(request, timeout=_TIMEOUT)  # type: ignore[no-any-return]
    except urllib.error.HTTPError as error:
        error.close()
        reason = f"HTTP status {error.code} ({error.reason})"
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and held:
            part.unlink()  # the next attempt asks for the whole file
            raise _Interrupted(reason) from error
        if error.code >= 500 or error.code in (http.client.REQUEST_TIMEOUT, http.client.TOO_MANY_REQUESTS):
            raise _Interrupted(reason) from error
    except (OSError, http.client.HTTPException) as error:
        cause = getattr(error, "reason", error)
        reason = str(cause) or type(cause).__name__
        if not isinstance(cause, ssl.SSLCertVerificationError | FileNotFoundError):
            raise _Interrupted(reason) from error
    raise DownloadError(
        f"Expected {file.name} at {file.url}, got {reason}. Check the address in a browser and the proxy settings; if "
        "the file moved, use --mirror, or put it there by hand."
    )


def _read(answer: http.client.HTTPResponse) -> bytes:
    try:
        return answer.read1(_CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(str(error) or type(error).__name__) from error


def _write(stream: FileIO, chunk: bytes) -> None:
    """Write all of `chunk`; an unbuffered file may take less than it was given."""
    while chunk:
        chunk = chunk[stream.write(chunk) :]
