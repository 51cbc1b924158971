"""The conformance suite of connectors, on real databases."""

from __future__ import annotations

from typing import Any

import pytest

from dbbackup.db.base import BaseDBConnector
from dbbackup.db.postgresql import PgDumpBinaryConnector, PgDumpConnector, PgDumpGisConnector
from dbbackup.testing import ConnectorConformance
from tests.db.postgresql.conftest import Connector, MakeDatabase
from tests.db.postgresql.everything import EVERYTHING, content
from tests.requirements import requires

pytestmark = requires("postgresql")


class PostgresConformance(ConnectorConformance):
    connector: type[Connector]
    script = EVERYTHING

    @pytest.fixture(autouse=True)
    def _database(self, make_database: MakeDatabase) -> None:
        self.database = make_database()

    def make_connector(self) -> BaseDBConnector:
        return self.database.connector(self.connector)

    def fill(self) -> None:
        self.database.psql(self.script)

    def state(self) -> Any:
        return content(self.database)

    def empty(self) -> None:
        self.database.psql("DROP TABLE vals, hen, egg CASCADE; DELETE FROM sale; SELECT lo_unlink(100001)")


class TestBinary(PostgresConformance):
    connector = PgDumpBinaryConnector


class PlainConformance(PostgresConformance):
    def _dump(self) -> bytes:
        # A dump that lacks the blank lines at its end is as good as any.
        return super()._dump().rstrip(b"\n")


class TestPlain(PlainConformance):
    connector = PgDumpConnector


@requires("postgis")
class TestGis(PlainConformance):
    connector = PgDumpGisConnector
    script = """
        CREATE TABLE place (id serial PRIMARY KEY, at geometry(Point, 4326));
        INSERT INTO place (at) VALUES ('SRID=4326;POINT(1 2)');
    """

    @pytest.fixture(autouse=True)
    def _extension(self, _database: None) -> None:
        self.database.psql("CREATE EXTENSION postgis", self.database.cluster.admin)

    def empty(self) -> None:
        self.database.psql("DROP TABLE place")
