"""PostgreSQL databases of a test's own, each under an alias of its own, on the servers of the run."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dbbackup.db.postgresql import PgDumpBinaryConnector, PgDumpConnector
from tests.servers.postgresql import Cluster, Role

Connector = PgDumpBinaryConnector | PgDumpConnector

_numbers = itertools.count()
_ON_EVERY_PYTHON = {"test_conformance.py", "test_wrapped_engines.py"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave what depends on the server alone to the first Python."""
    for item in items:
        if item.path.parent == Path(__file__).parent and item.path.name not in _ON_EVERY_PYTHON:
            item.add_marker(pytest.mark.once)


@dataclass
class Database:
    """A database on a server, and the alias that Django knows it by."""

    cluster: Cluster
    name: str
    alias: str
    settings: dict[str, Any]
    tmp: Path

    def psql(self, sql: str, role: Role | None = None) -> str:
        """Run SQL, by default as the owner."""
        return self.cluster.psql(sql, self.name, role or self.cluster.owner)

    def connector(self, cls: type[Connector] = PgDumpBinaryConnector, **settings: Any) -> Connector:
        return cls(self.alias, settings={**self.settings, "TMP_DIR": self.tmp, "LOCK_TIMEOUT": 5.0, **settings})

    def dump(self, cls: type[Connector] = PgDumpBinaryConnector, **settings: Any) -> bytes:
        with closing(self.connector(cls, **settings).create_dump()) as dump:
            return dump.read()

    def restore(self, dump: bytes, cls: type[Connector] = PgDumpBinaryConnector, **settings: Any) -> None:
        self.connector(cls, **settings).restore_dump(io.BytesIO(dump))

    def state(self) -> tuple[str, dict[str, tuple[int, str]]]:
        """Return everything: the schema with privileges as pg_dump shows it, and a digest of each table's rows."""
        return self.cluster.dump(self.name, "--schema-only"), self.cluster.digest(self.name)


MakeDatabase = Callable[..., Database]


@pytest.fixture
def make_database(postgres: Cluster, databases: Callable[..., None], tmp_path: Path) -> Iterator[MakeDatabase]:
    """Return what makes an empty database: ``make_database(name, alias=…, owner=…, role=…, cluster=…, **settings)``.

    ``role`` is who Django and the connector log in as, by default the owner.
    """
    made: list[Database] = []

    def make(
        name: str | None = None,
        *,
        alias: str | None = None,
        owner: Role | None = None,
        role: Role | None = None,
        cluster: Cluster | None = None,
        **settings: Any,
    ) -> Database:
        cluster = cluster or postgres
        number = next(_numbers)
        name = name or f"test {number}"
        alias = alias or f"pg{number}"
        cluster.create_database(name, owner)
        content = {**cluster.settings(name, role or owner), **settings}
        databases(alias, **content)
        made.append(Database(cluster, name, alias, content, tmp_path))
        return made[-1]

    yield make
    for database in made:
        database.cluster.drop_database(database.name)


@pytest.fixture
def database(make_database: MakeDatabase) -> Database:
    """Return an empty database of the ordinary role's."""
    return make_database()
