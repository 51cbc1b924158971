"""A restore that fails leaves everything as it was, or says what it left; what options leave out stays."""

from __future__ import annotations

import io

import pytest

from dbbackup.db.exceptions import CommandConnectorError, RestoreError
from dbbackup.db.postgresql import PgDumpBinaryConnector, PgDumpConnector
from dbbackup.exceptions import ConfigurationError
from dbbackup.streams import PeekableReader
from tests.db.postgresql.awkward import SCRIPT
from tests.db.postgresql.conftest import Database
from tests.db.postgresql.formats import both_formats
from tests.requirements import requires

pytestmark = requires("postgresql")

INTACT = "The database is as it was."
SHOP = """
CREATE TABLE customer (id serial PRIMARY KEY, name text);
CREATE TABLE purchase (id serial PRIMARY KEY, customer_id int REFERENCES customer);
CREATE SCHEMA stock;
CREATE TABLE stock.shelf (id int PRIMARY KEY);
INSERT INTO customer (name) SELECT 'customer ' || g FROM generate_series(1, 100) g;
INSERT INTO purchase (customer_id) SELECT g FROM generate_series(1, 100) g;
INSERT INTO stock.shelf SELECT generate_series(1, 10);
"""
CHANGES = """
DELETE FROM purchase WHERE id > 50;
UPDATE customer SET name = 'changed';
CREATE VIEW newest AS SELECT 1 AS one;
"""
# An index over a function that finds its table by search_path alone, which a restore empties.
SEARCH_PATH = """
CREATE FUNCTION greatest_shelf(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN RAISE NOTICE 'counting'; RETURN (SELECT x + count(*) FROM customer); END $$;
CREATE TABLE late (id int);
INSERT INTO late VALUES (1);
CREATE INDEX late_index ON late (greatest_shelf(id));
"""


def failed(database: Database, dump: bytes, cls=PgDumpBinaryConnector, **settings) -> CommandConnectorError:
    with pytest.raises(CommandConnectorError) as caught:
        database.restore(dump, cls, **settings)
    return caught.value


@both_formats
def test_restore_brings_back_what_was_changed(database, cls):
    database.psql(SHOP)
    before, dump = database.state(), database.dump(cls)
    database.psql("DELETE FROM purchase; UPDATE customer SET name = 'x'; ALTER TABLE customer ADD extra int;")
    database.restore(dump, cls)
    assert database.state() == before


@both_formats
def test_awkward_names_and_bodies_come_back(database, cls):
    database.cluster.psql(SCRIPT.replace('ALTER TABLE "Empty" OWNER TO "o\'wner; Type: ACL";', ""), database.name)
    before, dump = database.state(), database.dump(cls, **admin(database))
    database.psql("DROP VIEW v", database.cluster.admin)
    database.restore(dump, cls, **admin(database))
    assert database.state() == before


def admin(database: Database) -> dict[str, str]:
    role = database.cluster.admin
    return {"USER": role.name, "PASSWORD": role.password}


@both_formats
def test_failure_late_in_the_restore_leaves_the_old_data(database, cls):
    database.psql(SHOP + SEARCH_PATH)
    dump = database.dump(cls)
    database.psql(CHANGES)
    before = database.state()
    error = failed(database, dump, cls)
    assert error.returncode
    assert str(error).endswith(INTACT)
    assert 'relation "customer" does not exist' in str(error)
    assert database.state() == before


@both_formats
def test_leftover_in_the_way_is_named_and_nothing_is_lost(database, cls):
    database.psql(SHOP)
    dump = database.dump(cls)
    database.psql("CREATE VIEW names AS SELECT name FROM customer")
    before = database.state()
    error = failed(database, dump, cls)
    assert "cannot drop table public.customer because other objects depend on it" in str(error)
    assert "view names depends on table public.customer" in str(error) or "view public.names" in str(error)
    assert "--exact" in str(error)
    assert str(error).endswith(INTACT)
    assert database.state() == before


def test_foreign_key_from_a_newer_table_is_refused_at_once(database):
    database.psql(SHOP)
    dump = database.dump()
    database.psql("CREATE TABLE newer (customer_id int REFERENCES customer)")
    before = database.state()
    with pytest.raises(RestoreError, match=r"table newer.*foreign key to customer.*--exact"):
        database.restore(dump)
    assert database.state() == before


def test_foreign_key_from_a_newer_table_stops_a_plain_dump(database):
    database.psql(SHOP)
    dump = database.dump(PgDumpConnector)
    database.psql("CREATE TABLE newer (customer_id int REFERENCES customer)")
    before = database.state()
    error = failed(database, dump, PgDumpConnector)
    assert "constraint newer_customer_id_fkey on table" in str(error)
    assert str(error).endswith(INTACT)
    assert database.state() == before


@both_formats
def test_error_quotes_the_cause_and_not_the_notices_before_it(database, cls):
    notices = "".join(
        f"CREATE FUNCTION noisy{n}(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS "
        f"$$ BEGIN RAISE WARNING 'noise {n}'; RETURN x; END $$;"
        f"CREATE INDEX aa_noise{n} ON customer (noisy{n}(id));"
        for n in range(5)
    )
    database.psql(SHOP + notices + SEARCH_PATH)
    dump = database.dump(cls)
    error = failed(database, dump, cls)
    assert 'relation "customer" does not exist' in str(error)
    assert "noise" not in str(error)


