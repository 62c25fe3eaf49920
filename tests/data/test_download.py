"""Data sets from a server on loopback that can be told to misbehave."""

import errno
import io
import json
import logging
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from mfif.data import download
from mfif.data.download import RemoteDataset, fetch_dataset, sources
from mfif.data.remote import DownloadError, fetch

REPOSITORY = Path(__file__).resolve().parents[2]
DEADLINE = 60.0  # guards against a hang; no test waits for it to pass
BODY = Random(0).randbytes(1_000_000)
HALF = len(BODY) // 2


def names(folder):
    return sorted(os.listdir(folder))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def wait_for(condition):
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "the other side did not get there"
        time.sleep(0.01)


def one_file_set(site, path, body, *faults):
    return RemoteDataset("toy", "free", "Nobody 2000", (site.add(path, body, *faults),))


def small_set(site, *faults):
    """Three small files at the mirror's addresses for the set `toy`; the faults are the second's."""
    bodies = {"a.png": b"a" * 1000, "b.png": b"b" * 2000, "c.png": b"c" * 3000}
    files = [site.add(f"toy/{name}", body, *(faults if name == "b.png" else ())) for name, body in bodies.items()]
    return RemoteDataset("toy", "free", "Nobody 2000", tuple(files)), bodies


@pytest.fixture
def known(monkeypatch):
    """Makes a data set the one known by the name `toy`."""
    return lambda dataset: monkeypatch.setattr(download, "sources", lambda: {"toy": dataset})


def test_folder_that_cannot_be_made(site, tmp_path, known):
    known(small_set(site)[0])
    (tmp_path / "data").write_bytes(b"a file")
    with pytest.raises(DownloadError, match=r"Expected to read and write toy .* Check --root"):
        fetch_dataset("toy", tmp_path / "data")


def test_set_arrives_and_the_second_run_asks_nothing(site, tmp_path, known, monkeypatch, caplog):
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.delenv("TTY_COMPATIBLE", raising=False)
    dataset, bodies = small_set(site, "drop")
    known(dataset)
    with caplog.at_level(logging.INFO, logger=download.__name__):
        folder = fetch_dataset("toy", tmp_path)
    assert folder == tmp_path / "toy"
    assert contents(folder) == bodies
    assert [message for message in caplog.messages if "%" in message][-1] == "toy: 100 % of 0.0 MB"
    assert len(site.requests) == 4
    fetch_dataset("toy", tmp_path)
    assert len(site.requests) == 4


def test_terminal_shows_a_bar(site, tmp_path, known, monkeypatch, capsys):
    known(small_set(site)[0])
    monkeypatch.setenv("FORCE_COLOR", "1")
    fetch_dataset("toy", tmp_path)
    assert "100%" in capsys.readouterr().err


def test_finished_files_stay_when_one_fails(site, tmp_path, known):
    known(small_set(site, "wrong bytes")[0])
    with pytest.raises(DownloadError, match=r"b\.png"):
        fetch_dataset("toy", tmp_path)
    assert names(tmp_path / "toy") == ["a.png"]
    fetch_dataset("toy", tmp_path)
    assert names(tmp_path / "toy") == ["a.png", "b.png", "c.png"]
    assert len(site.requests) == 4


# Archives


