"""Restores by another role than the dump's owners."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from dbbackup.db.exceptions import CommandConnectorError, RestoreError
from dbbackup.db.postgresql import PgDumpBinaryConnector, PgDumpConnector
from tests.db.postgresql.conftest import Database, MakeDatabase
from tests.db.postgresql.formats import both_formats
from tests.db.postgresql.test_exact import prepared
from tests.db.postgresql.test_restore import INTACT
from tests.requirements import requires
from tests.servers.postgresql import Cluster, Role

pytestmark = requires("postgresql")

SHOP = """
CREATE SCHEMA stock;
CREATE TABLE stock.shelf (id serial PRIMARY KEY);
CREATE TABLE "the customer" (id serial PRIMARY KEY, name text);
CREATE FUNCTION double(x int) RETURNS int LANGUAGE sql AS 'SELECT 2 * x';
GRANT SELECT ON "the customer" TO readonly;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO readonly;
INSERT INTO "the customer" (name) SELECT 'customer ' || g FROM generate_series(1, 20) g;
SELECT lo_from_bytea(4711, 'abc');
"""
OWNERS = "SELECT DISTINCT relowner::regrole FROM pg_class WHERE oid >= 16384 AND relkind IN ('r', 'S', 'v')"


def told(database: Database, dump: bytes, cls, **settings) -> list[str]:
    """Restore and return what was said meanwhile."""
    said: list[str] = []
    connector = database.connector(cls, **settings)
    connector.listen(said.append)
    connector.restore_dump(io.BytesIO(dump))
    return said


@pytest.fixture
def role(postgres: Cluster) -> Iterator[str]:
    """Return a role that cannot log in."""
    name = "the team's"
    postgres.psql(f'CREATE ROLE "{name}"')
    yield name
    postgres.psql(f'DROP OWNED BY "{name}"; DROP ROLE IF EXISTS "{name}"')


@both_formats
@pytest.mark.parametrize("exact", [False, True])
def test_another_role_restores_into_its_own_database(make_database: MakeDatabase, postgres, cls, exact):
    source = make_database()
    target = make_database(owner=postgres.other)
    source.psql(SHOP)
    dump = source.dump(cls)
    for _ in range(2):
        warnings = prepared(target, dump, cls, EXACT=exact)
        said = told(target, dump, cls, EXACT=exact)
        assert "nothing can be given to owner" in (warnings + "\n".join(said)).lower()
        assert "to other" in warnings + "\n".join(said)
    assert postgres.digest(target.name) == postgres.digest(source.name)
    assert target.psql(OWNERS, postgres.other) == "other"
    assert "readonly" not in target.state()[0]


@both_formats
def test_superuser_gives_everything_back_to_its_owners(make_database, postgres, cls):
    source = make_database()
    target = make_database(role=postgres.admin)
    source.psql(SHOP)
    assert told(target, source.dump(cls), cls) == []
    assert target.state() == source.state()


@both_formats
def test_restore_as_a_role_makes_everything_its_own(make_database, postgres, role, cls):
    source, target = make_database(), make_database()
    source.psql("CREATE TABLE thing (id serial)")
    dump = source.dump(cls)
    postgres.psql(f"""GRANT "{role}" TO owner; GRANT ALL ON SCHEMA public TO "{role}" """, target.name)
    try:
        target.restore(dump, cls, ROLE=role)
        assert target.psql(OWNERS) == f'"{role}"'
    finally:
        postgres.psql(f'DROP OWNED BY "{role}"', target.name)


@both_formats
def test_role_that_may_not_be_taken_is_an_error(database, role, cls):
    database.psql("CREATE TABLE thing (id int)")
    dump, before = database.dump(cls), database.state()
    with pytest.raises(CommandConnectorError, match="permission denied to set"):
        database.restore(dump, cls, ROLE=role)
    assert database.state() == before


def granted_to_a_role_that_is_gone(database: Database, role: str, cls) -> bytes:
    database.psql(f'CREATE TABLE thing (id int); GRANT SELECT ON thing TO "{role}" WITH GRANT OPTION')
    dump = database.dump(cls)
    database.cluster.psql(f'DROP OWNED BY "{role}"', database.name)
    database.cluster.psql(f'ALTER ROLE "{role}" RENAME TO renamed')
    return dump


@pytest.fixture
def renamed_back(postgres: Cluster, role: str) -> Iterator[None]:
    yield
    postgres.psql(f'ALTER ROLE renamed RENAME TO "{role}"')


def test_role_that_is_gone_is_named_before_anything_runs(database, role, renamed_back):
    dump = granted_to_a_role_that_is_gone(database, role, PgDumpBinaryConnector)
    before = database.state()
    with pytest.raises(RestoreError, match=r"grants something to the team's.*--no-privileges.*Nothing was changed"):
        database.restore(dump)
    assert database.state() == before
    database.restore(dump, PG_OPTIONS="--no-privileges")
    assert database.state() == before


def test_role_that_is_gone_stops_a_plain_dump(database, role, renamed_back):
    dump = granted_to_a_role_that_is_gone(database, role, PgDumpConnector)
    before = database.state()
    with pytest.raises(CommandConnectorError, match='role "the team\'s" does not exist') as caught:
        database.restore(dump, PgDumpConnector)
    assert str(caught.value).endswith(INTACT)
    assert database.state() == before


@both_formats
def test_owner_that_is_gone_is_replaced(make_database, postgres, role, cls):
    source, target = make_database(), make_database()
    postgres.psql(f'CREATE TABLE thing (id int); ALTER TABLE thing OWNER TO "{role}"', source.name)
    admin: Role = postgres.admin
    dump = source.dump(cls, USER=admin.name, PASSWORD=admin.password)
    source.psql("DROP TABLE thing", admin)
    postgres.psql(f'DROP ROLE "{role}"; CREATE ROLE "{role}x"')
    try:
        said = prepared(target, dump, cls) + "\n".join(told(target, dump, cls))
        assert role in said
        assert target.psql(OWNERS) == "owner"
    finally:
        postgres.psql(f'ALTER ROLE "{role}x" RENAME TO "{role}"')
