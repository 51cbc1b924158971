"""SQLite connections of DBBackup's own: set up like Django's, never waiting for ever, closed after use."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

from django.db import connections

from dbbackup.db.exceptions import ConnectorError, DatabaseLockedError, RestoreError

T = TypeVar("T")

_BUSY_TIMEOUT = 0.1
"""Seconds that SQLite itself waits for a lock. The rest is waited here, where Ctrl-C is heard."""
_PAUSE = 0.02


@dataclass(frozen=True)
class SqliteDatabase:
    """The live database of an alias, as the merged settings describe it."""

    alias: str
    settings: Mapping[str, Any]
    lock_timeout: float
    """Seconds to wait for another connection's lock."""

    @property
    def name(self) -> str:
        """Return NAME as SQLite takes it: a path, a ``file:`` URI or the name of memory."""
        return str(self.settings["NAME"])

    @property
    def in_memory(self) -> bool:
        """Return whether the database lives in Django's own connection and nowhere else."""
        name = self.settings["NAME"]  # Django's own test: it opens one connection and keeps it.
        return isinstance(name, str) and (name == ":memory:" or "mode=memory" in name)

    @property
    def path(self) -> Path:
        """Return the path of the database file, whether or not there is one."""
        if not self.name.startswith("file:"):
            return Path(self.name)
        location = self.name.removeprefix("file:").partition("?")[0].partition("#")[0]
        if location.startswith("//"):
            # An authority, empty or "localhost", as in file:///srv/app.sqlite3.
            location = "/" + location[2:].partition("/")[2]
        return Path(unquote(location))

    @contextmanager
    def connect(self) -> Iterator[sqlite3.Connection]:
        """Give a connection to the live database, for a file one of its own, for memory Django's."""
        if self.in_memory:
            wrapper = connections[self.alias]
            wrapper.ensure_connection()
            yield wrapper.connection
            return
        connection = self.connect_to(self.name, self.settings.get("OPTIONS", {}))
        try:
            yield connection
        finally:
            connection.close()

    @contextmanager
    def connect_for_restore(self) -> Iterator[sqlite3.Connection]:
        """Give a connection whose transactions are undone by whoever opens the file after a crash.

        A file that is not there yet is made.
        """
        if not self.in_memory and not self.path.absolute().parent.is_dir():
            raise RestoreError(f"Database {self.alias!r}: there is no folder for its file {self.path}.")
        with self._no_empty_file(), self.connect() as connection:
            if connection.in_transaction:
                raise RestoreError(
                    f"Database {self.alias!r} is in a transaction of this process; restore it outside of atomic()."
                )
            if not self.in_memory:
                # The project's own init_command may have asked for speed instead.
                (mode,) = self.wait(lambda: connection.execute("PRAGMA journal_mode").fetchone())
                if mode in {"memory", "off"}:
                    connection.execute("PRAGMA journal_mode = DELETE")
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA locking_mode = NORMAL")
            yield connection

    @contextmanager
    def _no_empty_file(self) -> Iterator[None]:
        """Leave no file behind that was not there and in which nothing came to be."""
        is_new = not self.in_memory and not self.path.exists()
        try:
            yield
        finally:
            if is_new and self.path.exists() and self.path.stat().st_size == 0:
                self.path.unlink()

    def connect_to(self, name: str, options: Mapping[str, Any] | None = None) -> sqlite3.Connection:
        """Return a new connection to a file, with the functions and collations of the live one.

        Django's wrapper opens it and sends connection_created, so that what a project registers
        there, and its expression indexes need, is there too.
        """
        wrapper = connections[self.alias].copy()
        wrapper.settings_dict["NAME"] = name
        wrapper.settings_dict["OPTIONS"] = {
            **(options or {}),
            "timeout": self.lock_timeout,
            # Prepared statements of a whole load would stay in memory.
            "cached_statements": 0,
            "detect_types": 0,
        }
        wrapper.connect()
        connection: sqlite3.Connection = wrapper.connection
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {int(_BUSY_TIMEOUT * 1000)}")
        return connection

    def wait(self, action: Callable[[], T]) -> T:
        """Return what ``action`` returns, tried again for as long as another connection's lock is in its way."""
        deadline = time.monotonic() + self.lock_timeout
        while True:
            try:
                return action()
            except sqlite3.OperationalError as exc:
                if not is_locked(exc) or time.monotonic() >= deadline:
                    raise
            time.sleep(_PAUSE)

    @contextmanager
    def reading(self, connection: sqlite3.Connection) -> Iterator[None]:
        """Hold one read transaction, in which nothing that others write is seen."""
        if connection.in_transaction:
            # Django's own connection inside atomic(): what it sees is what is wanted.
            yield
            return
        connection.execute("BEGIN")
        try:
            self.wait(lambda: connection.execute("SELECT count(*) FROM sqlite_master").fetchone())
            yield
        finally:
            # Does nothing if SQLite has ended the transaction because of an error.
            connection.rollback()

    def copy(self, source: sqlite3.Connection, target: sqlite3.Connection) -> None:
        """Make ``target`` what ``source`` is, in one step and one transaction.

        A copy in several steps would begin anew whenever somebody writes.
        """
        deadline = time.monotonic() + self.lock_timeout

        def progress(status: int, _remaining: int, _total: int) -> None:
            # backup() itself would try for ever.
            if status in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED} and time.monotonic() >= deadline:
                raise self.locked_error()

        source.backup(target, progress=progress, sleep=_PAUSE)

    @contextmanager
    def errors(self, error: type[ConnectorError], operation: str) -> Iterator[None]:
        """Raise what SQLite raises as an error of ours; ``operation`` is "dump", for instance."""
        try:
            yield
        except (sqlite3.Error, sqlite3.Warning) as exc:
            if is_locked(exc):
                raise self.locked_error() from exc
            raise error(f"Cannot {operation} database {self.alias!r} ({self.name}): {exc}.") from exc

    def locked_error(self) -> DatabaseLockedError:
        """Return the error for a lock that was not given back in time."""
        return DatabaseLockedError(
            f"Database {self.alias!r} ({self.name}) is locked: another connection has kept it for more "
            f"than {self.lock_timeout:g} s. End its transaction, or wait longer with DBBACKUP_LOCK_TIMEOUT."
        )


def is_locked(exc: Exception) -> bool:
    """Return whether an error of SQLite means that another connection is in the way."""
    # The lower byte is the primary code; the rest says which kind of busy.
    code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
    return code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
