from __future__ import annotations

import errno
import fcntl
import os
from itertools import repeat
from pathlib import Path

import pytest

from dbbackup.catalog.local import PARTIAL_SUFFIX, open_regular, remove_stale, write_once


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_first_free_name_is_taken(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    path = write_once([tmp_path / "a", tmp_path / "b"], [b"n", b"ew"], None)
    assert path == tmp_path / "b"
    assert content(tmp_path) == {"a": b"old", "b": b"new"}
    assert path.stat().st_mode & 0o777 == 0o600


def test_link_in_place_of_a_name_is_not_followed(tmp_path):
    target = tmp_path / "target"
    (tmp_path / "a").symlink_to(target)
    write_once([tmp_path / "a", tmp_path / "b"], [b"new"], None)
    assert not target.exists()


@pytest.mark.parametrize("names", [[], ["a"]])
def test_no_name_left(tmp_path, names):
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(FileExistsError, match="every name"):
        write_once([tmp_path / name for name in names], [b"new"], None)
    assert content(tmp_path) == {"a": b"old"}


def test_replacing_happens_once_all_is_there(tmp_path):
    (tmp_path / "a").write_bytes(b"old")

    def chunks():
        yield b"new"
        assert (tmp_path / "a").read_bytes() == b"old"

    write_once(repeat(tmp_path / "a"), chunks(), None, replace=True)
    assert content(tmp_path) == {"a": b"new"}


@pytest.mark.parametrize("error", [RuntimeError("cut"), KeyboardInterrupt()])
def test_error_of_the_source_leaves_nothing(tmp_path, error):
    def chunks():
        yield b"something"
        raise error

    with pytest.raises(type(error)):
        write_once([tmp_path / "a"], chunks(), None)
    assert content(tmp_path) == {}


def test_file_system_without_hard_links(tmp_path, monkeypatch):
    def link(*args, **kwargs):
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", link)
    (tmp_path / "a").write_bytes(b"old")
    write_once([tmp_path / "a", tmp_path / "b"], [b"new"], None)
    assert content(tmp_path) == {"a": b"old", "b": b"new"}


def test_remains_of_the_dead_go_and_those_of_the_living_stay(tmp_path):
    dead, alive = tmp_path / f".1{PARTIAL_SUFFIX}", tmp_path / f".2{PARTIAL_SUFFIX}"
    linked, target = tmp_path / f".3{PARTIAL_SUFFIX}", tmp_path / "target"
    for path in (dead, alive, target):
        path.write_bytes(b"x")
    linked.symlink_to(target)
    with alive.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        remove_stale(tmp_path)
        assert set(content(tmp_path)) == {alive.name, target.name, linked.name}
    remove_stale(tmp_path)
    assert set(content(tmp_path)) == {target.name, linked.name}


def test_only_regular_files_are_opened(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    with open_regular(tmp_path / "file") as file:
        assert file.read() == b"x"
    for name in ("link", "pipe", "."):
        with pytest.raises(OSError):  # noqa: PT011 - each has its own
            open_regular(tmp_path / name)
