"""Temporary files that nobody else can read and that do not outlive their owner, however it ends."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

from dbbackup.exceptions import ConfigurationError, StreamError
from dbbackup.streams.base import chunks

_PREFIX = "dbbackup-"
# What tempfile.mkdtemp() appends to the prefix.
_NAME = re.compile(rf"{_PREFIX}[a-z0-9_]{{8}}")
_LOCK = ".lock"


class Workspace:
    """A temporary folder, ``path``, for its owner alone (mode 0700), removed by close().

    The folder holds a locked file for its life. The lock goes with the process, so whoever makes the next
    workspace in ``directory`` can tell the folders of the dead and removes them.
    """

    def __init__(self, directory: Path | None = None) -> None:
        parent = _existing(directory)
        remove_stale(parent)
        with _writing_in(parent):
            self.path, self._lock = _made_in(parent)

    def close(self) -> None:
        """Remove the folder with everything in it. Closing again does nothing."""
        if self._lock >= 0:
            try:
                _remove(self.path)
            finally:
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


def _made_in(parent: Path) -> tuple[Path, int]:
    """Make a folder with a lock, and return it with the lock's descriptor.

    A cleaner may meet the folder before its lock is held, and then removes it: the next one is tried.
    """
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        try:
            lock = _locked(folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        if lock is not None:
            return folder, lock


def _locked(folder: Path) -> int | None:
    path = folder / _LOCK
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    except FileNotFoundError:
        return None
    with ExitStack() as undo, suppress(BlockingIOError):
        undo.callback(os.close, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.exists():
            undo.pop_all()
            return descriptor
    return None


def _remove(folder: Path) -> None:
    # The lock goes last: whatever interrupts this leaves a folder that the next run knows for a dead one's.
    try:
        for entry in folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            elif entry.name != _LOCK:
                with suppress(OSError):
                    entry.unlink()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_if_stale(folder: Path) -> None:
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        return
    try:
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        # Its owner died before the lock was there, or after it was gone; what has any content is none of ours.
        folder.rmdir()
        return
    try:
        # Held while removing, so that two cleaners do not meet. A living owner's lock raises BlockingIOError.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(folder)
    finally:
        os.close(descriptor)
