"""Temporary files that nobody else can read and that do not outlive their owner, however it ends."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

from dbbackup.exceptions import ConfigurationError, StreamError
from dbbackup.streams.base import chunks

_PREFIX = "dbbackup-"
# What tempfile.mkdtemp() appends to the prefix.
_NAME = re.compile(rf"{_PREFIX}[a-z0-9_]{{8}}")
_LOCK = ".lock"
# Between the folder and its lock lie microseconds; an hour also covers a clock that was set back.
_LOCKLESS_SECONDS = 3600


class Workspace:
    """A temporary folder, ``path``, for its owner alone (mode 0700), removed by close().

    The folder holds a locked file for its life. The lock goes with the process, so whoever makes the next
    workspace in ``directory`` can tell the folders of the dead and removes them.
    """

    def __init__(self, directory: Path | None = None) -> None:
        parent = _existing(directory)
        remove_stale(parent)
        with _writing_in(parent):
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
            try:
                self._lock = _locked(self.path)
            except BaseException:
                shutil.rmtree(self.path, ignore_errors=True)
                raise

    def close(self) -> None:
        """Remove the folder with everything in it. Closing again does nothing."""
        if self._lock >= 0:
            # The lock goes last: whatever interrupts this leaves a folder that the next run knows for a dead one's.
            for entry in self.path.iterdir():
                if entry.name != _LOCK:
                    _remove(entry)
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1


@contextmanager
def workspace(directory: Path | None = None) -> Iterator[Path]:
    """Give a temporary folder in ``directory``, by default the system's, for the length of a block."""
    folder = Workspace(directory)
    try:
        yield folder.path
    finally:
        folder.close()


def remove_stale(directory: Path) -> None:
    """Remove the workspaces in ``directory`` whose owner is dead, as far as this user may."""
    with suppress(OSError):
        for folder in directory.iterdir():
            if _NAME.fullmatch(folder.name):
                with suppress(OSError):
                    _remove_if_stale(folder)


def spool(source: BinaryIO, directory: Path | None = None) -> BinaryIO:
    """Return a seekable file with the bytes of ``source``, at its start; ``source`` stays open.

    The file has no name, so nothing is left of it even after kill -9.
    """
    parent = _existing(directory)
    with _writing_in(parent):
        spooled = cast(BinaryIO, tempfile.TemporaryFile(dir=parent, prefix=_PREFIX))  # noqa: SIM115
    try:
        for chunk in chunks(source):
            with _writing_in(parent):
                spooled.write(chunk)
        with _writing_in(parent):
            # Flushes the last bytes, which is when a full disk may show.
            spooled.seek(0)
    except BaseException:
        with suppress(OSError):
            spooled.close()
        raise
    return spooled


def _existing(directory: Path | None) -> Path:
    parent = Path(tempfile.gettempdir() if directory is None else directory)
    if not parent.is_dir():
        raise ConfigurationError(
            f"The folder for temporary files, {parent}, does not exist. Create it, or set DBBACKUP_TMP_DIR to another."
        )
    return parent


@contextmanager
def _writing_in(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise StreamError(
            f"Cannot write a temporary file in {directory}: {exc.strerror or exc}. "
            "Make room there, or set DBBACKUP_TMP_DIR to another folder."
        ) from exc


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry, ignore_errors=True)
    else:
        with suppress(OSError):
            entry.unlink()


def _locked(folder: Path) -> int:
    # Under its final name the file is locked from the first moment, so that nobody finds it free.
    new = folder / f"{_LOCK}.new"
    descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        new.rename(folder / _LOCK)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _remove_if_stale(folder: Path) -> None:
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        return
    try:
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        if time.time() - status.st_mtime > _LOCKLESS_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)
        return
    try:
        # Held while removing, so that two cleaners do not meet. A living owner's lock raises BlockingIOError.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(descriptor)
