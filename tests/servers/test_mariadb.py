from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pymysql
import pytest

from tests import process
from tests.requirements import requires
from tests.servers.mariadb import CERT_USER, MariaDB, Role, running
from tests.servers.programs import mariadb_bin, newer_mariadb_bin

SERVERS = [
    pytest.param("mariadb", marks=requires("mariadb")),
    pytest.param("newer_mariadb", marks=requires("mariadb:newer")),
]
USERS = [MariaDB.admin, MariaDB.owner, MariaDB.other, MariaDB.readonly]
USES_TLS = "SELECT variable_value <> '' FROM information_schema.session_status WHERE variable_name = 'Ssl_version'"
AWKWARD = ["a `b` = 'c' \"d\" \\e/ü:%1_", "--version", "a%b_c"]


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


@pytest.fixture
def database(server):
    server.create_database("a b")
    yield "a b"
    server.drop_database("a b")


def ask(server: MariaDB, sql: str, user: Role, **options: Any) -> Any:
    login = {"unix_socket": None, "host": server.host, "port": server.port, **options}
    with closing(server.connect(user, **login)) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()


@requires("mariadb", "mariadb:newer")
def test_the_newer_server_is_newer(mariadb, newer_mariadb):
    assert newer_mariadb.version[:2] == (11, 4)
    assert mariadb.version < newer_mariadb.version
    assert newer_mariadb.sql("SELECT VERSION()").startswith("11.4.")


def test_an_ordinary_user_is_one(server, database):
    rights = server.sql("SHOW GRANTS", user=server.owner).splitlines()

    assert [rights[0].partition(" TO ")[0], rights[1]] == [
        "GRANT USAGE ON *.*",
        "GRANT ALL PRIVILEGES ON `a b`.* TO `owner`@`%`",
    ]


@pytest.mark.parametrize("user", USERS, ids=lambda user: user.name)
def test_users_log_in_with_tls(server, user):
    assert ask(server, USES_TLS, user, ssl_ca=str(server.ca_file)) == (1,)
    assert ask(server, "SELECT CURRENT_USER()", user) == (f"{user.name}@%",)


@pytest.mark.parametrize("user", USERS, ids=lambda user: user.name)
def test_users_log_in_without_tls(server, user):
    assert ask(server, USES_TLS, user, ssl_disabled=True) == (0,)


@pytest.mark.parametrize("user", USERS, ids=lambda user: user.name)
def test_users_log_in_over_the_socket(server, user):
    assert server.sql("SELECT CURRENT_USER()", user=user) == f"{user.name}@%"


def test_the_server_proves_who_it_is(server):
    options = {"host": "localhost", "ssl_ca": str(server.ca_file), "ssl_verify_identity": True}

    assert ask(server, USES_TLS, server.owner, **options) == (1,)


@pytest.mark.parametrize("user", [*USERS, Role("", ""), Role("root", "")], ids=lambda user: user.name)
def test_a_wrong_password_is_refused(server, user):
    with pytest.raises(AssertionError, match="Access denied"):
        server.sql("SELECT 1", user=Role(user.name, "wrong"))
    with pytest.raises(pymysql.OperationalError, match="Access denied"):
        ask(server, "SELECT 1", Role(user.name, ""))


def test_a_client_logs_in_with_its_certificate(server):
    files = {"ssl_ca": server.ca_file, "ssl_cert": server.client_cert, "ssl_key": server.client_key}
    user = Role(CERT_USER, "")

    found = ask(server, "SELECT CURRENT_USER()", user, **{name: str(path) for name, path in files.items()})

    assert found == (f"{CERT_USER}@%",)
    assert server.client_key.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("without", [{}, {"ssl_disabled": True}], ids=["certificate", "TLS"])
def test_without_the_certificate_it_is_refused(server, without):
    with pytest.raises(pymysql.OperationalError, match="Access denied"):
        ask(server, "SELECT 1", Role(CERT_USER, ""), **without)


@pytest.mark.parametrize("name", AWKWARD)
def test_a_database_is_its_owners(server, name):
    server.create_database(name)
    try:
        server.sql("CREATE TABLE thing (id int) SELECT 1 AS id", name, server.owner)
        assert server.sql("SELECT DATABASE(), id FROM thing", name, server.owner) == f"{name}\t1"
        assert server.digest(name)["thing"][0] == 1
        with pytest.raises(AssertionError, match="Access denied"):
            server.sql("SELECT 1", name, server.readonly)
        server.grant("SELECT", name, server.readonly)
        assert server.sql("SELECT id FROM thing", name, server.readonly) == "1"
    finally:
        server.drop_database(name)

    assert server.sql("SELECT db FROM mysql.db") == ""
    assert name not in server.sql("SHOW DATABASES").split("\n")


@pytest.mark.parametrize("name", ["a%b_c", "a\\b"])
def test_a_right_is_for_one_database(server, name):
    server.create_database(name)
    server.create_database("aXbXc", server.other)
    try:
        with pytest.raises(AssertionError, match="Access denied"):
            server.sql("SELECT 1", "aXbXc", server.owner)
    finally:
        server.drop_database("aXbXc")
        server.drop_database(name)


