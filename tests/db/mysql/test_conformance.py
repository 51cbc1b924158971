"""The conformance suite of connectors, on real databases."""

from __future__ import annotations

from typing import Any

import pytest

from dbbackup.db.base import BaseDBConnector
from dbbackup.testing import ConnectorConformance
from tests.db.mysql.conftest import MakeDatabase
from tests.db.mysql.everything import CHANGES, fill, programs
from tests.requirements import requires
from tests.servers.mariadb import MariaDB


class MariadbConformance(ConnectorConformance):
    @pytest.fixture(autouse=True)
    def _database(self, make_database: MakeDatabase, server: MariaDB) -> None:
        self.database = make_database(server=server, **programs(server))

    def make_connector(self) -> BaseDBConnector:
        return self.database.connector()

    def _dump(self) -> bytes:
        # A dump that lacks the end of its last line is as good as any.
        return super()._dump().rstrip(b"\n")

    def fill(self) -> None:
        fill(self.database)

    def state(self) -> Any:
        return self.database.state()

    def empty(self) -> None:
        fill(self.database, CHANGES)


@requires("mariadb")
class TestMariadb(MariadbConformance):
    @pytest.fixture
    def server(self, mariadb: MariaDB) -> MariaDB:
        return mariadb


@requires("mariadb:newer")
class TestNewerMariadb(MariadbConformance):
    @pytest.fixture
    def server(self, newer_mariadb: MariaDB) -> MariaDB:
        return newer_mariadb