def zipped(site, members, *faults):
    """A set of one archive, as DIV2K's are; `members` maps names to contents."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as bundle:
        for name, body in members.items():
            bundle.writestr(name, body)
    return one_file_set(site, "toy/toy_HR.zip", packed.getvalue(), *faults)


PICTURES = {"0001.png": b"1" * 5000, "0002.png": b"2" * 5000, "0003.png": b"3" * 5000}
MEMBERS = {"toy_HR/": b""} | {f"toy_HR/{name}": body for name, body in PICTURES.items()}


def test_archive_is_unpacked_once_and_may_then_be_deleted(site, tmp_path, known):
    known(zipped(site, MEMBERS, "drop"))
    stale = tmp_path / "toy" / "toy_HR.unpacking" / "toy_HR" / "stale.png"
    stale.parent.mkdir(parents=True)
    stale.touch()
    folder = fetch_dataset("toy", tmp_path)
    assert folder == tmp_path / "toy" / "toy_HR"
    assert contents(folder) == PICTURES
    assert names(tmp_path / "toy") == ["toy_HR", "toy_HR.zip"]
    (tmp_path / "toy" / "toy_HR.zip").unlink()
    before = (folder / "0001.png").stat()
    assert fetch_dataset("toy", tmp_path) == folder
    assert (folder / "0001.png").stat() == before
    assert len(site.requests) == 2


def test_folder_that_is_there_is_taken_as_it_is(site, tmp_path, known):
    known(zipped(site, MEMBERS))
    folder = tmp_path / "toy" / "toy_HR"
    folder.mkdir(parents=True)
    assert fetch_dataset("toy", tmp_path) == folder
    assert names(folder) == []
    assert site.requests == []


def test_archive_without_a_folder_of_its_own(site, tmp_path, known):
    known(zipped(site, PICTURES))
    assert contents(fetch_dataset("toy", tmp_path)) == PICTURES


@pytest.mark.parametrize("name", ["../evil", "toy_HR/../../evil", "/evil", "toy_HR//evil", "..\\evil", "C:evil"])
def test_nothing_is_written_outside_the_folder(site, tmp_path, known, name):
    known(zipped(site, MEMBERS | {name: b"evil"}))
    folder = fetch_dataset("toy", tmp_path / "root")
    assert contents(folder).items() >= PICTURES.items()
    assert names(tmp_path) == ["root"]
    assert names(tmp_path / "root") == ["toy"]
    assert names(tmp_path / "root" / "toy") == ["toy_HR", "toy_HR.zip"]


def test_link_in_an_archive_becomes_a_plain_file(site, tmp_path, known):
    link = zipfile.ZipInfo("toy_HR/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    known(zipped(site, {link: b"/etc"}))
    assert not (fetch_dataset("toy", tmp_path) / "link").is_symlink()


def test_disk_too_small_to_unpack(site, tmp_path, known, monkeypatch):
    dataset = zipped(site, {"toy_HR/0001.png": bytes(10_000_000)})
    known(dataset)
    fetch(dataset.files[0], tmp_path / "toy")
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1234))
        with pytest.raises(DownloadError, match=r"Expected 10,000,000 free bytes in .* rest of toy_HR.zip, got 1,234"):
            fetch_dataset("toy", tmp_path)
    assert names(fetch_dataset("toy", tmp_path)) == ["0001.png"]
    assert len(site.requests) == 1


def test_disk_filling_up_while_unpacking_leaves_only_the_archive(site, tmp_path, known, monkeypatch):
    def copy_until_full(packed, stream):
        stream.write(packed.read(100))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    known(zipped(site, MEMBERS))
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfileobj", copy_until_full)
        with pytest.raises(DownloadError, match=r"Expected 15,000 free bytes in .* rest of toy_HR.zip"):
            fetch_dataset("toy", tmp_path)
    assert names(tmp_path / "toy") == ["toy_HR.zip"]
    assert contents(fetch_dataset("toy", tmp_path)) == PICTURES


# Whole processes


def start(dataset, arguments, before=""):
    """Start the command line in a process of its own; with a data set, that one stands for the public ones."""
    code = (
        "import os, shutil, signal, sys\n"
        "from mfif.data import download\n"
        "from mfif.data.download import RemoteDataset\n"
        "from mfif.data.remote import RemoteFile\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a background job would ignore it
        f"download.sources = lambda: {{'toy': {dataset!r}}}\n{before}\n"
        "sys.exit(download.main(sys.argv[1:]))"
    )
    program = ["-c", code] if dataset else ["-m", "mfif.data.download"]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "no_proxy": "127.0.0.1"}
    return subprocess.Popen(
        [sys.executable, *program, *map(str, arguments)],
        cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def run(dataset, *arguments, before=""):
    process = start(dataset, arguments, before)
    output, error = process.communicate(timeout=DEADLINE)
    assert "Traceback" not in error
    return subprocess.CompletedProcess(process.args, process.returncode, output, error)


@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT"])
def test_process_ended_midway_continues(site, tmp_path, name):
    dataset = one_file_set(site, "toy/photo.png", BODY, "stall")
    part = tmp_path / "toy" / "photo.png.part"
    process = start(dataset, ["toy", "--root", tmp_path])
    wait_for(lambda: part.exists() and part.stat().st_size == HALF)
    process.send_signal(getattr(signal, name))
    _, error = process.communicate(timeout=DEADLINE)
    assert process.returncode == (130 if name == "SIGINT" else -signal.SIGKILL)
    assert "Traceback" not in error
    assert name == "SIGKILL" or "run the same command again" in error
    assert names(tmp_path / "toy") == ["photo.png.part"]
    assert run(dataset, "toy", "--root", tmp_path).returncode == 0
    assert contents(tmp_path / "toy") == {"photo.png": BODY}
    assert site.requests == [None, f"bytes={HALF}-"]


def test_process_killed_while_unpacking_continues(site, tmp_path):
    dataset = zipped(site, MEMBERS)
    die = """
