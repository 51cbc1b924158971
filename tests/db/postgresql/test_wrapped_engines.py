"""Engines that wrap Django's: the connector of what they wrap, for real where the package is installed."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections

from dbbackup import db
from tests.db.postgresql.conftest import Database, MakeDatabase
from tests.requirements import requires
from tests.shop import Store

BINARY = "dbbackup.db.postgresql.PgDumpBinaryConnector"
GIS = "dbbackup.db.postgresql.PgDumpGisConnector"


@pytest.mark.parametrize(
    ("engine", "connector"),
    [
        ("django.db.backends.postgresql", BINARY),
        ("django.db.backends.postgresql_psycopg2", BINARY),
        ("django_prometheus.db.backends.postgresql", BINARY),
        ("django_tenants.postgresql_backend", BINARY),
        ("psqlextra.backend", BINARY),
        ("dj_db_conn_pool.backends.postgresql", BINARY),
        ("django.contrib.gis.db.backends.postgis", GIS),
        ("django_prometheus.db.backends.postgis", GIS),
    ],
)
def test_connector_of_an_engine(engine: str, connector: str):
    assert db.connector_path(engine) == connector
    assert type(db.get_connector("default", {"ENGINE": engine, "NAME": "a"})).__name__ == connector.rpartition(".")[2]


def there_and_back(store: Store, database: Database, connector: str) -> None:
    """Use the database through Django, back up, change, restore and use it again."""
    # The wrapper itself is at work: it counts what passes.
    with connections["shop"].cursor() as cursor:
        cursor.execute("CREATE TABLE t (a text); INSERT INTO t VALUES ('ä')")
    before = database.state()
    name = store.backup()
    manifest = store.manifest(name)
    assert (manifest["engine"], manifest["connector"]) == (connections["shop"].settings_dict["ENGINE"], connector)
    with connections["shop"].cursor() as cursor:
        cursor.execute("DELETE FROM t")
    assert database.state() != before
    run = store.run("dbrestore", "--noinput")
    assert (run.error, run.status) == ("", 0)
    assert database.state() == before
    with connections["shop"].cursor() as cursor:
        cursor.execute("SELECT a FROM t")
        assert cursor.fetchall() == [("ä",)]


@requires("postgresql", "python:django_prometheus")
def test_prometheus(store: Store, make_database: MakeDatabase):
    from django_prometheus.db import execute_total

    database = make_database(alias="shop", ENGINE="django_prometheus.db.backends.postgresql")
    there_and_back(store, database, BINARY)
    counted = {sample.labels["alias"]: sample.value for sample in execute_total.collect()[0].samples}
    assert counted["shop"] >= 3


@requires("postgresql", "postgis", "python:django_prometheus")
def test_prometheus_with_postgis(store: Store, make_database: MakeDatabase):
    database = make_database(alias="shop", ENGINE="django_prometheus.db.backends.postgis")
    database.cluster.psql("CREATE EXTENSION postgis", database.name)
    database.psql("CREATE TABLE place (p geometry(Point, 4326)); INSERT INTO place VALUES ('SRID=4326;POINT(8 47)')")
    there_and_back(store, database, GIS)


@requires("postgresql", "python:django_prometheus")
def test_backup_of_the_plain_engine_goes_into_the_wrapped_one(store: Store, make_database: MakeDatabase):
    database = make_database(alias="shop")
    database.psql("CREATE TABLE t (a int)")
    before = database.state()
    store.backup()
    settings: dict[str, Any] = connections.settings["shop"]
    connections["shop"].close()
    settings["ENGINE"] = "django_prometheus.db.backends.postgresql"
    del connections["shop"]
    database.psql("DROP TABLE t")
    run = store.run("dbrestore", "--noinput")
    assert (run.error, run.status) == ("", 0)
    assert database.state() == before