def test_a_database_goes_whoever_uses_it(server):
    server.create_database("in use")
    server.sql("CREATE TABLE thing (id int)", "in use")
    with closing(server.connect(server.owner, "in use", autocommit=False)) as connection:
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM thing FOR UPDATE")

        server.drop_database("in use")

    assert "in use" not in server.sql("SHOW DATABASES")


@pytest.mark.parametrize("name", ["a b", *AWKWARD])
def test_django_logs_in(server, name, databases):
    from django.db import connections

    server.create_database(name)
    databases("server", **server.settings(name))
    try:
        with connections["server"].cursor() as cursor:
            cursor.execute("SELECT DATABASE(), CURRENT_USER(), %s", ["ü€ %"])
            assert cursor.fetchone() == (name, "owner@%", "ü€ %")
    finally:
        server.drop_database(name)


def test_a_project_logs_in(server, tmp_path):
    project = process.MariadbProject(tmp_path, server, "project")
    try:
        project.grow(2000)
        grown = project.state()
        done = process.manage(
            project, "shell", "-c", "from django.db import connection as c; print(c.introspection.table_names())"
        )
        assert (done.stderr, project.state()) == ("", grown)
        assert "['thing', 'z_last']" in done.stdout
        project.change()
        assert project.state() != grown
        assert project.sql("SELECT COUNT(*), MIN(LENGTH(name)) FROM thing") == "1000\t96"
        assert project.sessions() == 0
    finally:
        server.drop_database("project")


def test_a_script_ends_at_its_first_error(server):
    with pytest.raises(AssertionError, match="no_such_table"):
        server.sql("SELECT 1;\nSELECT * FROM mysql.no_such_table;\nSELECT 2;")


def test_a_script_is_taken_as_it_is(server, database):
    server.sql("CREATE TABLE t (a text);\nINSERT INTO t VALUES ('\r\n\0 \\\\! €\U0001f600');", database)

    assert server.sql("SELECT a FROM t", database) == "\r\n\0 \\! €\U0001f600"


def test_a_crash_can_be_recovered_from(server, database):
    server.sql("CREATE TABLE thing (id int); INSERT INTO thing VALUES (1)", database)

    server.crash()
    with pytest.raises(AssertionError, match="Can't connect"):
        server.sql("SELECT 1")
    server.restart()

    assert server.sql("SELECT id FROM thing", database) == "1"
    assert "Starting crash recovery" in (server.root / "log").read_text()


def test_a_frozen_server_goes_on(server):
    with server.frozen(), pytest.raises(pymysql.OperationalError, match="timed out"):
        ask(server, "SELECT 1", server.owner, read_timeout=0.2)

    assert ask(server, "SELECT 1", server.owner) == (1,)


def test_options_hold_until_the_next_start(server):
    logs = "SELECT @@log_bin, @@max_allowed_packet"
    usual = server.sql(logs)

    server.freeze()
    server.restart("--log-bin=binlog", "--max-allowed-packet=1M")
    assert server.sql(logs) == "1\t1048576"
    server.restart()
    assert server.sql(logs) == usual == "0\t16777216"


@pytest.mark.parametrize("folder", ["open", "closed"])
@pytest.mark.parametrize("find", [pytest.param(newer_mariadb_bin, marks=requires("mariadb:newer"))])
def test_a_server_starts_in_any_folder(find, folder, tmp_path):
    # Nobody but the one who runs the tests may look into the folder of a test.
    parent = tmp_path if folder == "closed" else Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        parent.chmod(0o755 if folder == "open" else 0o700)
        installed = shutil.copytree(find().parent, parent / "it's a copy", copy_function=os.link)

        with running(installed / "bin", "mariadb:newer") as server:
            assert server.sql("SELECT 1") == "1"
        assert (installed / "bin/mariadbd").exists()
    finally:
        shutil.rmtree(parent)


@pytest.mark.parametrize(
    ("find", "requirement"),
    [
        pytest.param(mariadb_bin, "mariadb", marks=requires("mariadb")),
        pytest.param(newer_mariadb_bin, "mariadb:newer", marks=requires("mariadb:newer")),
    ],
)
def test_nothing_remains(find, requirement):
    with running(find(), requirement) as server:
        assert listening(server.port)
        server.freeze()

    assert not listening(server.port)
    assert not server.root.exists()


@requires("mariadb", "setpriv")
@pytest.mark.parametrize("state", ["running", "frozen"])
def test_a_killed_run_takes_the_server_with_it(state):
    script = (
        "from tests.servers import mariadb, programs\n"
        "server = mariadb.MariaDB(programs.mariadb_bin())\n"
        "server.start()\n"
        f"if {state == 'frozen'}: server.freeze()\n"
        "print(server.port, server.root, flush=True)\n"
        "input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        port, root = run.stdout.readline().split()
        assert listening(int(port))
        run.send_signal(signal.SIGKILL)

    deadline = time.monotonic() + 10
    while listening(int(port)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not listening(int(port))
    shutil.rmtree(root)


def listening(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
