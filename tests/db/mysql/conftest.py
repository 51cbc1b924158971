"""MariaDB databases of a test's own, each under an alias of its own, on the servers of the run."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers.mariadb import MariaDB, Role

if TYPE_CHECKING:
    from dbbackup.db.mysql import MysqlDumpConnector

_numbers = itertools.count()
_ON_EVERY_PYTHON = {"test_conformance.py"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave what depends on the server alone to the first Python."""
    for item in items:
        if item.path.parent == Path(__file__).parent and item.path.name not in _ON_EVERY_PYTHON:
            item.add_marker(pytest.mark.once)


@dataclass
class Database:
    """A database on a server, and the alias that Django knows it by."""

    server: MariaDB
    name: str
    alias: str
    settings: dict[str, Any]
    tmp: Path

    def sql(self, text: str, user: Role | None = None) -> str:
        """Run SQL, by default as the owner."""
        return self.server.sql(text, self.name, user or self.server.owner)

    def connector(self, **settings: Any) -> MysqlDumpConnector:
        from dbbackup.db.mysql import MysqlDumpConnector

        settings = {**self.settings, "TMP_DIR": self.tmp, "LOCK_TIMEOUT": 5.0, **settings}
        return MysqlDumpConnector(self.alias, settings=settings)

    def dump(self, **settings: Any) -> bytes:
        with closing(self.connector(**settings).create_dump()) as dump:
            return dump.read()

    def restore(self, dump: bytes, **settings: Any) -> None:
        self.connector(**settings).restore_dump(io.BytesIO(dump))

    def state(self) -> tuple[dict[str, Any], dict[str, tuple[int, str]]]:
        """Return everything: how the database and what it holds are made, and a digest of each table's rows."""
        return self.server.state(self.name)


MakeDatabase = Callable[..., Database]


@pytest.fixture
def make_database(
    request: pytest.FixtureRequest, databases: Callable[..., None], tmp_path: Path
) -> Iterator[MakeDatabase]:
    """Return what makes an empty database: ``make_database(name, alias=…, owner=…, user=…, server=…, **settings)``.

    ``user`` is who Django and the connector log in as, by default the owner.
    """
    made: list[Database] = []

    def make(
        name: str | None = None,
        *,
        alias: str | None = None,
        owner: Role | None = None,
        user: Role | None = None,
        server: MariaDB | None = None,
        **settings: Any,
    ) -> Database:
        server = server or request.getfixturevalue("mariadb")
        number = next(_numbers)
        name = name or f"test {number}"
        alias = alias or f"my{number}"
        server.create_database(name, owner)
        content = {**server.settings(name, user or owner), **settings}
        databases(alias, **content)
        made.append(Database(server, name, alias, content, tmp_path))
        return made[-1]

    yield make
    for database in made:
        database.server.drop_database(database.name)


@pytest.fixture
def database(make_database: MakeDatabase) -> Database:
    """Return an empty database of the ordinary user's."""
    return make_database()
