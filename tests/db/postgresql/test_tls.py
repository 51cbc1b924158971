"""Certificates, and which of the driver's options reach the programs."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

import pytest

from dbbackup.db.exceptions import CommandConnectorError
from dbbackup.db.postgresql import PgDumpBinaryConnector, PgDumpConnector
from tests.db.postgresql.conftest import Connector, Database, MakeDatabase
from tests.db.postgresql.formats import both_formats
from tests.db.postgresql.test_login import TABLE, round_trip
from tests.requirements import requires
from tests.servers.postgresql import CERT_USER, Cluster, Role, quote

pytestmark = requires("postgresql")


@pytest.fixture
def table(database: Database) -> Database:
    database.psql(TABLE)
    return database


@pytest.fixture
def encrypted(postgres: Cluster, make_database: MakeDatabase) -> Database:
    """Return a database of a role that logs in with a certificate alone, never without TLS."""
    postgres.psql(f"GRANT CREATE ON SCHEMA public TO {CERT_USER}", "template1")
    database = make_database(owner=Role(CERT_USER, ""))
    postgres.psql(f"SET ROLE {quote(CERT_USER)}; {TABLE}", database.name)
    return database


def certificate(cluster: Cluster) -> dict[str, Any]:
    # As Path, which is how settings.py has them.
    return {"sslcert": Path(cluster.client_cert), "sslkey": Path(cluster.client_key)}


def verified(cluster: Cluster) -> dict[str, Any]:
    return {"sslmode": "verify-full", "sslrootcert": str(cluster.ca_file)}


@both_formats
def test_certificate_of_the_client(encrypted: Database, cls: type[Connector]):
    options = {**certificate(encrypted.cluster), **verified(encrypted.cluster)}
    before = encrypted.state()
    dump = encrypted.dump(cls, OPTIONS=options)
    encrypted.psql("DELETE FROM t", encrypted.cluster.admin)
    encrypted.restore(dump, cls, OPTIONS=options)
    assert encrypted.state() == before


def test_without_a_certificate(encrypted: Database):
    with pytest.raises(CommandConnectorError, match="requires a valid client certificate"):
        encrypted.dump(OPTIONS={"sslmode": "require"})


def test_verified_server(table: Database):
    round_trip(table, PgDumpBinaryConnector, OPTIONS=verified(table.cluster))
    round_trip(table, PgDumpConnector, HOST="localhost", OPTIONS=verified(table.cluster))


def test_server_of_another_authority(table: Database, tmp_path: Path):
    # A certificate like any other, but not the authority's.
    options = {"sslmode": "verify-full", "sslrootcert": table.cluster.client_cert}
    with pytest.raises(CommandConnectorError, match="certificate verify failed"):
        table.dump(OPTIONS=options)


def test_server_of_another_name(table: Database):
    with pytest.raises(CommandConnectorError, match="does not match host name"):
        table.dump(HOST="other.example", OPTIONS={**verified(table.cluster), "hostaddr": table.cluster.host})


@both_formats
def test_variables_of_one_operation_go_before_the_options(encrypted: Database, cls: type[Connector]):
    # Without TLS the role has no certificate to show, and it has no password.
    options = {**certificate(encrypted.cluster), "sslmode": "disable"}
    required = {"PGSSLMODE": "require"}
    with pytest.raises(CommandConnectorError, match="no password supplied"):
        encrypted.dump(cls, OPTIONS=options)
    dump = encrypted.dump(cls, OPTIONS=options, DUMP_ENV=required)
    with pytest.raises(CommandConnectorError, match="no password supplied"):
        encrypted.restore(dump, cls, OPTIONS=options, DUMP_ENV=required)
    before = encrypted.state()
    encrypted.psql("DELETE FROM t", encrypted.cluster.admin)
    encrypted.restore(dump, cls, OPTIONS=options, RESTORE_ENV=required)
    assert encrypted.state() == before


def test_variable_of_the_dump_without_options(table: Database):
    dump = table.dump(DUMP_ENV={"PGSSLMODE": "require"})
    with pytest.raises(CommandConnectorError, match="root certificate file"):
        table.restore(dump, RESTORE_ENV={"PGSSLMODE": "verify-full"})
    table.restore(dump)


def test_settings_of_the_server(table: Database):
    with pytest.raises(CommandConnectorError, match="nonsense"):
        table.dump(OPTIONS={"options": "-c nonsense=1"})
    # A time limit for a website's queries is none for a backup.
    round_trip(table, PgDumpBinaryConnector, OPTIONS={"options": "-c statement_timeout=1 -c lock_timeout=1"})
    # What Django's own queries need is no trouble either.
    round_trip(table, PgDumpBinaryConnector, OPTIONS={"options": "-c search_path=nowhere,\\ x -c row_security=off"})
    round_trip(table, PgDumpConnector, OPTIONS={"options": "-c search_path=pg_temp -c statement_timeout=5s"})


def test_server_that_is_not_meant(table: Database):
    with pytest.raises(CommandConnectorError, match="not in hot standby mode"):
        table.dump(OPTIONS={"target_session_attrs": "standby"})
    round_trip(table, PgDumpBinaryConnector, OPTIONS={"target_session_attrs": "read-write", "connect_timeout": 10})


def test_time_limit_of_connecting(table: Database):
    # A listener that never answers.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        began = time.monotonic()
        with pytest.raises(CommandConnectorError, match="timeout expired"):
            table.dump(PORT=port, OPTIONS={"connect_timeout": 2})
        assert time.monotonic() - began < 10


def test_role_that_needs_no_certificate_may_send_one(table: Database):
    round_trip(table, PgDumpBinaryConnector, OPTIONS={**certificate(table.cluster), **verified(table.cluster)})
