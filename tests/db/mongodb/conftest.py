"""MongoDB databases of a test's own, each under an alias of its own, on the server of the run."""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database as PymongoDatabase

from tests import mongodb_engine
from tests.servers.mongodb import MongoDB, User

if TYPE_CHECKING:
    from dbbackup.db.mongodb import MongoDumpConnector

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

    server: MongoDB
    name: str
    alias: str
    settings: dict[str, Any]
    tmp: Path

    @property
    def db(self) -> PymongoDatabase[dict[str, Any]]:
        """Return the database as the admin sees it."""
        return self._client[self.name]

    @cached_property
    def _client(self) -> MongoClient[dict[str, Any]]:
        return self.server.client()

    def connector(self, **settings: Any) -> MongoDumpConnector:
        from dbbackup.db.mongodb import MongoDumpConnector

        settings = {**self.settings, "TMP_DIR": self.tmp, "LOCK_TIMEOUT": 5.0, **settings}
        return MongoDumpConnector(self.alias, settings=settings)

    def dump(self, **settings: Any) -> bytes:
        with closing(self.connector(**settings).create_dump()) as dump:
            return dump.read()

    def restore(self, dump: bytes, **settings: Any) -> None:
        self.connector(**settings).restore_dump(io.BytesIO(dump))

    def state(self) -> dict[str, dict[str, Any]]:
        """Return everything: how each collection is made, and a digest of its documents."""
        return self.server.state(self.name)

    def remove(self) -> None:
        """Drop the database and close every client of it."""
        mongodb_engine.close(self.alias)
        if "_client" in vars(self):
            self._client.close()
        self.server.drop_database(self.name)


MakeDatabase = Callable[..., Database]


@pytest.fixture
def make_database(
    request: pytest.FixtureRequest,
    databases: Callable[..., None],
    tmp_path: Path,
    mongo_tools: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[MakeDatabase]:
    """Return what makes an empty database: ``make_database(name, alias=…, user=…, server=…, **settings)``.

    ``user`` is who Django and the connector log in as, by default the owner.
    """
    mongodb_engine.install()
    monkeypatch.setenv("PATH", str(mongo_tools), prepend=os.pathsep)
    made: list[Database] = []

    def make(
        name: str | None = None,
        *,
        alias: str | None = None,
        user: User | None = None,
        server: MongoDB | None = None,
        **settings: Any,
    ) -> Database:
        server = server or request.getfixturevalue("mongodb")
        number = next(_numbers)
        name = name or f"test-ü{number}"
        alias = alias or f"mongo{number}"
        content = {**server.settings(name, user), **settings}
        databases(alias, **content)
        made.append(Database(server, name, alias, content, tmp_path))
        return made[-1]

    yield make
    for database in made:
        database.remove()


@pytest.fixture
def database(make_database: MakeDatabase) -> Database:
    """Return an empty database of the ordinary user's."""
    return make_database()
