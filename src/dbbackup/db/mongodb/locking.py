"""One restore of a database at a time, and none during a backup, as far as this machine goes."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from dbbackup.db.exceptions import DatabaseLockedError


class DatabaseLock:
    """The lock of a database: backups share it, a restore has it alone. It goes with the process."""

    def __init__(self, key: tuple[str, ...], directory: Path | None, alias: str, *, alone: bool) -> None:
        """Take it; raise DatabaseLockedError if that cannot be now."""
        self._path = _path(key, directory)
        descriptor = _locked(self._path, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        if descriptor is None:
            if alone:
                raise DatabaseLockedError(
                    f"Another restore or a backup of database {alias!r} is under way. Let it end, or stop it. "
                    "Nothing was changed."
                )
            raise DatabaseLockedError(f"Database {alias!r} is being restored. Dump it when that is done.")
        self._descriptor = descriptor

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def release(self) -> None:
        """Let go of it. Letting go again does nothing."""
        if self._descriptor < 0:
            return
        with suppress(BlockingIOError):
            # The last one removes the file; whoever opened it meanwhile finds that it is not the one of this name.
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = -1


def _path(key: tuple[str, ...], directory: Path | None) -> Path:
    name = hashlib.sha256(repr((os.getuid(), *key)).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir() if directory is None else directory) / f"dbbackup-restoring-{name}"


def _locked(path: Path, how: int) -> int | None:
    """Return the descriptor that holds the lock; None if somebody else has it."""
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as exc:
            raise DatabaseLockedError(
                f"Cannot open {path}, which tells whether the database is being restored: {exc.strerror}. Set "
                "DBBACKUP_TMP_DIR to a folder of this user's own."
            ) from exc
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
            if path.exists() and path.stat().st_ino == os.fstat(descriptor).st_ino:
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
