"""Connectors for SQLite: the database file, or SQL.

SqliteBackupConnector, the default, copies the file through SQLite's online backup. SqliteConnector writes
and reads SQL. SqliteCPConnector copies the bytes of the file, for databases that are not in use.
"""

from __future__ import annotations

import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import BinaryIO, ClassVar

from dbbackup.db.base import BaseDBConnector
from dbbackup.db.exceptions import DumpError, RestoreError
from dbbackup.db.sqlite_connection import SqliteDatabase
from dbbackup.db.sqlite_dump import SqlDump, SqlReader
from dbbackup.db.sqlite_files import (
    MAGIC,
    check_exists,
    check_whole,
    make_self_contained,
    new_file,
    read_raw,
    replace_database,
    take_snapshot,
    write_file,
)
from dbbackup.db.sqlite_integrity import IntegrityCheck, damaged, first_problem
from dbbackup.db.sqlite_load import SqlLoad, read_dump
from dbbackup.db.sqlite_schema import table_counts
from dbbackup.db.sqlite_snapshot import SnapshotReader, remove_rows
from dbbackup.db.sqlite_statements import why_foreign
from dbbackup.exceptions import ConfigurationError
from dbbackup.streams import workspace


class _SqliteConnector(BaseDBConnector):
    """What the three have in common."""

    accepts_stream: ClassVar[bool] = True

    @property
    def database(self) -> SqliteDatabase:
        """Return the live database."""
        return SqliteDatabase(self.alias, self.settings, float(self.lock_timeout))

    def preflight_dump(self) -> None:
        """Raise DumpError if there is no database file."""
        check_exists(self.database)

    def table_counts(self) -> dict[str, int]:
        """Return the number of rows of each ordinary table."""
        database = self.database
        counting = database.errors(RestoreError, "count the rows of")
        with counting, database.connect() as live, database.reading(live):
            return table_counts(live)

    def server_version(self) -> str:
        """Return the version of the SQLite library."""
        return sqlite3.sqlite_version

    @property
    def _where(self) -> str:
        return f"EXCLUDE for database {self.alias!r}"


class _FileConnector(_SqliteConnector):
    """A connector whose dump is a database file."""

    exact: bool = True
    """A file is all there is after a restore."""

    def check_dump(self, head: bytes) -> None:
        """Raise RestoreError if this is not the beginning of a database file."""
        if not head.startswith(MAGIC):
            hint = " Was it made by SqliteConnector?" if head[:1] in {b"-", b"C", b"P"} else ""
            raise RestoreError(
                f"This is not a SQLite database file, which {type(self).__name__} restores.{hint} "
                f"Database {self.alias!r} was not touched."
            )

    def verify_dump(self, dump: BinaryIO) -> None:
        """Raise RestoreError if the file is damaged."""
        with self._sound_file(dump):
            pass

    def temporary_bytes(self, dump_size: int) -> int:
        """Return the size of the file: it is checked on disk before the database is touched."""
        return dump_size

    @property
    def restore_by_hand(self) -> str:
        """Return shell text that leaves the database file lying there."""
        return f"> {shlex.quote(f'{self.alias}.restored.sqlite3')}"

    def _restore_dump(self, dump: BinaryIO) -> None:
        database = self.database
        restoring = database.errors(RestoreError, "restore")
        with self._sound_file(dump) as path, restoring, database.connect_for_restore() as live:
            replace_database(database, live, path)
            with database.reading(live):
                problem = first_problem(live)
        if problem:
            raise damaged(RestoreError, database, problem)

    @contextmanager
    def _sound_file(self, dump: BinaryIO) -> Iterator[Path]:
        """Give the path of a temporary file with the dump, which is a sound database."""
        with workspace(self.temporary_folder) as folder:
            path = new_file(folder / "incoming.sqlite3")
            write_file(path, dump)
            with path.open("rb") as file:
                self.check_dump(file.read(len(MAGIC)))
            check_whole(path)
            make_self_contained(path)
            checking = self.database.errors(RestoreError, "check the dump of")
            with checking, closing(self.database.connect_to(str(path))) as connection:
                problem = first_problem(connection)
            if problem:
                raise RestoreError(
                    f"The dump is a damaged database: {problem}. Database {self.alias!r} was not touched."
                )
            yield path


