"""SQLite databases as files: copied out of a live database, and back into it."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import BinaryIO

from dbbackup.db.exceptions import DumpError, RestoreError
from dbbackup.db.sqlite_connection import SqliteDatabase
from dbbackup.exceptions import StreamError
from dbbackup.streams import ProgramReader, StreamReader, chunks, pull

MAGIC = b"SQLite format 3\x00"
# https://www.sqlite.org/fileformat.html: 2 asks for a write-ahead log, 1 for a rollback journal.
_VERSIONS_OFFSET = 18
_ROLLBACK_JOURNAL = b"\x01\x01"
_HEADER_SIZE = 100

_PAUSE = 0.05


def take_snapshot(database: SqliteDatabase, folder: Path) -> Path:
    """Copy the live database, as it is at one moment, into a new file of ``folder``; return its path.

    Writers wait for the time of the copy at most. Raise DatabaseLockedError or DumpError.
    """
    check_exists(database)
    path = new_file(folder / "snapshot.sqlite3")
    with database.errors(DumpError, "copy"), database.connect() as live, database.reading(live):
        if live.execute("PRAGMA page_count").fetchone()[0] == 0:
            raise DumpError(
                f"Database {database.alias!r} ({database.name}) is empty: no table was ever made in it. "
                "Is NAME right, and were the migrations run?"
            )
        if live.in_transaction and database.in_memory:
            path.write_bytes(live.serialize())
        else:
            _copy_to(path, database, live)
    make_self_contained(path)
    return path


def _copy_to(path: Path, database: SqliteDatabase, live: sqlite3.Connection) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as copy:
        # A copy that a crash spoils is thrown away.
        copy.execute("PRAGMA synchronous = OFF")
        copy.execute("PRAGMA journal_mode = OFF")
        database.copy(live, copy)


def check_exists(database: SqliteDatabase) -> None:
    """Raise DumpError if there is no database file, instead of making one as connecting would."""
    if not database.in_memory and not database.path.is_file():
        raise DumpError(f"Database {database.alias!r} has no file {database.path}. Is NAME right?")


def new_file(path: Path) -> Path:
    """Make an empty file that nobody else may read."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    return path


def make_self_contained(path: Path) -> None:
    """Clear the mark that makes SQLite look for a write-ahead log beside the file."""
    with path.open("r+b") as file:
        if file.read(len(MAGIC)) == MAGIC:
            file.seek(_VERSIONS_OFFSET)
            file.write(_ROLLBACK_JOURNAL)


def check_whole(path: Path) -> None:
    """Raise RestoreError for a database file that is shorter than its own header says.

    SQLite takes the missing end for zeros, and its integrity check may not notice.
    """
    with path.open("rb") as file:
        header = file.read(_HEADER_SIZE)
    size = path.stat().st_size
    page_size = int.from_bytes(header[16:18], "big")
    page_size = 65536 if page_size == 1 else page_size
    # The page count holds if the file was last written by a version that keeps it (since 3.7.0).
    pages = int.from_bytes(header[28:32], "big") if header[24:28] == header[92:96] else 0
    if len(header) < _HEADER_SIZE or size < pages * page_size or (page_size and size % page_size):
        raise RestoreError(f"The dump is cut off: {size} bytes are not the {pages} pages that its header speaks of.")


def write_file(path: Path, source: BinaryIO) -> None:
    """Write all bytes of ``source`` to a file that is there."""
    with path.open("wb", buffering=0) as file:
        for chunk in chunks(source):
            rest = memoryview(chunk)
            while rest:
                try:
                    rest = rest[file.write(rest) :]
                except OSError as exc:
                    raise StreamError(
                        f"Cannot write a temporary file in {path.parent.parent}: {exc.strerror}. "
                        "Make room there, or set DBBACKUP_TMP_DIR to another folder."
                    ) from exc


def replace_database(database: SqliteDatabase, live: sqlite3.Connection, path: Path) -> None:
    """Make the live database what is in the file at ``path``, in one transaction.

    Connections that are open see it at once. Whoever is interrupted leaves the old database.
    """
    with closing(database.connect_to(str(path))) as source:
        size = _page_size(source)
        (mode,) = live.execute("PRAGMA journal_mode").fetchone()
        if size != _page_size(live) and mode in {"wal", "memory"}:
            # There SQLite cannot change the size of the pages. Unlike VACUUM, this keeps the rowids.
            path = path.with_name("resized.sqlite3")
            source.execute(f"PRAGMA page_size = {_page_size(live)}")
            source.execute("VACUUM INTO ?", [str(path)])
    with closing(sqlite3.connect(path)) as source:
        # A copy into an open write transaction would be tried until the deadline, page by page.
        database.wait(lambda: live.execute("BEGIN IMMEDIATE"))
        live.execute("ROLLBACK")
        database.copy(source, live)


def _page_size(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA page_size").fetchone()[0])


def read_raw(database: SqliteDatabase) -> BinaryIO:
    """Return the bytes of the database file, which nobody changes while they are read."""
    with ExitStack() as held, database.errors(DumpError, "copy"):
        live = held.enter_context(database.connect())
        held.enter_context(_all_in_file(database, live))
        # Closing a descriptor of the file would drop the locks that this process holds on it through SQLite.
        program = ProgramReader(["cat", "--", os.fspath(database.path)])
        return _HeldReader(program, held.pop_all())


@contextmanager
def _all_in_file(database: SqliteDatabase, live: sqlite3.Connection) -> Iterator[None]:
    """Hold a read transaction, begun while nothing was in the write-ahead log: the file alone is all of it."""
    log = Path(f"{os.path.realpath(database.path)}-wal")
    deadline = time.monotonic() + database.lock_timeout
    while True:
        live.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        with database.reading(live):
            # This reader keeps others from moving anything from the log to the file.
            if not log.exists() or log.stat().st_size == 0:
                yield
                return
        if time.monotonic() >= deadline:
            raise DumpError(
                f"Database {database.alias!r} ({database.name}) is in use: its write-ahead log could not be "
                "emptied. SqliteCPConnector is for databases at rest; use SqliteBackupConnector."
            )
        time.sleep(_PAUSE)


class _HeldReader(StreamReader):
    """A source that is read while locks are held."""

    def __init__(self, source: BinaryIO, locks: ExitStack) -> None:
        self._inner = source
        self._locks = locks
        super().__init__(source)

    def _next_chunk(self) -> bytes:
        return pull(self._inner)

    def _release(self) -> None:
        with self._locks:
            super()._release()
