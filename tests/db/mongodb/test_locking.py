"""One restore of a database at a time, and none during a backup: between processes, and without a trace."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dbbackup.db.exceptions import DatabaseLockedError
from dbbackup.db.mongodb.locking import DatabaseLock

KEY = ("mongodb", "127.0.0.1:27017", "it's a shop")
HOLD = """
import sys
from pathlib import Path
from dbbackup.db.mongodb.locking import DatabaseLock
with DatabaseLock({key!r}, Path({folder!r}), "other", alone={alone}):
    print("held", flush=True)
    sys.stdin.read()
"""


def restore_lock(key: tuple[str, ...], folder: Path, alias: str) -> DatabaseLock:
    return DatabaseLock(key, folder, alias, alone=True)


def is_restored(key: tuple[str, ...], folder: Path) -> bool:
    """Return whether a backup has to stay away, and raise what else keeps it away."""
    try:
        DatabaseLock(key, folder, "shop", alone=False).release()
    except DatabaseLockedError as exc:
        if "Dump it when that is done" in str(exc):
            return True
        raise
    return False


@contextmanager
def held(folder: Path, *, alone: bool = True) -> Iterator[subprocess.Popen[bytes]]:
    """Have another process hold the lock for a block, or until it is killed."""
    script = HOLD.format(key=KEY, folder=str(folder), alone=alone)
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"held\n"
            yield process
        finally:
            process.kill()


def test_second_restore_is_refused_as_long_as_the_first_goes_on(tmp_path: Path):
    refused = pytest.raises(DatabaseLockedError, match="Another restore or a backup of database 'shop' is under")
    with held(tmp_path) as process:
        assert is_restored(KEY, tmp_path)
        with refused, restore_lock(KEY, tmp_path, "shop"):
            pytest.fail("it is held")
        # Of another database.
        assert not is_restored((*KEY, "x"), tmp_path)
        with restore_lock((*KEY, "x"), tmp_path, "x"):
            pass
        process.communicate()
        assert process.returncode == 0
    assert list(tmp_path.iterdir()) == []
    with restore_lock(KEY, tmp_path, "shop"):
        assert is_restored(KEY, tmp_path)
    assert not is_restored(KEY, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("next_one", ["restore", "question"])
def test_lock_of_a_process_that_died_is_taken_over(tmp_path: Path, next_one: str):
    with held(tmp_path) as process:
        process.kill()
        process.wait()
        assert len(list(tmp_path.iterdir())) == 1
        if next_one == "restore":
            with restore_lock(KEY, tmp_path, "shop"):
                assert is_restored(KEY, tmp_path)
        else:
            assert not is_restored(KEY, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_same_process_is_refused_too_and_a_failure_gives_the_lock_back(tmp_path: Path):
    def fail() -> None:
        with restore_lock(KEY, tmp_path, "shop"):
            with pytest.raises(DatabaseLockedError), restore_lock(KEY, tmp_path, "shop"):
                pytest.fail("it is held")
            assert is_restored(KEY, tmp_path)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_backups_share_it_and_a_restore_waits_for_the_last(tmp_path: Path):
    with held(tmp_path, alone=False) as other, DatabaseLock(KEY, tmp_path, "shop", alone=False) as own:
        with pytest.raises(DatabaseLockedError, match="or a backup of database 'shop' is under way"):
            restore_lock(KEY, tmp_path, "shop")
        own.release()
        assert len(list(tmp_path.iterdir())) == 1
        with pytest.raises(DatabaseLockedError):
            restore_lock(KEY, tmp_path, "shop")
        other.communicate()
    assert list(tmp_path.iterdir()) == []
    restore_lock(KEY, tmp_path, "shop").release()


def test_question_leaves_nothing_behind(tmp_path: Path):
    assert not is_restored(KEY, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_file_is_for_its_owner_alone_and_tells_nothing(tmp_path: Path):
    with restore_lock(KEY, tmp_path, "shop"):
        (path,) = tmp_path.iterdir()
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.name.startswith("dbbackup-restoring-")
        assert "shop" not in path.name
        assert path.read_bytes() == b""


def test_programs_that_are_run_do_not_hold_the_lock(tmp_path: Path):
    with restore_lock(KEY, tmp_path, "shop"):
        program = subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False)
    with program:
        assert not is_restored(KEY, tmp_path)
        with restore_lock(KEY, tmp_path, "shop"):
            pass
        program.kill()


@pytest.mark.parametrize("kind", ["link", "folder", "no folder around it"])
def test_file_that_cannot_be_opened_is_named(tmp_path: Path, kind: str):
    with restore_lock(KEY, tmp_path, "shop"):
        (path,) = tmp_path.iterdir()
    if kind == "link":
        # Of somebody else, in a folder that is everybody's.
        path.symlink_to(tmp_path / "elsewhere")
        (tmp_path / "elsewhere").touch()
    elif kind == "folder":
        path.mkdir()
    else:
        path = tmp_path / "nowhere" / path.name
    words = f"Cannot open {path}, which tells whether the database is being restored: .*DBBACKUP_TMP_DIR"
    with pytest.raises(DatabaseLockedError, match=words), restore_lock(KEY, path.parent, "shop"):
        pytest.fail("there is no lock")
    with pytest.raises(DatabaseLockedError, match=words):
        is_restored(KEY, path.parent)


def test_holder_that_was_overtaken_does_not_share_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # The first holder removes its file just when the second has opened it: the second must not lock what has no name.
    real = os.open
    first = restore_lock(KEY, tmp_path, "first")
    first.__enter__()
    opened: list[str] = []

    def open_late(path: Path, *args: int) -> int:
        descriptor = real(path, *args)
        opened.append(str(path))
        if len(opened) == 1:
            first.__exit__(None, None, None)
        return descriptor

    monkeypatch.setattr(os, "open", open_late)
    with restore_lock(KEY, tmp_path, "second"):
        assert len(opened) == 2
        assert is_restored(KEY, tmp_path)
    assert list(tmp_path.iterdir()) == []
