"""A snapshot of a SQLite database on its way out."""

# ruff: noqa: S608 (every name and text that comes into SQL here is quoted)

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import BinaryIO

from dbbackup.db.sqlite_integrity import IntegrityCheck
from dbbackup.db.sqlite_schema import SchemaObject, find_tables, quoted, schema_objects
from dbbackup.streams import CHUNK_SIZE, StreamReader


def remove_rows(connection: sqlite3.Connection, names: Sequence[str], where: str) -> None:
    """Take every row out of these tables of a snapshot, so that no byte of them is left in the file."""
    objects = schema_objects(connection)
    excluded = find_tables(objects, names, where)
    for pragma in (
        "foreign_keys = OFF",
        "secure_delete = ON",
        "journal_mode = OFF",
        "synchronous = OFF",
    ):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("BEGIN")
    for table in excluded:
        if table.kind == "virtual":
            # Deleted rows would live on in the segments of a full-text index.
            _execute(connection, table.drop_sql, table.sql)
            continue
        triggers = [item for item in objects if _fires_on(item, table)]
        for trigger in triggers:
            connection.execute(trigger.drop_sql)
        connection.execute(f"DELETE FROM {quoted(table.name)}")
        for trigger in triggers:
            connection.execute(trigger.sql)
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_stat4'").fetchone():
            # Its samples are values of the rows.
            connection.execute("DELETE FROM sqlite_stat4 WHERE tbl = ? COLLATE NOCASE", [table.name])
    connection.execute("COMMIT")


def _fires_on(item: SchemaObject, table: SchemaObject) -> bool:
    return item.kind == "trigger" and item.table == table.name


def _execute(connection: sqlite3.Connection, *statements: str) -> None:
    for statement in statements:
        connection.execute(statement)


class SnapshotReader(StreamReader):
    """The bytes of a snapshot; a damaged one raises DumpError instead of ending."""

    def __init__(self, file: BinaryIO, check: IntegrityCheck) -> None:
        self._file = file
        self._check = check
        super().__init__(file)

    def _next_chunk(self) -> bytes:
        chunk = self._file.read(CHUNK_SIZE)
        if not chunk:
            self._check.finish()
        return chunk

    def cancel(self, *, force: bool = False) -> None:
        """Stop the check that the end of the file waits for."""
        self._check.cancel()
        super().cancel(force=force)

    def _release(self) -> None:
        self._check.close()
        super()._release()
