"""The conformance suite of connectors, on a real database."""

from __future__ import annotations

from typing import Any

import pytest

from dbbackup.db.base import BaseDBConnector
from dbbackup.testing import ConnectorConformance
from tests.db.mongodb.conftest import MakeDatabase
from tests.db.mongodb.everything import CHANGES, KINDS, fill
from tests.requirements import requires


@requires("mongodb")
class TestMongodb(ConnectorConformance):
    @pytest.fixture(autouse=True)
    def _database(self, make_database: MakeDatabase) -> None:
        self.database = make_database()

    def make_connector(self) -> BaseDBConnector:
        return self.database.connector()

    def fill(self) -> None:
        fill(self.database, KINDS)

    def state(self) -> Any:
        return self.database.state()

    def empty(self) -> None:
        fill(self.database, CHANGES)