class SqliteBackupConnector(_FileConnector):
    """Copy the database file through SQLite's online backup, safe while it is in use, in either direction."""

    extension: str = "sqlite3"

    def _create_dump(self) -> BinaryIO:
        database = self.database
        with workspace(self.temporary_folder) as folder, ExitStack() as undo:
            path = take_snapshot(database, folder)
            if self.exclude:
                excluding = database.errors(DumpError, "leave tables out of the dump of")
                with excluding, closing(database.connect_to(str(path))) as connection:
                    remove_rows(connection, self.exclude, self._where)
            check = IntegrityCheck(database, path)
            undo.callback(check.close)
            file = undo.enter_context(path.open("rb", buffering=0))
            undo.pop_all()
            # Both hold the file open: it loses its name here, and nothing of it can be left behind.
            return SnapshotReader(file, check)


class SqliteCPConnector(_FileConnector):
    """Copy the bytes of the database file as they are. Not for databases in memory, nor for busy ones."""

    def preflight_dump(self) -> None:
        """Raise if there is no file, or tables are to be left out of it."""
        self._refuse_memory()
        super().preflight_dump()
        if self.exclude:
            raise ConfigurationError(
                "SqliteCPConnector copies the whole file and cannot leave tables out (EXCLUDE). "
                "Use SqliteBackupConnector."
            )

    def _refuse_memory(self) -> None:
        if self.database.in_memory:
            raise ConfigurationError(
                f"Database {self.alias!r} is in memory and has no file that SqliteCPConnector could copy. "
                "Use SqliteBackupConnector."
            )

    def preflight_restore(self) -> None:
        """Raise ConfigurationError for a database in memory."""
        self._refuse_memory()

    def _restore_dump(self, dump: BinaryIO) -> None:
        self._refuse_memory()
        super()._restore_dump(dump)

    def _create_dump(self) -> BinaryIO:
        self.preflight_dump()
        return read_raw(self.database)


class SqliteConnector(_SqliteConnector):
    """Write and read SQL, in pure Python. Restores into a database whatever is in it."""

    exact: bool = False
    """Whether a restore also removes what was made since the dump."""

    def check_dump(self, head: bytes) -> None:
        """Raise RestoreError if this is not the beginning of SQL for SQLite."""
        if reason := why_foreign(head):
            raise RestoreError(f"{reason} Database {self.alias!r} was not touched.")

    def verify_dump(self, dump: BinaryIO) -> None:
        """Raise RestoreError if the dump is cut, or holds a statement that would not be restored."""
        for _ in read_dump(dump):
            pass

    @property
    def restore_by_hand(self) -> str:
        """Return shell text that loads the dump into a new database file."""
        return f"| sqlite3 -bail {shlex.quote(f'{self.alias}.restored.sqlite3')}"

    def _create_dump(self) -> BinaryIO:
        database = self.database
        with workspace(self.temporary_folder) as folder, ExitStack() as undo:
            path = take_snapshot(database, folder)
            # Of an index only its CREATE is dumped.
            check = IntegrityCheck(database, path, tables_only=True)
            undo.callback(check.close)
            connection = undo.enter_context(closing(database.connect_to(str(path))))
            with database.errors(DumpError, "dump"):
                dump = SqlDump(connection, self.exclude, self._where)
            undo.pop_all()
            return SqlReader(database, connection, check, dump)

    def _restore_dump(self, dump: BinaryIO) -> None:
        database = self.database
        with database.errors(RestoreError, "restore"), database.connect_for_restore() as live:
            SqlLoad(database, live, exact=self.exact).run(dump)
