"""SCHEMAS and --schema: a part of a database, whatever its schemas are called."""

from __future__ import annotations

import json

import pytest

from dbbackup.db.exceptions import DumpError
from dbbackup.db.postgresql import PgDumpBinaryConnector, PgDumpConnector
from tests.db.postgresql.everything import content
from tests.requirements import requires
from tests.servers.postgresql import quote

pytestmark = requires("postgresql")

NAMES = [
    "s p",
    "-dash",
    "--schema",
    'quo"te',
    "a.b",
    "Upper",
    "star*",
    "new\nline",
    "ünï@x:y;%s'",
    "back\\slash",
    "public|s p",
]
both_connectors = pytest.mark.parametrize("connector", [PgDumpBinaryConnector, PgDumpConnector])


@pytest.fixture
def filled(database):
    """Return a database with a table, a view and a row in each of its schemas."""
    script = "CREATE TABLE t (id int, s text); INSERT INTO t VALUES (1, 'in public'); SELECT lo_from_bytea(7, 'x');"
    for name in NAMES:
        schema, text = quote(name), name.replace("'", "''")
        script += f"""
            CREATE SCHEMA {schema}; CREATE TABLE {schema}.t (id serial PRIMARY KEY, s text);
            COMMENT ON SCHEMA {schema} IS 'x';
            INSERT INTO {schema}.t (s) VALUES ('in {text}'); GRANT USAGE ON SCHEMA {schema} TO readonly;
            CREATE VIEW {schema}.v AS SELECT s FROM {schema}.t;
        """
    database.psql(script)
    return database


def texts(database):
    """Return what the tables say they are in."""
    schemas = database.psql("SELECT to_json(table_schema) FROM information_schema.tables WHERE table_name = 't'")
    names = [json.loads(line) for line in schemas.split("\n") if line]
    union = " UNION ALL ".join(f"SELECT to_json(s) FROM {quote(name)}.t" for name in names)
    return {json.loads(line).removeprefix("in ") for line in database.psql(union).split("\n") if line}


def test_schema_of_any_name_is_dumped_alone(filled):
    for name in NAMES:
        dump = filled.dump(PgDumpConnector, SCHEMAS=[name]).decode()
        said = [dump.count(word) for word in ("\nCREATE SCHEMA", "\nCREATE TABLE", "\nCREATE VIEW", "\n1\tin ")]
        assert said == [1, 1, 1, 1], name


def test_setting_may_be_one_name(filled):
    assert filled.dump(PgDumpConnector, SCHEMAS="s p").count(b"\nCREATE TABLE") == 1


@both_connectors
def test_some_schemas_come_back_in_a_fresh_database(filled, make_database, connector):
    target, chosen = make_database(), [*NAMES[::2], "public"]
    target.restore(filled.dump(connector, SCHEMAS=chosen), connector)
    assert texts(target) == {*chosen}
    # Large objects are in no schema.
    assert target.psql("SELECT count(*) FROM pg_largeobject_metadata") == "0"


@both_connectors
def test_some_schemas_come_back_and_the_others_stay(filled, connector):
    before = content(filled)
    dump = filled.dump(connector, SCHEMAS=["s p", "-dash", "public"])
    filled.psql('UPDATE t SET s = \'changed\'; DROP SCHEMA "s p" CASCADE; ALTER TABLE "-dash".t ADD added int')
    filled.restore(dump, connector)
    assert content(filled) == before
    filled.psql("UPDATE \"Upper\".t SET s = 'kept'; UPDATE t SET s = 'changed'")
    filled.restore(dump, connector)
    assert texts(filled) == {*NAMES, "public", "kept"} - {"Upper"}


@both_connectors
def test_exact_restore_keeps_to_the_schemas_of_the_setting(filled, connector):
    before, chosen = content(filled), ["s p", "public"]
    dump = filled.dump(connector, SCHEMAS=chosen)
    filled.psql('CREATE TABLE "s p".left_over (t int); CREATE TYPE left_over AS (i int); DELETE FROM t')
    filled.restore(dump, connector, EXACT=True, SCHEMAS=chosen)
    assert content(filled) == before


def test_unknown_schema_is_an_error_with_near_misses(filled):
    with pytest.raises(DumpError, match=r"no schema 'uper' or 'zzz'.*Did you mean.*'Upper'"):
        filled.dump(SCHEMAS=["public", "uper", "zzz"])


def test_schema_of_the_system_is_none_to_be_dumped(database):
    for name in ("pg_catalog", "information_schema", "pg_toast"):
        with pytest.raises(DumpError, match=f"no schema '{name}'"):
            database.dump(SCHEMAS=[name])


def test_pattern_means_every_schema_that_fits(filled):
    assert filled.dump(PgDumpConnector, SCHEMAS=["*dash", "? ?"]).count(b"\nCREATE TABLE") == 2


@both_connectors
def test_flag_may_be_repeated(store, make_database, filled, connector):
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"CONNECTOR": f"{connector.__module__}.{connector.__name__}"}}
    database = make_database(alias="shop")
    database.restore(filled.dump())
    store.backup("-n", "s p", "--schema=--schema", "--schema=-dash")
    database.psql(
        'DROP SCHEMA "s p" CASCADE; DROP SCHEMA "--schema" CASCADE; DROP SCHEMA "-dash" CASCADE; DELETE FROM t'
    )
    assert store.run("dbrestore", "--noinput").error == ""
    assert texts(database) == {*NAMES}


def test_flag_goes_before_the_setting(store, make_database, filled):
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"SCHEMAS": ["public"]}}
    database = make_database(alias="shop")
    database.restore(filled.dump())
    store.backup("-n", "Upper")
    database.psql("UPDATE t SET s = 'kept'; UPDATE \"Upper\".t SET s = 'changed'")
    assert store.run("dbrestore", "--noinput").error == ""
    assert texts(database) == {*NAMES, "kept"}


def test_flag_with_an_unknown_schema_stores_nothing(store, make_database):
    make_database(alias="shop")
    run = store.run("dbbackup", "-n", "publik")
    assert run.status == 1
    assert "'publik'" in run.error
    assert "Did you mean 'public'" in run.error
    assert store.stored() == []
