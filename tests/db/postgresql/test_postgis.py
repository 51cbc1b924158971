"""PostGIS: the extension that an ordinary role may not make, geometries, and the rows of spatial_ref_sys."""

from __future__ import annotations

import io
import logging
from typing import Any

import pytest

from dbbackup.db.exceptions import RestoreError
from dbbackup.db.postgresql import PgDumpBinaryConnector, PgDumpConnector, PgDumpGisConnector
from dbbackup.streams import PeekableReader
from tests.db.postgresql.conftest import Connector, Database, MakeDatabase
from tests.requirements import requires
from tests.servers.postgresql import Cluster
from tests.shop import Store

pytestmark = requires("postgresql", "postgis")

gis = pytest.mark.parametrize("cls", [PgDumpBinaryConnector, PgDumpGisConnector], ids=["archive", "gis"])
GEOMETRIES = """
CREATE TABLE place (
    id serial PRIMARY KEY, name text, point {0}geometry(Point, 4326), area {0}geometry(MultiPolygon, 2056),
    spot {0}geography(PointZ), any_one {0}geometry
);
INSERT INTO place (name, point, area, spot, any_one) VALUES
    ('Zürich', 'SRID=4326;POINT(8.54 47.37)',
     'SRID=2056;MULTIPOLYGON(((0 0,0 9,9 9,9 0,0 0),(1 1,1 2,2 2,2 1,1 1)),((20 20,20 21,21 21,20 20)))',
     'POINT Z (8.5 47.3 400.25)', 'SRID=3857;GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1e-300 1e300))'),
    ('empty', NULL, NULL, NULL, 'POLYGON EMPTY');
CREATE INDEX ON place USING gist (point);
"""
VIEW = "CREATE VIEW near AS SELECT name, ST_Area(area) AS size FROM place WHERE ST_DWithin(point, point, 1)"
CUSTOM = "INSERT INTO spatial_ref_sys VALUES (990001, 'mine', 1, 'ünïque', '+proj=longlat')"


def with_postgis(database: Database, schema: str = "public") -> Database:
    database.cluster.psql(f'CREATE EXTENSION postgis WITH SCHEMA "{schema}"', database.name)
    return database


@pytest.fixture
def source(make_database: MakeDatabase) -> Database:
    database = with_postgis(make_database())
    database.psql(GEOMETRIES.format("") + VIEW)
    return database


@pytest.fixture
def admin(postgres: Cluster) -> dict[str, Any]:
    return {"ADMIN_USER": postgres.admin.name, "ADMIN_PASSWORD": postgres.admin.password}


def rows(database: Database) -> str:
    return database.cluster.psql("TABLE place ORDER BY id; SELECT * FROM near", database.name)


@gis
def test_over_the_database_itself(source: Database, cls: type[Connector]):
    before = source.state()
    dump = source.dump(cls)
    source.psql("DELETE FROM place; DROP VIEW near")
    source.restore(dump, cls)
    assert source.state() == before
    source.psql("CREATE TABLE more (a geometry)")
    source.restore(dump, cls, EXACT=True)
    assert source.state() == before


@gis
def test_into_a_fresh_database_where_the_admin_makes_the_extension(
    source: Database, make_database: MakeDatabase, admin: dict[str, Any], cls: type[Connector]
):
    dump = source.dump(cls)
    target = make_database()
    # The second time the extension is there.
    for exact in (cls is PgDumpGisConnector, cls is PgDumpBinaryConnector):
        target.restore(dump, cls, EXACT=exact, **admin)
        assert target.state() == source.state()
        assert rows(target) == rows(source)


@gis
def test_into_a_database_that_has_the_extension(source: Database, make_database: MakeDatabase, cls: type[Connector]):
    target = with_postgis(make_database())
    target.restore(source.dump(cls), cls)
    assert target.state() == source.state()


@gis
def test_without_an_admin_nothing_is_left_behind(source: Database, make_database: MakeDatabase, cls: type[Connector]):
    target = make_database()
    target.psql("CREATE TABLE kept (a int); INSERT INTO kept VALUES (1)")
    before = target.state()
    with pytest.raises(RestoreError, match=r"may not make the extension postgis: set ADMIN_USER"):
        target.restore(source.dump(cls), cls)
    assert target.state() == before


def test_without_an_admin_the_command_fails(store: Store, source: Database, make_database: MakeDatabase):
    database = make_database(alias="shop", CONNECTOR="dbbackup.db.postgresql.PgDumpGisConnector")
    with_postgis(database)
    database.psql(GEOMETRIES.format(""))
    store.backup()
    database.psql("DROP TABLE place")
    database.cluster.psql("DROP EXTENSION postgis", database.name)
    before = database.state()
    run = store.run("dbrestore", "--noinput")
    assert (run.status, "postgis" in run.error, "ADMIN_USER" in run.error) == (1, True, True)
    assert database.state() == before


@gis
def test_superuser_makes_the_extension_itself(source: Database, make_database: MakeDatabase, cls: type[Connector]):
    admin = source.cluster.admin
    source.cluster.psql(CUSTOM, source.name)
    target = make_database(owner=source.cluster.owner, role=admin)
    dump = source.dump(cls, USER=admin.name, PASSWORD=admin.password)
    for _ in range(2):
        target.restore(dump, cls)
        assert target.state() == source.state()
        assert target.psql("SELECT auth_name FROM spatial_ref_sys WHERE srid = 990001", admin) == "mine"
        target.psql("UPDATE spatial_ref_sys SET auth_name = 'other' WHERE srid = 990001", admin)


