"""Files of a local folder: written once, whole or not at all, and never through a link."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TypeVar

from dbbackup.streams import sync_folder

PARTIAL_SUFFIX = ".partial"

_Name = TypeVar("_Name", str, Path)


def write_once(
    candidates: Iterable[Path],
    chunks: Iterable[bytes],
    mode: int | None,
    *,
    folder_mode: int | None = None,
    replace: bool = False,
) -> Path:
    """Write the bytes under the first free one of the paths and return it; with ``replace`` under the first.

    The bytes lie under a hidden name until all of them are on the disk; whatever ends the writing early
    removes them. ``mode`` is the permission of the finished file, 0o600 unless given; ``folder_mode`` that of
    the folders that have to be made for it.
    """
    paths = iter(candidates)
    path = first_free(paths)
    _make_folder(path.parent, 0o777 if folder_mode is None else folder_mode)
    remove_stale(path.parent)
    partial = path.with_name(f".{secrets.token_hex(8)}{PARTIAL_SUFFIX}")
    try:
        with _exclusive(partial) as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fchmod(file.fileno(), mode if mode is not None else 0o600)
            os.fsync(file.fileno())
            while not _claim(partial, path, replace):
                path = first_free(paths)
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(path.parent)
    return path


def first_free(names: Iterator[_Name]) -> _Name:
    """Return the next of the names that are free; raise FileExistsError when there is none left."""
    for name in names:
        return name
    raise FileExistsError(errno.EEXIST, "every name for it is taken")


def _make_folder(folder: Path, mode: int) -> None:
    """Make a folder and those above it, all with the mode; mkdir(parents=True) would give it to the last only."""
    if not folder.exists():
        _make_folder(folder.parent, mode)
        folder.mkdir(mode, exist_ok=True)


@contextmanager
def _exclusive(partial: Path) -> Iterator[IO[bytes]]:
    """Open a new file, locked while it is written, so that nobody takes it for the remains of a dead run."""
    while True:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        # A file system without locks only loses the clearing away of remains.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        # Another run may have cleared it away between its making and its lock.
        if os.fstat(descriptor).st_nlink:
            break
        os.close(descriptor)
    with os.fdopen(descriptor, "wb") as file:
        yield file


def _claim(partial: Path, path: Path, replace: bool) -> bool:
    """Give the finished file its name, and return False when another file has it already."""
    if replace:
        partial.replace(path)
        return True
    try:
        os.link(partial, path, follow_symlinks=False)
    except FileExistsError:
        return False
    except OSError:
        # No hard links here (FAT, some network folders): the gap between look and rename is the best there is.
        if os.path.lexists(path):
            return False
        partial.rename(path)
    return True


def remove_stale(folder: Path) -> None:
    """Remove what dead runs left half-written in a folder."""
    for path in folder.glob(f".*{PARTIAL_SUFFIX}"):
        # Gone meanwhile, locked by a live run, or on a file system without locks: not ours to remove.
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
            finally:
                os.close(descriptor)


def open_regular(path: Path) -> IO[bytes]:
    """Open a regular file for reading; raise OSError for a link or anything else."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError("it is not a regular file")
    return os.fdopen(descriptor, "rb", buffering=0)
