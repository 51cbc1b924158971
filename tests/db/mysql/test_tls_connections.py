"""Backups and restores over TLS: with the programs of each version, servers with it and without, and certificates."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dbbackup.db.exceptions import CommandConnectorError
from dbbackup.exceptions import ConfigurationError
from tests.db.mysql.conftest import Database, MakeDatabase
from tests.db.mysql.wrapping import noting, wrapped
from tests.requirements import requires
from tests.servers.mariadb import CERT_USER, MariaDB, Role

pytestmark = [requires("mariadb"), requires("mariadb:newer")]

SERVERS = ["mariadb", "newer_mariadb"]


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> MariaDB:
    found: MariaDB = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=["its programs", "other programs"])
def tools(request: pytest.FixtureRequest, server: MariaDB, tmp_path: Path) -> dict[str, str]:
    """Return settings for programs, each of which notes the cipher of a session that is told what it is told."""
    others: MariaDB = request.getfixturevalue(next(name for name in SERVERS if request.getfixturevalue(name) != server))
    bin_dir = (server if request.param == "its programs" else others).bin_dir
    client = shlex.quote(str(bin_dir / "mariadb"))
    line = noting(tmp_path / "ciphers", f"""{client} "$1" -Nse "SHOW STATUS LIKE 'Ssl_cipher'" < /dev/null""")
    return {
        "DUMP_CMD": wrapped(tmp_path / "dump", bin_dir / "mariadb-dump", line),
        "RESTORE_CMD": wrapped(tmp_path / "client", bin_dir / "mariadb", line),
    }


def ciphers(folder: Path) -> set[str]:
    """Return the ciphers of the sessions so far; empty for those in the clear."""
    return {line.partition("\t")[2] for line in (folder / "ciphers").read_text().splitlines()}


def round_trip(database: Database, **settings: Any) -> None:
    if not database.sql("SHOW TABLES", database.server.admin):
        database.sql("CREATE TABLE t (a int); INSERT INTO t VALUES (1)", database.server.admin)
    before = database.state()
    dump = database.dump(**settings)
    database.sql("DELETE FROM t", database.server.admin)
    database.restore(dump, **settings)
    assert database.state() == before


def modes(server: MariaDB) -> dict[str, dict[str, Any]]:
    verified = {"ssl": {"ca": str(server.ca_file)}}
    return {
        "nothing": {},
        "ca": verified,
        "ca as path": {"ssl": {"ca": server.ca_file}},
        "REQUIRED": {"ssl_mode": "REQUIRED"},
        "VERIFY_CA": {"ssl_mode": "VERIFY_CA", **verified},
        "VERIFY_IDENTITY": {"ssl_mode": "VERIFY_IDENTITY", **verified},
    }


@pytest.mark.parametrize("mode", ["nothing", "ca", "ca as path", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"])
def test_sessions_are_encrypted(
    make_database: MakeDatabase, server: MariaDB, tools: dict[str, str], tmp_path: Path, mode: str
):
    round_trip(make_database(server=server), **tools, OPTIONS=modes(server)[mode])
    assert len(ciphers(tmp_path)) == 1
    assert ciphers(tmp_path) != {""}


def test_sessions_are_not_encrypted_where_that_is_asked(
    make_database: MakeDatabase, server: MariaDB, tools: dict[str, str], tmp_path: Path
):
    round_trip(make_database(server=server), **tools, OPTIONS={"ssl_mode": "DISABLED"})
    assert ciphers(tmp_path) == {""}


@pytest.fixture
def without_tls(mariadb: MariaDB) -> Iterator[MariaDB]:
    mariadb.restart("--skip-ssl")
    yield mariadb
    mariadb.restart()


@pytest.fixture(params=["older", "newer"])
def client_of(request: pytest.FixtureRequest, mariadb: MariaDB, newer_mariadb: MariaDB) -> dict[str, str]:
    bin_dir = (mariadb if request.param == "older" else newer_mariadb).bin_dir
    return {"DUMP_CMD": str(bin_dir / "mariadb-dump"), "RESTORE_CMD": str(bin_dir / "mariadb")}


def test_server_without_tls(make_database: MakeDatabase, without_tls: MariaDB, client_of: dict[str, str]):
    database = make_database(server=without_tls)
    round_trip(database, **client_of)
    dump = database.dump(**client_of)
    before = database.state()
    ca = {"ssl": {"ca": str(without_tls.ca_file)}}
    for options in ({"ssl_mode": "REQUIRED"}, ca, {"ssl_mode": "VERIFY_IDENTITY", **ca}):
        for refused in (database.dump, lambda **more: database.restore(dump, **more)):
            # Some programs would go on in the clear.
            with pytest.raises((ConfigurationError, CommandConnectorError), match="TLS"):
                refused(**client_of, OPTIONS=options)
    assert database.state() == before


def test_server_of_another_authority(make_database: MakeDatabase, server: MariaDB, client_of: dict[str, str]):
    database = make_database(server=server)
    # A certificate like any other, but not the authority's.
    options = {"ssl": {"ca": str(server.client_cert)}}
    with pytest.raises(CommandConnectorError, match=r"ERROR 2026 .*\nThe client and the server cannot agree on TLS"):
        database.dump(**client_of, OPTIONS=options)
    round_trip(database, **client_of, OPTIONS={**options, "ssl_mode": "REQUIRED"})


def test_authority_that_is_not_there(make_database: MakeDatabase, server: MariaDB, client_of: dict[str, str]):
    with pytest.raises(CommandConnectorError, match="ERROR 2026"):
        make_database(server=server).dump(**client_of, OPTIONS={"ssl": {"ca": "/no/such/ca.pem"}})


def test_certificate_of_the_client(make_database: MakeDatabase, server: MariaDB, client_of: dict[str, str]):
    database = make_database(server=server, owner=Role(CERT_USER, ""))
    certificate = {"cert": str(server.client_cert), "key": str(server.client_key)}
    with_ca = {"ssl": {"ca": str(server.ca_file), **certificate}}
    round_trip(database, **client_of, OPTIONS=with_ca)
    round_trip(database, **client_of, OPTIONS={"ssl_mode": "REQUIRED", "ssl": certificate})
    for options in ({}, {"ssl": {"ca": str(server.ca_file)}}, {**with_ca, "ssl_mode": "DISABLED"}):
        with pytest.raises(CommandConnectorError, match="ERROR 1045"):
            database.dump(**client_of, OPTIONS=options)


def test_server_that_takes_no_session_in_the_clear(
    make_database: MakeDatabase, server: MariaDB, client_of: dict[str, str]
):
    database = make_database(server=server)
    server.sql("SET GLOBAL require_secure_transport = ON")
    try:
        round_trip(database, **client_of)
        with pytest.raises(CommandConnectorError, match=r"ERROR 1045|insecure transport.*\nThe client and the"):
            database.dump(**client_of, OPTIONS={"ssl_mode": "DISABLED"})
    finally:
        server.sql("SET GLOBAL require_secure_transport = OFF")
