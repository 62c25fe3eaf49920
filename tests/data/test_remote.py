"""One file from a server on loopback that can be told to misbehave."""

import errno
import hashlib
import os
from dataclasses import replace
from random import Random

import pytest

from mfif.data import remote
from mfif.data.remote import DownloadError, fetch
from mfif.errors import InputError

BODY = Random(0).randbytes(1_000_000)
HALF = len(BODY) // 2


@pytest.mark.parametrize(
    "faults",
    [
        (),
        ("500", "500"),
        ("429",),
        ("silent",),
        ("drop",),
        ("drop", "drop", "silent", "503", "drop"),
        ("drop", "no range"),
        ("drop", "wrong range"),
        ("drop", "416"),
        ("no length",),
    ],
    ids=", ".join,
)
def test_file_arrives_whole_despite(site, tmp_path, faults):
    file = site.add("photo.png", BODY, *faults)
    path = fetch(file, tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "photo.png"
    assert path.read_bytes() == BODY
    assert os.listdir(path.parent) == ["photo.png"]
    assert site.faults["/photo.png"] == []


def test_stalled_connection_times_out_and_continues(site, tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "_TIMEOUT", 0.5)
    file = site.add("photo.png", BODY, "stall")
    assert fetch(file, tmp_path).read_bytes() == BODY
    assert len(site.requests) > 1


def test_resumes_from_the_part(site, tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "_ATTEMPTS", 1)
    file = site.add("photo.png", BODY, "drop")
    with pytest.raises(
        DownloadError, match=r"Expected 1,000,000 bytes of photo.png .* got 500,000.* continue from there"
    ):
        fetch(file, tmp_path)
    assert (tmp_path / "photo.png.part").read_bytes() == BODY[:HALF]
    held = []
    assert fetch(file, tmp_path, progress=held.append).read_bytes() == BODY
    assert site.requests == [None, f"bytes={HALF}-"]
    assert site.sent == len(BODY)
    assert held == sorted(held)
    assert held[0] > HALF
    assert held[-1] == len(BODY)


def test_present_file_costs_no_request_and_a_damaged_one_is_replaced(site, tmp_path):
    file = site.add("photo.png", BODY)
    (tmp_path / "photo.png").write_bytes(BODY)
    fetch(file, tmp_path)
    assert site.requests == []
    (tmp_path / "photo.png").write_bytes(BODY[::-1])
    assert fetch(file, tmp_path).read_bytes() == BODY


@pytest.mark.parametrize(("part", "asked"), [(BODY, []), (BODY + b"more", [None])], ids=["whole", "too long"])
def test_part_of_a_killed_run(site, tmp_path, part, asked):
    (tmp_path / "photo.png.part").write_bytes(part)
    assert fetch(site.add("photo.png", BODY), tmp_path).read_bytes() == BODY
    assert site.requests == asked


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (
            "wrong bytes",
            rf"sha256 {hashlib.sha256(BODY).hexdigest()}, got \w{{64}}; it was removed",
        ),
        ("short", "1,000,000 bytes, got an announcement of 999,990"),
        ("chunked short", "1,000,000 bytes, got 999,990; it was removed"),
        ("chunked long", "1,000,000 bytes, got 1,000,004; it was removed"),
        ("404", "HTTP status 404 .* use --mirror"),
        ("403", "HTTP status 403"),
    ],
)
def test_wrong_answer_is_refused_at_once(site, tmp_path, fault, words):
    file = site.add("photo.png", BODY, fault)
    with pytest.raises(DownloadError, match=words):
        fetch(file, tmp_path)
    assert os.listdir(tmp_path) == []
    assert len(site.requests) == 1
    assert fetch(file, tmp_path).read_bytes() == BODY


def test_part_that_the_server_cannot_continue_is_fetched_anew(site, tmp_path):
    (tmp_path / "photo.png.part").write_bytes(BODY[:HALF])
    assert fetch(site.add("photo.png", BODY, "416"), tmp_path).read_bytes() == BODY
    assert site.requests == [f"bytes={HALF}-", None]


def test_announced_wrong_size_leaves_the_part(site, tmp_path):
    (tmp_path / "photo.png.part").write_bytes(BODY[:HALF])
    with pytest.raises(DownloadError, match="announcement of 15"):
        fetch(replace(site.add("photo.png", b"<html> login </"), size=len(BODY)), tmp_path)
    assert (tmp_path / "photo.png.part").read_bytes() == BODY[:HALF]


def test_gives_up_after_the_attempts_that_gained_nothing(site, tmp_path):
    with pytest.raises(DownloadError, match=r"got 0, then: HTTP status 502.*attempt 5 of 5"):
        fetch(site.add("photo.png", BODY, *["502"] * 9), tmp_path)
    assert len(site.requests) == 5
    site.server_close()
    with pytest.raises(DownloadError, match="got 0, then: "):
        fetch(site.add("photo.png", BODY), tmp_path)


def test_backoff_doubles_and_restarts_after_a_gain(site, tmp_path, monkeypatch):
    waits = []
    monkeypatch.setattr(remote, "_BACKOFF", 1.0)
    monkeypatch.setattr(remote, "_ATTEMPTS", 9)
    monkeypatch.setattr(remote.time, "sleep", waits.append)
    fetch(site.add("photo.png", BODY, *["500"] * 6, "drop", "500"), tmp_path)
    assert waits == [1, 2, 4, 8, 16, 30, 1, 2]


def test_disk_too_small_is_said_before_any_request(site, tmp_path, monkeypatch):
    usage = remote.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(remote.shutil, "disk_usage", lambda path: usage._replace(free=1234))
    with pytest.raises(DownloadError, match=r"Expected 1,000,000 free bytes in .* got 1,234: free some space"):
        fetch(site.add("photo.png", BODY), tmp_path)
    assert site.requests == []


def test_disk_filling_up_keeps_what_was_written(site, tmp_path, monkeypatch):
    file = site.add("photo.png", BODY)
    write = remote._write

    def write_half(stream, chunk):
        room = max(HALF - stream.tell(), 0)
        write(stream, chunk[:room])
        if room < len(chunk):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(remote, "_write", write_half)
        with pytest.raises(DownloadError, match=r"Expected 500,000 free bytes in .* what was fetched stays"):
            fetch(file, tmp_path)
    assert fetch(file, tmp_path).read_bytes() == BODY
    assert site.requests == [None, f"bytes={HALF}-"]


def test_folder_that_cannot_be_made(site, tmp_path):
    (tmp_path / "data").write_bytes(b"a file")
    with pytest.raises(DownloadError, match=r"Expected to read and write photo.png .* Check --root"):
        fetch(site.add("photo.png", BODY), tmp_path / "data")


def test_errors_are_the_users():
    assert issubclass(DownloadError, InputError)
