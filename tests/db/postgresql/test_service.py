"""A service file of libpq's that says where the database is."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from dbbackup.db.exceptions import CommandConnectorError
from dbbackup.db.postgresql import PgDumpBinaryConnector, PgDumpConnector
from tests.db.postgresql.conftest import Connector, Database
from tests.db.postgresql.formats import both_formats
from tests.db.postgresql.test_login import TABLE, round_trip
from tests.requirements import requires

pytestmark = requires("postgresql")

NOTHING = {"NAME": "", "USER": "", "HOST": "", "PORT": ""}
SERVICE = {"service": "of the test"}


@pytest.fixture
def table(database: Database) -> Database:
    database.psql(TABLE)
    return database


@pytest.fixture
def service(table: Database, tmp_path: Path) -> dict[str, Any]:
    """Return settings that name a service, which says everything but the password."""
    cluster = table.cluster
    path = tmp_path / "pg_service.conf"
    path.write_text(
        f"[of the test]\nhost={cluster.host}\nport={cluster.port}\ndbname={table.name}\nuser={cluster.owner.name}\n"
        "sslmode=disable\n",
        encoding="utf-8",
    )
    return {**NOTHING, "OPTIONS": SERVICE, "ENV": {"PGSERVICEFILE": str(path)}}


@both_formats
def test_service_says_everything(table: Database, service: dict[str, Any], cls: type[Connector]):
    round_trip(table, cls, **service)


def test_service_of_the_home_folder(
    table: Database, service: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "pg_service.conf").rename(tmp_path / ".pg_service.conf")
    round_trip(table, PgDumpBinaryConnector, **{**service, "ENV": {}})


def test_what_is_given_goes_before_the_service(table: Database, service: dict[str, Any]):
    before = table.state()
    service["NAME"] = "no such"
    with pytest.raises(CommandConnectorError, match='database "no such" does not exist'):
        table.dump(**service)
    service["NAME"] = table.name
    with pytest.raises(CommandConnectorError, match='user "nobody"'):
        table.dump(**{**service, "USER": "nobody"})
    with pytest.raises(CommandConnectorError, match="Connection refused"):
        table.restore(table.dump(**service), **{**service, "PORT": "1"})
    assert table.state() == before


def test_options_go_before_the_service(table: Database, service: dict[str, Any]):
    with pytest.raises(CommandConnectorError, match="certificate verify failed"):
        table.dump(
            **{**service, "OPTIONS": {**SERVICE, "sslmode": "verify-ca", "sslrootcert": table.cluster.client_cert}}
        )


def test_service_that_is_not_there(table: Database, service: dict[str, Any]):
    with pytest.raises(CommandConnectorError, match='definition of service "other" not found'):
        table.dump(**{**service, "OPTIONS": {"service": "other"}})


def test_line_for_the_restore_by_hand_names_the_service(table: Database, service: dict[str, Any]):
    line = table.connector(**service).restore_by_hand
    assert shlex.split(line)[-2:] == ["-d", "service='of the test'"]
    line = table.connector(PgDumpConnector, **{**service, "NAME": "a b"}).restore_by_hand
    assert shlex.split(line)[-2:] == ["-d", "service='of the test' dbname='a b'"]