@gis
def test_rows_that_the_role_may_not_write_are_left_out(
    source: Database, make_database: MakeDatabase, cls: type[Connector], caplog: pytest.LogCaptureFixture
):
    cluster = source.cluster
    cluster.psql(CUSTOM, source.name)
    dump = source.dump(cls)
    target = with_postgis(make_database())
    connector = target.connector(cls)
    reader = PeekableReader(io.BytesIO(dump))
    connector.inspect_dump(reader)
    warnings = connector.preflight_restore()
    with caplog.at_level(logging.WARNING):
        connector.restore_dump(reader)
    assert "spatial_ref_sys" in " ".join(warnings) + caplog.text
    assert rows(target) == rows(source)
    assert cluster.psql("SELECT count(*) FROM spatial_ref_sys WHERE srid = 990001", target.name) == "0"


@gis
def test_extension_in_a_schema_of_its_own(make_database: MakeDatabase, admin: dict[str, Any], cls: type[Connector]):
    schema = "gis schema"
    source = make_database()
    source.psql(f'CREATE SCHEMA "{schema}"')
    with_postgis(source, schema).psql(GEOMETRIES.format(f'"{schema}".'))
    before = source.state()
    dump = source.dump(cls)
    target = make_database()
    target.restore(dump, cls, **admin)
    assert target.state() == before
    target.psql("DELETE FROM place")
    target.restore(dump, cls)
    assert target.state() == before
    target.restore(dump, cls, EXACT=True)
    assert target.state() == before


@gis
def test_schema_of_somebody_else(make_database: MakeDatabase, admin: dict[str, Any], cls: type[Connector]):
    source = make_database()
    source.cluster.psql("CREATE SCHEMA gis; GRANT USAGE ON SCHEMA gis TO owner, readonly", source.name)
    with_postgis(source, "gis").psql(GEOMETRIES.format("gis."))
    target = make_database()
    dump = source.dump(cls)
    target.restore(dump, cls, **admin)
    assert target.cluster.digest(target.name) == source.cluster.digest(source.name)
    target.restore(dump, cls)
    assert target.cluster.digest(target.name) == source.cluster.digest(source.name)


@gis
def test_failing_restore_takes_the_extension_away_again(
    make_database: MakeDatabase, admin: dict[str, Any], cls: type[Connector]
):
    source = make_database()
    source.psql('CREATE SCHEMA "gis schema"')
    with_postgis(source, "gis schema").psql(GEOMETRIES.format('"gis schema".'))
    dump = source.dump(cls)
    target = make_database()
    target.psql("CREATE TABLE kept (a int)")
    # In the way of the dump's table of that name, and not to be dropped as one.
    target.psql("CREATE VIEW place AS SELECT 1 AS id")
    before = target.state()
    with pytest.raises(Exception, match=r'relation "place"[\s\S]*The database is as it was'):
        target.restore(dump, cls, **admin)
    assert target.state() == before


def test_admin_that_may_not_log_in(source: Database, make_database: MakeDatabase):
    target = make_database()
    before = target.state()
    with pytest.raises(Exception, match='password authentication failed for user "admin"') as caught:
        target.restore(source.dump(), ADMIN_USER="admin", ADMIN_PASSWORD="no")
    assert "as it was" in str(caught.value)
    assert target.state() == before


@requires("postgresql:newer")
@pytest.mark.parametrize(("cls", "with_admin"), [(PgDumpBinaryConnector, True), (PgDumpGisConnector, False)])
def test_server_without_postgis(
    source: Database, newer_postgres: Cluster, make_database: MakeDatabase, cls: type[Connector], with_admin: bool
):
    target = make_database(cluster=newer_postgres)
    settings: dict[str, Any] = {}
    if with_admin:
        settings = {"ADMIN_USER": newer_postgres.admin.name, "ADMIN_PASSWORD": newer_postgres.admin.password}
    before = target.state()
    with pytest.raises(RestoreError, match="server does not have the extension postgis"):
        target.restore(source.dump(cls), cls, **settings)
    assert target.state() == before


def test_gis_dump_without_the_extension_makes_it(make_database: MakeDatabase, admin: dict[str, Any]):
    source = make_database()
    source.psql("CREATE TABLE t (a int)")
    dump = source.dump(PgDumpConnector)
    target = make_database()
    target.restore(dump, PgDumpGisConnector, **admin)
    assert target.psql("SELECT extname FROM pg_extension WHERE extname = 'postgis'") == "postgis"
    assert target.psql("SELECT relname FROM pg_class WHERE relname = 't'") == "t"


def test_topology(make_database: MakeDatabase):
    source = with_postgis(make_database())
    cluster = source.cluster
    cluster.psql("CREATE EXTENSION postgis_topology", source.name)
    as_admin: dict[str, Any] = {"USER": cluster.admin.name, "PASSWORD": cluster.admin.password}
    cluster.psql("SELECT topology.CreateTopology('town', 4326)", source.name)
    dump = source.dump(**as_admin)
    target = make_database()
    for _ in range(2):
        target.restore(dump, **as_admin)
        assert target.state() == source.state()
        assert cluster.psql("SELECT name FROM topology.topology", target.name) == "town"


def test_engine_of_django(store: Store, make_database: MakeDatabase, admin: dict[str, Any]):
    database = make_database(alias="shop", ENGINE="django.contrib.gis.db.backends.postgis")
    with_postgis(database).psql(GEOMETRIES.format("") + VIEW)
    before = database.state()
    name = store.backup()
    assert name.endswith(".psql")
    assert store.manifest(name)["connector"] == "dbbackup.db.postgresql.PgDumpGisConnector"
    database.psql("DROP TABLE place CASCADE")
    database.cluster.psql("DROP EXTENSION postgis", database.name)
    store.settings.DBBACKUP_CONNECTORS = {"shop": admin}
    run = store.run("dbrestore", "--noinput")
    assert (run.error, run.status) == ("", 0)
    assert database.state() == before
