"""--exact: afterwards there is what the dump has and nothing else, or everything is as it was."""

from __future__ import annotations

import difflib
import io

import pytest

from dbbackup.db.exceptions import CommandConnectorError, RestoreError
from dbbackup.db.postgresql import PgDumpBinaryConnector
from dbbackup.streams import PeekableReader
from tests.db.postgresql.conftest import Database
from tests.db.postgresql.formats import both_formats
from tests.db.postgresql.test_restore import INTACT, SEARCH_PATH
from tests.requirements import requires
from tests.servers.postgresql import quote

pytestmark = requires("postgresql")

SHOP = """
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TABLE customer (id serial PRIMARY KEY, name text, mood mood);
CREATE TABLE purchase (id serial PRIMARY KEY, customer_id int REFERENCES customer);
CREATE FUNCTION double(x int) RETURNS int LANGUAGE sql AS 'SELECT 2 * x';
CREATE SCHEMA "my stock";
CREATE TABLE "my stock".shelf (id int PRIMARY KEY, customer_id int REFERENCES customer);
CREATE VIEW "my stock".names AS SELECT name FROM customer;
INSERT INTO customer (name, mood) SELECT 'customer ' || g, 'happy' FROM generate_series(1, 50) g;
INSERT INTO "my stock".shelf SELECT g, g FROM generate_series(1, 10) g;
SELECT lo_from_bytea(4711, 'abc');
"""
LEFTOVERS = """
CREATE TABLE newer (id int PRIMARY KEY, customer_id int REFERENCES customer);
CREATE VIEW newest AS SELECT * FROM newer JOIN customer USING (id);
CREATE MATERIALIZED VIEW newest_rows AS SELECT * FROM newest;
CREATE SEQUENCE counter;
CREATE TYPE pair AS (a int, b mood);
CREATE TYPE span AS RANGE (subtype = float8);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE FUNCTION double(x pair) RETURNS pair LANGUAGE sql AS 'SELECT x';
CREATE FUNCTION triple(x int) RETURNS int LANGUAGE sql AS 'SELECT 3 * x';
CREATE PROCEDURE act() LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE product (int) (SFUNC = int4mul, STYPE = int);
CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'stop'; END $$;
CREATE TRIGGER stop BEFORE INSERT ON customer EXECUTE FUNCTION stop();
CREATE OPERATOR *# (LEFTARG = int, RIGHTARG = int, FUNCTION = int4mul);
CREATE COLLATION ours FROM "C";
CREATE STATISTICS counted ON id, customer_id FROM newer;
CREATE TEXT SEARCH CONFIGURATION words (COPY = simple);
CREATE TEXT SEARCH DICTIONARY terms (TEMPLATE = simple);
CREATE SCHEMA "to go";
CREATE TABLE "to go"."a "" name" (id int REFERENCES newer);
CREATE PUBLICATION news FOR TABLE newer;
SELECT lo_from_bytea(4712, 'more');
UPDATE customer SET mood = 'sad';
"""


def prepared(database: Database, dump: bytes, cls=PgDumpBinaryConnector, **settings) -> str:
    """Return the warnings of the preflight."""
    connector = database.connector(cls, **settings)
    connector.inspect_dump(PeekableReader(io.BytesIO(dump)))
    return "\n".join(connector.preflight_restore())


def changes(database: Database, before: tuple[str, dict[str, tuple[int, str]]]) -> str:
    """Return the difference to an earlier state, so that a failure shows it."""
    schema, rows = database.state()
    lines = difflib.unified_diff(before[0].splitlines(), schema.splitlines(), lineterm="", n=1)
    return "\n".join([*lines, *sorted({str(row) for row in rows.items() ^ before[1].items()})])


@both_formats
def test_exact_removes_whatever_is_not_in_the_dump(database, cls):
    database.psql(SHOP)
    before, dump = database.state(), database.dump(cls)
    database.psql(LEFTOVERS)
    database.restore(dump, cls, EXACT=True)
    assert changes(database, before) == ""
    assert database.psql("SELECT oid FROM pg_largeobject_metadata") == "4711"


@both_formats
def test_preflight_lists_what_goes(database, cls):
    database.psql(SHOP)
    dump = database.dump(cls)
    database.psql(LEFTOVERS)
    before = database.state()
    said = prepared(database, dump, cls, EXACT=True)
    assert "removed" in said
    for name in ("to go", "newer", "newest", "counter", "and"):
        assert name in said
    assert changes(database, before) == ""