def copy(packed, stream):
    body = packed.read()
    if body[:1] == b"2":
        stream.write(body[:100]); stream.flush(); os.kill(os.getpid(), signal.SIGKILL)
    stream.write(body)
shutil.copyfileobj = copy"""
    assert run(dataset, "toy", "--root", tmp_path, before=die).returncode == -signal.SIGKILL
    assert names(tmp_path / "toy") == ["toy_HR.unpacking", "toy_HR.zip"]
    assert run(dataset, "toy", "--root", tmp_path).returncode == 0
    assert names(tmp_path / "toy") == ["toy_HR", "toy_HR.zip"]
    assert contents(tmp_path / "toy" / "toy_HR") == PICTURES
    assert len(site.requests) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="folders are locked where fcntl is")
def test_two_processes_fetch_once(site, tmp_path):
    dataset, bodies = small_set(site, "stall")
    first = start(dataset, ["toy", "--root", tmp_path])
    wait_for(lambda: (tmp_path / "toy" / "b.png.part").exists())
    second = start(dataset, ["toy", "--root", tmp_path])
    assert "another process" in second.stderr.readline()
    site.gate.set()
    for process in (first, second):
        process.communicate(timeout=DEADLINE)
        assert process.returncode == 0
    assert contents(tmp_path / "toy") == bodies
    assert len(site.requests) == 3


def test_command_succeeds_and_ends_with_place_licence_and_citation(site, tmp_path):
    dataset, bodies = small_set(site)
    moved = replace(dataset, files=tuple(replace(file, url="https://gone.invalid/x") for file in dataset.files))
    for mirror in (site.address, f"{site.address}/"):
        root = tmp_path / str(len(mirror))
        done = run(moved, "toy", "--root", root, "--mirror", mirror)
        assert done.returncode == 0
        assert done.stdout.splitlines()[-1] == f"toy is in {root}/toy. Licence: free. Please cite: Nobody 2000."
        assert contents(root / "toy") == bodies
    done = run(moved, "toy", "--root", tmp_path / "copy", "--mirror", root.as_uri())
    assert done.returncode == 0
    assert contents(tmp_path / "copy" / "toy") == bodies


def test_command_helps_and_names_mistakes(site, tmp_path):
    helped = run(None, "--help")
    assert helped.returncode == 0
    assert all(word in helped.stdout for word in [*sources(), "--root", "--mirror", "examples:", "MB"])
    assert run(None).returncode == 2
    unknown = run(None, "lytro", "greyscale", "--root", tmp_path)
    assert unknown.returncode == 2
    assert "got 'greyscale'. Did you mean `grayscale`?" in unknown.stderr
    missing = run(None, "lytro", "--root", tmp_path, "--mirror", site.address)
    assert missing.returncode == 1
    assert (
        f"error: Expected lytro-01-A.jpg at {site.address}/lytro/lytro-01-A.jpg, got HTTP status 404" in missing.stderr
    )
    assert run(None, "lytro", "--root", tmp_path, "--mirror", "files.example.org").returncode == 1
    assert run(None, "lytro", "--root", tmp_path, "--mirror", (tmp_path / "none").as_uri()).returncode == 1
    assert names(tmp_path) == ["lytro"]
    assert names(tmp_path / "lytro") == []


def test_mistakes_in_the_call(tmp_path):
    with pytest.raises(DownloadError, match=r"Expected a data set among lytro, .*, got 'qqqqqq'\.$"):
        fetch_dataset("qqqqqq", tmp_path)
    with pytest.raises(DownloadError, match=r"Expected the mirror to be an http.* got 'ftp://x'"):
        fetch_dataset("lytro", tmp_path, mirror="ftp://x")


def test_import_is_light():
    code = "import sys, mfif.data.download; print({'torch', 'lightning', 'kornia', 'numpy', 'PIL'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# The facts


def test_facts_are_well_formed():
    known = sources()
    assert {name: len(dataset.files) for name, dataset in known.items()} == {
        "lytro": 40, "grayscale": 38, "div2k_train": 1, "div2k_valid": 1,
    }  # fmt: skip
    for name, dataset in known.items():
        assert dataset.name == name
        assert dataset.licence
        assert dataset.citation
        assert len({file.name for file in dataset.files}) == len(dataset.files)
        for file in dataset.files:
            assert file.url.startswith("https://")
            assert re.fullmatch("[0-9a-f]{64}", file.sha256)
            assert file.size > 0
            assert Path(file.name).name == file.name


def test_facts_equal_the_shared_ones(shared):
    shipped = json.loads((REPOSITORY / "mfif" / "data" / "sources.json").read_text())
    for dataset in shipped.values():
        del dataset["citation"]
    assert shipped == json.loads((shared / "data" / "sources.json").read_text())
