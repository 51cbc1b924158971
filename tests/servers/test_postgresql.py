from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.requirements import requires
from tests.servers.postgresql import CERT_USER, Cluster, Role, running
from tests.servers.programs import debian_bin, newer_bin

CLUSTERS = [
    pytest.param("postgres", marks=requires("postgresql")),
    pytest.param("newer_postgres", marks=requires("postgresql:newer")),
]
ROLES = [Cluster.admin, Cluster.owner, Cluster.other, Cluster.readonly]
USES_TLS = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
AWKWARD = """a "b" = 'c' \\d/ü:%1"""


@pytest.fixture(params=CLUSTERS)
def cluster(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


@pytest.fixture
def awkward(cluster):
    cluster.create_database(AWKWARD)
    yield AWKWARD
    cluster.drop_database(AWKWARD)


def ask(cluster: Cluster, sql: str, **options: Any) -> Any:
    with closing(psycopg.connect(port=cluster.port, dbname="postgres", **options)) as connection:
        return connection.execute(sql).fetchone()


@requires("postgresql:newer")
def test_the_newer_server_is_newer(newer_postgres):
    assert newer_postgres.version == 17
    assert newer_postgres.psql("SHOW server_version").startswith("17.")


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_roles_log_in_with_tls(cluster, role):
    login = {"host": cluster.host, "user": role.name, "password": role.password}

    assert ask(cluster, USES_TLS, **login) == (True,)
    assert ask(cluster, "SELECT current_user", **login) == (role.name,)


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_roles_log_in_over_the_socket(cluster, role):
    login = {"host": str(cluster.socket_dir), "user": role.name, "password": role.password}

    assert ask(cluster, USES_TLS, **login) == (False,)


def test_the_server_proves_who_it_is(cluster):
    login = {"host": "localhost", "user": cluster.owner.name, "password": cluster.owner.password}

    assert ask(cluster, USES_TLS, sslmode="verify-full", sslrootcert=str(cluster.ca_file), **login) == (True,)


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_wrong_password_is_refused(cluster, role):
    with pytest.raises(AssertionError, match="password authentication failed"):
        cluster.psql("SELECT 1", role=Role(role.name, "wrong"))


def test_a_client_logs_in_with_its_certificate(cluster):
    certificate = {"sslcert": str(cluster.client_cert), "sslkey": str(cluster.client_key)}

    assert cluster.client_key.stat().st_mode & 0o777 == 0o600
    assert ask(cluster, "SELECT current_user", host=cluster.host, user=CERT_USER, **certificate) == (CERT_USER,)


@pytest.mark.parametrize("sslmode", ["require", "disable"])
def test_without_the_certificate_it_is_refused(cluster, sslmode):
    with pytest.raises(psycopg.OperationalError, match=r"certificate|no password"):
        ask(cluster, "SELECT 1", host=cluster.host, user=CERT_USER, sslmode=sslmode)


def test_a_database_belongs_to_its_owner(cluster, awkward):
    cluster.psql("CREATE TABLE thing (id int)", awkward, cluster.owner)

    assert cluster.psql("SELECT tableowner FROM pg_tables WHERE tablename = 'thing'", awkward) == "owner"
    assert "CREATE TABLE public.thing" in cluster.dump(awkward, "--schema-only")
    assert cluster.dump(awkward) == cluster.dump(awkward)


def test_django_logs_in(cluster, awkward, databases):
    from django.db import connections

    databases("server", **cluster.settings(awkward))

    with connections["server"].cursor() as cursor:
        cursor.execute("SELECT current_database()")
        assert cursor.fetchone() == (awkward,)


def test_a_script_ends_at_its_first_error(cluster):
    with pytest.raises(AssertionError, match="division by zero"):
        cluster.psql("SELECT 1;\nSELECT 1/0;\nSELECT 2;")


def test_the_digest_sees_every_table(cluster, awkward):
    cluster.psql(
        """
        CREATE EXTENSION hstore;
        CREATE SCHEMA "o'dd |";
        CREATE TABLE "o'dd |"."t\nt" (r text, t text);
        INSERT INTO "o'dd |"."t\nt" VALUES ('b', '%I'), ('a', NULL);
        CREATE TABLE part (i int) PARTITION BY RANGE (i);
        CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10);
        INSERT INTO part SELECT generate_series(0, 9);
        CREATE MATERIALIZED VIEW seen AS TABLE part;
        CREATE MATERIALIZED VIEW unseen AS TABLE part WITH NO DATA;
        CREATE TABLE no_columns ();
        """,
        awkward,
    )
    before = cluster.digest(awkward)
    cluster.psql("UPDATE part SET i = 1 WHERE i = 2", awkward)
    after = cluster.digest(awkward)

    counts = {table: count for table, (count, _) in before.items()}
    assert counts == {
        '"o\'dd |"."t\nt"': 2,
        "public.part": 10,
        "public.part_1": 10,
        "public.seen": 10,
        "public.unseen": -1,
        "public.no_columns": 0,
    }
    assert {table for table in before if before[table] != after[table]} == {"public.part", "public.part_1"}


@requires("postgresql", "postgis")
def test_postgis_can_be_created(postgres):
    postgres.create_database("places")
    try:
        postgres.psql("CREATE EXTENSION postgis", "places")
        assert postgres.psql("SELECT ST_AsText(ST_Point(1, 2))", "places") == "POINT(1 2)"
        assert postgres.digest("places") == {}
    finally:
        postgres.drop_database("places")


def test_a_crash_can_be_recovered_from(cluster, awkward):
    cluster.psql("CREATE TABLE thing AS SELECT 1", awkward)

    cluster.crash()
    with pytest.raises(AssertionError, match=r"No such file|refused"):
        cluster.psql("SELECT 1")
    cluster.restart()

    assert cluster.psql("TABLE thing", awkward) == "1"
    assert "automatic recovery in progress" in (cluster.root / "log").read_text()


@pytest.mark.parametrize(
    ("find", "requirement"),
    [
        pytest.param(debian_bin, "postgresql", marks=requires("postgresql")),
        pytest.param(newer_bin, "postgresql:newer", marks=requires("postgresql:newer")),
    ],
)
def test_nothing_remains(find, requirement):
    with running(find(), requirement) as cluster:
        assert listening(cluster.port)

    assert not listening(cluster.port)
    assert not cluster.root.exists()


@requires("postgresql", "setpriv")
def test_a_killed_run_takes_the_server_with_it():
    script = (
        "from tests.servers import postgresql, programs\n"
        "cluster = postgresql.Cluster(programs.debian_bin())\n"
        "cluster.start()\n"
        "print(cluster.port, cluster.root, flush=True)\n"
        "input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        port, root = run.stdout.readline().split()
        run.send_signal(signal.SIGKILL)

    deadline = time.monotonic() + 10
    while (Path(root) / "data/postmaster.pid").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not listening(int(port))
    shutil.rmtree(root)


def listening(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