def test_preflight_lists_functions_and_types_that_go(database):
    database.psql("CREATE TABLE kept (id int)")
    dump = database.dump()
    database.psql("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TYPE t AS ENUM ('a')")
    database.psql("SELECT lo_from_bytea(0, 'x'), lo_from_bytea(0, 'y')")
    assert prepared(database, dump, EXACT=True) == "not in the backup, and will be removed: f, t, 2 large objects"


@both_formats
def test_preflight_of_an_equal_database_or_an_empty_one_is_silent(make_database, cls):
    source, empty = make_database(), make_database()
    source.psql(SHOP)
    dump = source.dump(cls)
    assert prepared(empty, dump, cls, EXACT=True) == ""
    if cls is PgDumpBinaryConnector:
        assert prepared(source, dump, cls, EXACT=True) == ""


@both_formats
def test_exact_into_an_empty_database(make_database, cls):
    source, target = make_database(), make_database()
    source.psql(SHOP)
    target.restore(source.dump(cls), cls, EXACT=True)
    assert target.state() == source.state()


@both_formats
def test_serial_columns_come_back_over_identity_columns(database, cls):
    database.psql(SHOP)
    before, dump = database.state(), database.dump(cls)
    database.psql("""
        ALTER TABLE purchase ALTER id DROP DEFAULT; DROP SEQUENCE purchase_id_seq;
        ALTER TABLE purchase ALTER id ADD GENERATED BY DEFAULT AS IDENTITY""")
    with pytest.raises(CommandConnectorError, match=r"identity column(.|\n)*--exact(.|\n)*as it was"):
        database.restore(dump, cls)
    database.restore(dump, cls, EXACT=True)
    assert changes(database, before) == ""


@both_formats
def test_failing_exact_restore_leaves_everything_as_it_was(database, cls):
    database.psql(SHOP + SEARCH_PATH)
    dump = database.dump(cls)
    database.psql(LEFTOVERS)
    before = database.state()
    with pytest.raises(CommandConnectorError) as caught:
        # What asks for several transactions does not count together with it.
        database.restore(dump, cls, EXACT=True, SINGLE_TRANSACTION=False)
    assert str(caught.value).endswith(INTACT)
    assert changes(database, before) == ""


@both_formats
def test_exact_restore_whose_psql_is_killed_leaves_everything_as_it_was(database, cls, tmp_path):
    database.psql(SHOP)
    dump = database.dump(cls)
    database.psql(LEFTOVERS)
    before = database.state()
    database.connector()
    killer = tmp_path / "killer"
    # Lets the beginning through, with all that drops, then dies with psql as a machine that loses its power.
    killer.write_text('#!/bin/bash\n(head -c 20000; kill -9 $$) | "$@"\n')
    killer.chmod(0o755)
    with pytest.raises(CommandConnectorError) as caught:
        database.restore(dump, cls, EXACT=True, RESTORE_PREFIX=str(killer))
    assert str(caught.value).endswith(INTACT)
    assert changes(database, before) == ""


@both_formats
@pytest.mark.parametrize("public_owner", ["owner", "other"])
def test_owner_grants_and_comment_of_public_stay(make_database, cls, public_owner):
    database = make_database()
    owner = getattr(database.cluster, public_owner)
    boss = database.cluster.admin
    database.psql(f"ALTER SCHEMA public OWNER TO {quote(owner.name)}", boss)
    database.psql("GRANT ALL ON SCHEMA public TO owner; COMMENT ON SCHEMA public IS 'ours'", boss)
    database.psql(SHOP)
    before, dump = database.state(), database.dump(cls)
    database.psql("CREATE TABLE newer (customer_id int REFERENCES customer)")
    database.restore(dump, cls, EXACT=True)
    assert changes(database, before) == ""


@both_formats
def test_extensions_and_their_schemas_stay(database, cls):
    boss = database.cluster.admin
    database.psql("CREATE SCHEMA tools; CREATE EXTENSION hstore SCHEMA tools; CREATE EXTENSION pgcrypto", boss)
    database.psql("GRANT ALL ON SCHEMA tools TO owner", boss)
    database.psql(SHOP + "CREATE TABLE tools.bag (a tools.hstore); INSERT INTO tools.bag VALUES ('a => 1')")
    before, dump = database.state(), database.dump(cls)
    database.psql(LEFTOVERS + "CREATE TABLE tools.other (a tools.hstore, b tools.hstore[]);")
    if cls is PgDumpBinaryConnector:
        said = prepared(database, dump, cls, EXACT=True)
        assert "tools.other" in said
        assert "schema to go," in said
    database.restore(dump, cls, EXACT=True)
    assert changes(database, before) == ""


