"""The conformance suite of connectors, for every connector that works here, and one of others'."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from dbbackup.db.base import BaseCommandDBConnector, BaseDBConnector
from dbbackup.db.sqlite import SqliteBackupConnector, SqliteConnector, SqliteCPConnector, _SqliteConnector
from dbbackup.testing import ConnectorConformance
from tests.db.conftest import Database, MakeDatabase, make_database
from tests.db.everything import EVERYTHING
from tests.testing.custom import JsonConnector

__all__ = ["make_database"]


class SqliteConformance(ConnectorConformance):
    connector: type[_SqliteConnector]
    journal = "delete"

    @pytest.fixture(autouse=True)
    def _database(self, make_database: MakeDatabase) -> Iterator[None]:
        self.database: Database = make_database()
        self.database.execute(f"PRAGMA journal_mode = {self.journal}", "CREATE TABLE first(a)", "DROP TABLE first")
        yield
        assert self.database.no_temporary_files()

    def make_connector(self) -> BaseDBConnector:
        return self.database.connector(self.connector, EXACT=True)

    def fill(self) -> None:
        self.database.script(EVERYTHING)

    def state(self) -> Any:
        return self.database.state()

    def empty(self) -> None:
        self.database.script("DROP TRIGGER no_delete; DELETE FROM book; DROP TABLE author; DROP TABLE search;")


class TestSqliteBackup(SqliteConformance):
    connector = SqliteBackupConnector


class TestSqliteBackupOfLog(SqliteConformance):
    connector = SqliteBackupConnector
    journal = "wal"


class TestSqliteCP(SqliteConformance):
    connector = SqliteCPConnector


class TestSqlite(SqliteConformance):
    connector = SqliteConnector


class FileConformance(ConnectorConformance):
    @pytest.fixture(autouse=True)
    def _path(self, tmp_path: Path) -> None:
        self.path = tmp_path / "data.json"
        self.path.write_text("[]")

    @property
    def settings(self) -> dict[str, Any]:
        return {"ENGINE": "json", "NAME": str(self.path)}

    def fill(self) -> None:
        self.path.write_text(json.dumps([{"name": "Zoë", "n": number} for number in range(100)]))

    def state(self) -> Any:
        return json.loads(self.path.read_text())

    def empty(self) -> None:
        self.path.write_text("[]")


class TestJsonConnector(FileConformance):
    def make_connector(self) -> BaseDBConnector:
        return JsonConnector("default", settings=self.settings)


class ProgramConnector(BaseCommandDBConnector):
    accepts_stream = True

    def _create_dump(self) -> BinaryIO:
        return self.dump_stream(["cat", "--", self.settings["NAME"]])

    def _restore_dump(self, dump: BinaryIO) -> None:
        new = f"{self.settings['NAME']}.new"
        self.restore_stream(["dd", f"of={new}", "status=none"], dump)
        Path(new).replace(self.settings["NAME"])


class TestProgramConnector(FileConformance):
    notices_cuts = False

    def make_connector(self) -> BaseDBConnector:
        return ProgramConnector("default", settings=self.settings)


def test_forgetful_author_is_told():
    suite = ConnectorConformance()
    for method in (suite.make_connector, suite.fill, suite.state, suite.empty):
        with pytest.raises(NotImplementedError, match=rf"must provide an? {method.__name__}\(\) method"):
            method()
