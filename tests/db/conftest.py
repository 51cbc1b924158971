"""SQLite databases of a test's own, each under an alias of its own."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from dbbackup.db.sqlite import SqliteConnector, _SqliteConnector
from tests.db.sqlite_state import state

_numbers = itertools.count()


@dataclass
class Database:
    """A SQLite file and the alias that Django knows it by."""

    path: Path
    alias: str
    settings: dict[str, Any]
    tmp: Path

    def execute(self, *statements: str) -> None:
        with closing(self._connect()) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    def script(self, sql: str) -> None:
        with closing(self._connect()) as connection:
            connection.executescript(sql)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path)
        # What a test prepares need not survive a power cut.
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(sql).fetchall()

    def state(self) -> dict[str, Any]:
        return state(self.path)

    def connector(self, cls: type[_SqliteConnector] = SqliteConnector, **settings: Any) -> _SqliteConnector:
        merged = {**self.settings, "TMP_DIR": self.tmp, "LOCK_TIMEOUT": 0.3, **settings}
        return cls(self.alias, settings=merged)

    def dump(self, cls: type[_SqliteConnector] = SqliteConnector, **settings: Any) -> bytes:
        with closing(self.connector(cls, **settings).create_dump()) as dump:
            return dump.read()

    def open(self) -> sqlite3.Connection:
        """Open a connection of somebody else's; the test closes it."""
        return sqlite3.connect(self.path, isolation_level=None, timeout=0)

    def no_temporary_files(self) -> bool:
        return not list(self.tmp.iterdir())


MakeDatabase = Callable[..., Database]


@pytest.fixture
def make_database(tmp_path: Path, databases: Callable[..., None]) -> MakeDatabase:
    def make(name: str = "app.sqlite3", *, setting: str | Path | None = None, **options: Any) -> Database:
        number = next(_numbers)
        folder, tmp = tmp_path / f"database{number}", tmp_path / f"tmp{number}"
        folder.mkdir()
        tmp.mkdir()
        path = folder / name
        alias = f"db{number}"
        databases(alias, ENGINE="django.db.backends.sqlite3", NAME=setting or path, OPTIONS=options)
        return Database(path, alias, connections.settings[alias], tmp)

    return make


@pytest.fixture
def database(make_database: MakeDatabase) -> Database:
    return make_database()


def live(database: Database) -> sqlite3.Connection:
    """Return Django's own connection, open."""
    connections[database.alias].ensure_connection()
    connection: sqlite3.Connection = connections[database.alias].connection
    return connection