@both_formats
def test_limited_to_some_schemas_the_others_stay(database, cls):
    database.psql('CREATE SCHEMA a; CREATE SCHEMA "B b"; CREATE TABLE a.one (id int); CREATE TABLE "B b".two (id int)')
    dump = database.dump(cls, SCHEMAS=["a"])
    before = database.state()
    database.psql("CREATE TABLE a.more (id int); INSERT INTO a.one VALUES (1)")
    if cls is PgDumpBinaryConnector:
        assert (
            prepared(database, dump, cls, EXACT=True, SCHEMAS=["a"]) == "not in the backup, and will be removed: a.more"
        )
    database.restore(dump, cls, EXACT=True, SCHEMAS=["a"])
    assert changes(database, before) == ""


DEPENDENTS = """
CREATE TABLE b.two (id int REFERENCES a.one);
CREATE VIEW b.seen AS SELECT id FROM a.one;
CREATE FUNCTION b.f(x a.mood) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TABLE b.felt (mood a.mood, moods a.mood[]);
CREATE TABLE b.part PARTITION OF a.parted DEFAULT;
CREATE TABLE b.counted (id int DEFAULT nextval('a.counter'));
CREATE TABLE b.indexed (id int); CREATE INDEX ON b.indexed (a.f(id));
"""


@both_formats
def test_what_would_go_with_a_limited_schema_is_named_and_nothing_goes(database, cls):
    database.psql("""
        CREATE SCHEMA a; CREATE SCHEMA b; CREATE TABLE a.one (id int PRIMARY KEY); CREATE TYPE a.mood AS ENUM ('x');
        CREATE TABLE a.parted (id int) PARTITION BY LIST (id); CREATE SEQUENCE a.counter;
        CREATE FUNCTION a.f(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1'""")
    dump = database.dump(cls, SCHEMAS=["a"])
    database.psql(DEPENDENTS)
    before = database.state()
    with pytest.raises(RestoreError) as caught:
        database.restore(dump, cls, EXACT=True, SCHEMAS=["a"])
    for name in (
        "table constraint two_id_fkey on b.two",
        "b.seen",
        "function b.f(a.mood)",
        "table column b.felt.mood,",
        "table column b.felt.moods",
        "table b.part",
        "default value for b.counted.id",
        "index b.indexed_f_idx",
    ):
        assert name in str(caught.value)
    assert "Nothing was changed." in str(caught.value)
    assert changes(database, before) == ""


def test_what_builds_on_an_extension_in_a_limited_schema_is_no_hindrance(database):
    database.psql("CREATE EXTENSION hstore")
    database.psql("CREATE TABLE own (id int); CREATE SCHEMA b; CREATE TABLE b.bag (a hstore, b hstore[])")
    before, dump = database.state(), database.dump(SCHEMAS=["public"])
    database.psql("CREATE TABLE more (id int)")
    database.restore(dump, EXACT=True, SCHEMAS=["public"])
    assert changes(database, before) == ""


@both_formats
def test_dump_with_more_schemas_than_the_limit_is_refused(database, cls):
    database.psql("CREATE SCHEMA a; CREATE SCHEMA b; CREATE TABLE a.one (id int); CREATE TABLE b.two (id int)")
    dump, before = database.dump(cls), database.state()
    with pytest.raises(RestoreError, match="also has schema b"):
        database.restore(dump, cls, EXACT=True, SCHEMAS=["a"])
    assert changes(database, before) == ""


@both_formats
def test_default_privileges_set_after_the_backup_change_nothing(database, cls):
    database.psql(SHOP + "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT INSERT ON TABLES TO other;")
    database.psql("ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC")
    before, dump = database.state(), database.dump(cls)
    database.psql("""
        ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO readonly;
        ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON SEQUENCES TO PUBLIC;
        ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO other WITH GRANT OPTION;
        ALTER DEFAULT PRIVILEGES REVOKE USAGE ON TYPES FROM PUBLIC;
        ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO other""")
    database.restore(dump, cls, EXACT=True)
    assert changes(database, before) == ""


@both_formats
def test_superuser_restores_exactly_what_only_it_can_make(database, cls):
    boss = database.cluster.admin
    settings = {"USER": boss.name, "PASSWORD": boss.password}
    database.psql(SHOP)
    before, dump = database.state(), database.dump(cls, **settings)
    database.psql(LEFTOVERS)
    database.psql(
        """
        CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
        CREATE EVENT TRIGGER watch ON sql_drop EXECUTE FUNCTION watch();
        CREATE FOREIGN DATA WRAPPER dummy; CREATE SERVER far FOREIGN DATA WRAPPER dummy;
        CREATE FOREIGN TABLE away (id int) SERVER far;
        """,
        boss,
    )
    database.restore(dump, cls, EXACT=True, **settings)
    assert changes(database, before) == ""