# More than what is looked at before anything runs.
LARGE = """
CREATE TABLE large (id int, text text);
INSERT INTO large SELECT g, (SELECT string_agg(md5(g::text || i), '') FROM generate_series(1, 64) i)
FROM generate_series(1, 2500) g;
"""


@both_formats
def test_source_that_fails_in_the_middle_leaves_the_old_data(database, cls):
    database.psql(SHOP + LARGE)
    dump = database.dump(cls)
    database.psql(CHANGES)
    before = database.state()
    with pytest.raises(OSError, match="cable"):
        database.connector(cls).restore_dump(Failing(dump[: len(dump) // 2]))
    assert database.state() == before


class Failing(io.BytesIO):
    """A file that cannot be read to its end."""

    def read(self, size: int | None = -1, /) -> bytes:
        if data := super().read(size):
            return data
        raise OSError("cable cut")

    read1 = read


@both_formats
def test_cut_dump_leaves_the_old_data(database, cls):
    database.psql(SHOP + LARGE)
    dump = database.dump(cls)
    database.psql(CHANGES)
    before = database.state()
    for part in (0.5, 0.99):
        with pytest.raises((RestoreError, CommandConnectorError)) as caught:
            database.restore(dump[: int(len(dump) * part)], cls)
        assert str(caught.value).endswith(INTACT)
        assert database.state() == before, part


@both_formats
def test_failure_without_one_transaction_says_what_is_left(database, cls):
    database.psql(SHOP + SEARCH_PATH)
    dump = database.dump(cls)
    error = failed(database, dump, cls, SINGLE_TRANSACTION=False)
    assert 'relation "customer" does not exist' in str(error)
    assert f"Not in one transaction: database '{database.alias}' now has a part of the backup" in str(error)
    assert INTACT not in str(error)


@both_formats
def test_restore_without_one_transaction_is_announced_and_works(database, cls):
    database.psql(SHOP)
    before, dump = database.state(), database.dump(cls)
    database.psql(CHANGES + "DROP VIEW newest")
    connector = database.connector(cls, SINGLE_TRANSACTION=False)
    connector.inspect_dump(peekable(dump))
    assert "not in one transaction" in " ".join(connector.preflight_restore())
    connector.restore_dump(io.BytesIO(dump))
    assert database.state() == before


def peekable(dump: bytes) -> PeekableReader:
    return PeekableReader(io.BytesIO(dump))


def test_cut_plain_dump_without_one_transaction_says_what_is_left(database):
    database.psql(SHOP + LARGE)
    dump = database.dump(PgDumpConnector)
    with pytest.raises(RestoreError, match=r"was cut.*\n?.*now has a part of the backup"):
        database.restore(dump[: len(dump) * 9 // 10], PgDumpConnector, SINGLE_TRANSACTION=False)


@both_formats
def test_source_that_fails_without_one_transaction_says_what_is_left(database, cls):
    database.psql(SHOP + LARGE)
    dump = database.dump(cls)
    connector = database.connector(cls, SINGLE_TRANSACTION=False)
    with pytest.raises(RestoreError, match=r"cable cut(.|\n)*now has a part of the backup"):
        connector.restore_dump(Failing(dump[: len(dump) * 3 // 4]))


@both_formats
def test_without_drop_what_is_there_is_in_the_way(database, cls):
    database.psql(SHOP)
    dump = database.dump(cls)
    database.psql(CHANGES)
    before = database.state()
    error = failed(database, dump, cls, DROP=False)
    assert "already exists" in str(error)
    assert str(error).endswith(INTACT)
    assert database.state() == before


@both_formats
def test_without_drop_an_empty_database_is_filled_beside_what_it_has(make_database, cls):
    source, target = make_database(), make_database()
    source.psql(SHOP)
    target.psql("CREATE TABLE own (id int); INSERT INTO own VALUES (7)")
    target.restore(source.dump(cls), cls, DROP=False)
    assert target.psql("SELECT id FROM own") == "7"
    assert target.psql("SELECT count(*) FROM purchase") == "100"


def test_pg_options_reach_pg_restore(database):
    database.psql(SHOP)
    dump = database.dump()
    database.psql("DELETE FROM purchase")
    database.restore(dump, PG_OPTIONS="--schema-only")
    assert database.psql("SELECT count(*) FROM purchase, customer") == "0"


def test_jobs_among_pg_options_restore_in_parallel(database):
    database.psql(SHOP)
    before, dump = database.state(), database.dump()
    database.psql("DROP TABLE purchase")
    connector = database.connector(PG_OPTIONS=["--jobs", "2"])
    connector.inspect_dump(peekable(dump))
    assert "2 jobs cannot share one transaction" in " ".join(connector.preflight_restore())
    connector.restore_dump(io.BytesIO(dump))
    assert database.state() == before


def test_pg_options_that_are_not_the_users_are_refused(database):
    database.psql(SHOP)
    before, dump = database.state(), database.dump()
    for options in ("--dbname=postgres", "-f /tmp/x"):
        with pytest.raises(ConfigurationError, match="not to be given"):
            database.restore(dump, PG_OPTIONS=options)
    assert database.state() == before


def test_pg_options_of_a_plain_dump_are_left_out_and_it_is_said(database):
    database.psql(SHOP)
    connector = database.connector(PgDumpConnector, PG_OPTIONS="--schema-only")
    connector.inspect_dump(peekable(database.dump(PgDumpConnector)))
    assert "--schema-only" in " ".join(connector.preflight_restore())
