"""Files appear whole or not at all."""

import errno
import os
from pathlib import Path

import pytest

from mfif.errors import InputError
from mfif.files import replacing, write_error


def write(path, error=None):
    """Write a file, failing with `error` halfway."""
    with replacing(path) as temporary:
        temporary.write_text("half")
        if error is not None:
            raise error


def test_file_appears_when_the_block_is_done(tmp_path):
    path = tmp_path / "new" / "folder" / "scores.csv"
    with replacing(path) as temporary:
        assert temporary.parent == path.parent
        assert temporary.suffix == ".csv"
        assert temporary.name.startswith(".")  # hidden from whoever lists the folder meanwhile
        temporary.write_text("half")
        assert not path.exists()
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    assert os.listdir(path.parent) == ["scores.csv"]


def test_file_is_replaced(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [ZeroDivisionError("ours"), KeyboardInterrupt(), InputError("worded already")])
def test_failing_block_leaves_the_old_file_and_no_other(tmp_path, error):
    path = tmp_path / "scores.csv"
    path.write_text("old")
    with pytest.raises(type(error)) as raised:
        write(path, error)
    assert raised.value is error
    assert os.listdir(tmp_path) == ["scores.csv"]
    assert path.read_text() == "old"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_disk_without_room_is_said(tmp_path, code):
    path = tmp_path / "scores.csv"
    path.write_text("old")
    with pytest.raises(InputError, match=r"No room left on the disk for .*scores\.csv\.") as raised:
        write(path, OSError(code, os.strerror(code)))
    assert raised.value.__cause__.errno == code
    assert os.listdir(tmp_path) == ["scores.csv"]
    assert path.read_text() == "old"


@pytest.mark.parametrize("name", ["results/scores.csv", "results/deeper/scores.csv"])
def test_parent_that_is_a_file(tmp_path, name):
    (tmp_path / "results").write_text("a file")
    with pytest.raises(InputError, match=r"Could not write .*scores\.csv: .*\. Check the folder"):
        write(tmp_path / name)


def test_path_that_is_a_folder(tmp_path):
    (tmp_path / "scores.csv").mkdir()
    with pytest.raises(InputError, match=r"Could not write .*scores\.csv: Is a directory"):
        write(tmp_path / "scores.csv")
    assert os.listdir(tmp_path) == ["scores.csv"]


def test_name_too_long(tmp_path):
    with pytest.raises(InputError, match=r"Could not write .*: File name too long"):
        write(tmp_path / ("x" * 300))


def test_block_that_writes_nothing(tmp_path):
    with pytest.raises(InputError, match=r"Could not write .*scores\.csv"), replacing(tmp_path / "scores.csv"):
        pass
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_folder_without_permission(tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    with pytest.raises(InputError, match=r"Could not write .*: Permission denied\. Check the folder"):
        write(folder / "scores.csv")


def test_error_without_a_number_keeps_its_words():
    assert "Could not write x.png: encoder error -2." in str(write_error(Path("x.png"), OSError("encoder error -2")))
