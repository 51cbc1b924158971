"""Engines that wrap Django's: the connector of what they wrap, for real where the package is installed."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections, models

from dbbackup import db
from tests.db.mysql.conftest import Database, MakeDatabase
from tests.requirements import requires
from tests.shop import Store

CONNECTOR = "dbbackup.db.mysql.MysqlDumpConnector"
GIS = "django.contrib.gis.db.backends.mysql"
PROMETHEUS = "django_prometheus.db.backends.mysql"
SHAPES = [
    "SRID=4326;POINT (8.54 47.37)",
    "SRID=0;POINT (-1.5 2)",
    "SRID=4326;LINESTRING (0 0, 1 1.5, 2 2)",
    "SRID=4326;POLYGON ((0 0, 9 0, 9 9, 0 9, 0 0), (1 1, 2 1, 2 2, 1 2, 1 1))",
    "SRID=4326;MULTIPOINT ((1 1), (2 2))",
    "SRID=4326;GEOMETRYCOLLECTION (POINT (1 1), LINESTRING (0 0, 1 1))",
]


@pytest.mark.parametrize("engine", ["django.db.backends.mysql", GIS, PROMETHEUS, "dj_db_conn_pool.backends.mysql"])
def test_connector_of_an_engine(engine: str):
    assert db.connector_path(engine) == CONNECTOR
    assert type(db.get_connector("default", {"ENGINE": engine, "NAME": "a"})).__name__ == "MysqlDumpConnector"


def there_and_back(store: Store, database: Database) -> None:
    """Use the database through Django, back up, change, restore and use it again."""
    # The wrapper itself is at work: it counts what passes.
    with connections["shop"].cursor() as cursor:
        cursor.execute("CREATE TABLE t (a text)")
        cursor.execute("INSERT INTO t VALUES (%s)", ["ä 😀"])
    before = database.state()
    manifest = store.manifest(store.backup())
    assert (manifest["engine"], manifest["connector"]) == (connections["shop"].settings_dict["ENGINE"], CONNECTOR)
    with connections["shop"].cursor() as cursor:
        cursor.execute("DELETE FROM t")
    assert database.state() != before
    run = store.run("dbrestore", "--noinput")
    assert (run.error, run.status) == ("", 0)
    assert database.state() == before
    with connections["shop"].cursor() as cursor:
        cursor.execute("SELECT a FROM t")
        assert [*cursor.fetchall()] == [("ä 😀",)]


@requires("mariadb")
def test_plain(store: Store, make_database: MakeDatabase):
    there_and_back(store, make_database(alias="shop"))


@requires("mariadb", "python:django_prometheus")
def test_prometheus(store: Store, make_database: MakeDatabase):
    from django_prometheus.db import execute_total

    there_and_back(store, make_database(alias="shop", ENGINE=PROMETHEUS))
    counted = {sample.labels["alias"]: sample.value for sample in execute_total.collect()[0].samples}
    assert counted["shop"] >= 3


@requires("mariadb", "postgis")  # GDAL and GEOS come with the packages of PostGIS
def test_geometries_of_django(store: Store, make_database: MakeDatabase):
    from django.contrib.gis.db.models import GeometryField
    from django.contrib.gis.geos import GEOSGeometry

    class Place(models.Model):  # noqa: DJ008 - shown to nobody
        shape = GeometryField(srid=4326, null=True)

        class Meta:
            app_label = "places"
            managed = False
            db_table = "place of things"

    database = make_database(alias="shop", ENGINE=GIS)
    with connections["shop"].schema_editor() as editor:
        editor.create_model(Place)
    places = Place._default_manager.using("shop")
    for shape in SHAPES:
        places.create(shape=GEOSGeometry(shape))
    places.create(shape=None)
    kept = [place.shape and (place.shape.srid, place.shape.wkb) for place in places.order_by("id")]
    assert len(kept) == len(SHAPES) + 1
    store.backup("-z")
    before = database.state()
    places.filter(id__gt=2).delete()
    places.update(shape=GEOSGeometry("SRID=4326;POINT (0 0)"))
    assert database.state() != before
    run = store.run("dbrestore", "--noinput")
    assert (run.error, run.status) == ("", 0)
    assert database.state() == before
    assert [place.shape and (place.shape.srid, place.shape.wkb) for place in places.order_by("id")] == kept
    there_and_back(store, database)


@requires("mariadb", "python:django_prometheus")
def test_backup_of_the_plain_engine_goes_into_the_wrapped_one(store: Store, make_database: MakeDatabase):
    database = make_database(alias="shop")
    database.sql("CREATE TABLE t (a int)")
    before = database.state()
    store.backup()
    settings: dict[str, Any] = connections.settings["shop"]
    connections["shop"].close()
    settings["ENGINE"] = PROMETHEUS
    del connections["shop"]
    database.sql("DROP TABLE t")
    run = store.run("dbrestore", "--noinput")
    assert (run.error, run.status) == ("", 0)
    assert database.state() == before
