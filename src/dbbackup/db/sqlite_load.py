"""A SQL dump into a SQLite database, as a whole or not at all, whatever is in the database before."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from dbbackup.db.exceptions import RestoreError
from dbbackup.db.sqlite_connection import SqliteDatabase, is_locked
from dbbackup.db.sqlite_dump import HEADER, TRAILER
from dbbackup.db.sqlite_integrity import damaged, first_problem
from dbbackup.db.sqlite_schema import SchemaObject, fold, schema_objects
from dbbackup.db.sqlite_splitter import excerpt, split_statements
from dbbackup.db.sqlite_statements import Statement, parse_statement


def read_dump(dump: BinaryIO) -> Iterator[Statement]:
    """Yield the statements of a dump; raise RestoreError instead of ending if it is not whole."""
    own = begun = found = False
    statement = Statement("", "comment")
    for text in split_statements(dump):
        statement = parse_statement(text)
        own = own or (not found and statement.sql.startswith(HEADER))
        found = found or statement.kind != "comment"
        if statement.kind == "transaction":
            begun = statement.word == "BEGIN"
        yield statement
    if not found:
        raise RestoreError("The dump is empty: there is no statement in it.")
    if begun or (own and not statement.sql.endswith(TRAILER)):
        raise RestoreError("The dump is cut off: it does not end as it was written to end.")


class SqlLoad:
    """One load of a dump through a connection to the live database."""

    def __init__(self, database: SqliteDatabase, connection: sqlite3.Connection, *, exact: bool) -> None:
        self._database = database
        self._connection = connection
        self._exact = exact
        self._own = False
        self._was_there: dict[tuple[bool, str], SchemaObject] = {}
        self._created: set[tuple[bool, str]] = set()

    def run(self, dump: BinaryIO) -> None:
        """Load the dump in one transaction; every error leaves the database as it was."""
        connection = self._connection
        with _loading(connection):
            try:
                self._load(dump)
                self._check()
                connection.execute("COMMIT")
            except BaseException:
                connection.rollback()
                raise
            if self._database.in_memory:
                # Virtual tables know their shadows by heart; Django's connection must read them again.
                connection.execute("PRAGMA writable_schema = RESET")

    def _load(self, dump: BinaryIO) -> None:
        is_new = self._database.wait(lambda: self._pragma("page_count")) == "0"
        for statement in read_dump(dump):
            self._own = self._own or statement.sql.startswith(HEADER)
            if statement.kind == "prelude":
                self._prepare(statement, is_new=is_new)
            elif statement.kind in {"create", "rows", "value"}:
                self._begin()
                self._execute(statement)
        self._begin()
        if self._exact:
            self._remove_others()

    def _prepare(self, statement: Statement, *, is_new: bool) -> None:
        """Take on what only an empty database can; refuse what would change every text."""
        if is_new and not self._connection.in_transaction:
            self._connection.execute(statement.sql)
        if statement.word == "encoding" and self._pragma("encoding").upper() != statement.argument.upper():
            raise RestoreError(
                f"The dump is in {statement.argument} and database {self._database.alias!r} in "
                f"{self._pragma('encoding')}, which cannot be changed. Move its file away and restore again."
            )

    def _begin(self) -> None:
        if self._connection.in_transaction:
            return
        # Readers are kept out from the start, where waiting for them costs nothing yet: with a rollback
        # journal, a change larger than the cache would need them gone anyway.
        self._database.wait(lambda: self._connection.execute("BEGIN EXCLUSIVE"))
        self._was_there = {item.key: item for item in schema_objects(self._connection)}

    def _execute(self, statement: Statement) -> None:
        try:
            if statement.kind == "create":
                self._make_room(statement)
            self._connection.execute(statement.sql)
        except (sqlite3.Error, sqlite3.Warning) as exc:
            if is_locked(exc):
                raise
            raise RestoreError(
                f"Cannot restore database {self._database.alias!r}: {exc}, in: {excerpt(statement.sql.encode())}"
            ) from exc

    def _make_room(self, statement: Statement) -> None:
        """Drop what has the name of an object that is about to be created, whatever it is."""
        # In a dump of ours these words mark an excluded table, whose rows stay. Others write them always.
        is_kept = statement.if_not_exists and self._own
        old = self._was_there.get(statement.key)
        if old and not is_kept and statement.key not in self._created and not self._is_new_shadow(old):
            self._connection.execute(old.drop_sql)
        self._created.add(statement.key)

    def _is_new_shadow(self, item: SchemaObject) -> bool:
        """Tell whether an object went, and came again, with the virtual table that it is a shadow of."""
        return item.kind == "shadow" and (False, fold(item.table)) in self._created

    def _remove_others(self) -> None:
        for kind in ("trigger", "view", "virtual", "table", "index"):
            for item in schema_objects(self._connection):
                if item.kind == kind and item.key not in self._created:
                    self._connection.execute(item.drop_sql)

    def _check(self) -> None:
        if problem := first_problem(self._connection):
            raise damaged(RestoreError, self._database, problem)

    def _pragma(self, name: str) -> str:
        return str(self._connection.execute(f"PRAGMA main.{name}").fetchone()[0])


@contextmanager
def _loading(connection: sqlite3.Connection) -> Iterator[None]:
    """Set a connection up for a load, and back."""
    (foreign_keys,) = connection.execute("PRAGMA foreign_keys").fetchone()
    attached = connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("PRAGMA ignore_check_constraints = ON")
    try:
        yield
    finally:
        connection.execute("PRAGMA ignore_check_constraints = OFF")
        connection.execute(f"PRAGMA foreign_keys = {foreign_keys}")
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, attached)
