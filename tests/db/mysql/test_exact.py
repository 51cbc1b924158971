"""``--exact``: what has been made since the backup goes; without it, it stays and is named."""

from __future__ import annotations

import pytest

from tests.db.mysql.altering import CHANGES, SHOP, put_back, refused, restored, with_statement
from tests.db.mysql.conftest import Database
from tests.requirements import requires
from tests.shop import Store

pytestmark = requires("mariadb")

WRONG = "INSERT INTO nowhere VALUES (1)"
NEWER = {
    "table": "CREATE TABLE aa_newer (id int)",
    "view": "CREATE VIEW aa_newer AS SELECT 1 AS one",
    "sequence": "CREATE SEQUENCE aa_newer",
    "function": "CREATE FUNCTION aa_newer() RETURNS int RETURN 1",
    "procedure": "CREATE PROCEDURE aa_newer() SELECT 1",
    "event": "CREATE EVENT aa_newer ON SCHEDULE EVERY 1 YEAR DO SELECT 1",
    "versioned": "CREATE TABLE aa_newer (id int) WITH SYSTEM VERSIONING",
    "package": (
        "DELIMITER //\nSET sql_mode = oracle //\n"
        "CREATE PACKAGE aa_newer AS FUNCTION f RETURN int; END //\n"
        "CREATE PACKAGE BODY aa_newer AS FUNCTION f RETURN int AS BEGIN RETURN 1; END; END //\n"
    ),
}


@pytest.fixture
def database(make_database, store: Store) -> Database:
    database: Database = make_database(alias="shop")
    database.sql(SHOP)
    return database


def test_everything_is_as_in_the_backup(database, store):
    before, _ = database.state(), store.backup()
    database.sql(CHANGES)
    run = store.run("dbrestore", "--noinput", "--exact", "--json")
    assert (run.status, run.error) == (0, "")
    assert database.state() == before
    assert run.lines[0]["warnings"] == []


@pytest.mark.parametrize("kind", NEWER)
def test_what_is_newer_stays_and_is_named_unless_it_is_exact(database, store, kind):
    before, _ = database.state(), store.backup()
    database.sql(NEWER[kind])
    newer = database.state()
    run = store.run("dbrestore", "--noinput")
    assert run.status == 0
    assert "`aa_newer` is not in the backup and stays (--exact removes it)" in run.err.replace(
        "package `aa_newer`, package body `aa_newer`", "package `aa_newer`"
    )
    if kind not in {"versioned", "package"}:
        assert f"{kind} `aa_newer`" in run.err
    assert "base table" not in run.err
    assert "system versioned" not in run.err
    assert database.state() == newer
    assert store.run("dbrestore", "--noinput", "--exact").status == 0
    assert database.state() == before


def test_newer_trigger_goes_with_the_table_that_it_is_on(database, store):
    before, _ = database.state(), store.backup()
    database.sql("CREATE TRIGGER newer AFTER DELETE ON purchase FOR EACH ROW DELETE FROM price")
    run = store.run("dbrestore", "--noinput", "--json")
    assert run.lines[0]["warnings"] == []
    assert database.state() == before


def test_names_of_any_kind_go(database, store):
    before, _ = database.state(), store.backup()
    for name in ("a``b", "a;b", "a'b", "a b", "--a", "ünï%s", "*/", "a\\b"):
        database.sql(f"CREATE TABLE `{name}` (id int); CREATE FUNCTION `{name}`() RETURNS int RETURN 1")
    assert store.run("dbrestore", "--noinput", "--exact").status == 0
    assert database.state() == before


def test_newer_table_with_a_foreign_key_to_a_restored_one(database, store):
    before, _ = database.state(), store.backup()
    database.sql(
        "CREATE TABLE bill (customer_id int, FOREIGN KEY (customer_id) REFERENCES customer (id));"
        " INSERT INTO customer VALUES (4, 'New', 4); INSERT INTO bill VALUES (4)"
    )
    run = store.run("dbrestore", "--noinput")
    assert run.status == 0
    # The row that it refers to is gone.
    assert "`bill`" in run.err
    assert "refer" in run.err
    assert store.run("dbrestore", "--noinput", "--exact").status == 0
    assert database.state() == before


def test_excluded_tables_stay_even_then(database, store):
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"EXCLUDE": ["price", "purchase"]}}
    before, _ = database.state(), store.backup()
    database.sql("UPDATE price SET amount = 1; DELETE FROM purchase; CREATE TABLE newer (id int)")
    kept = database.server.digest(database.name)
    run = store.run("dbrestore", "--noinput", "--exact")
    assert (run.status, run.error) == (0, "")
    assert "table `price`, table `purchase` was left out of the backup and stays as it is" in run.err
    schema, digest = database.state()
    assert schema == before[0]
    assert digest == before[1] | {name: kept[name] for name in ("price", "purchase")}


def test_excluded_tables_stay_on_a_failure_too(database, store):
    database.sql("CREATE TABLE newer (id int)")
    dump = database.dump(EXCLUDE=["price"])
    database.sql("INSERT INTO newer VALUES (1); DELETE FROM purchase")
    put_back(database, store, with_statement(dump, WRONG), "--exact")


def test_excluded_table_in_the_way_of_a_view(database, store):
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"EXCLUDE": ["price"]}}
    database.sql("DROP TABLE price; CREATE VIEW price AS SELECT 1 AS id")
    store.settings.DBBACKUP_CONNECTORS = {"shop": {}}
    dump = database.dump()
    database.sql("DROP VIEW price; CREATE TABLE price (id int)")
    assert "`price` is a table here and a view in the backup" in refused(database, store, dump)
    assert restored(store, dump, "--exact").status == 0


def test_failure_of_an_exact_restore_brings_back_what_was_removed(database, store):
    dump = with_statement(database.dump(), WRONG)
    database.sql(CHANGES)
    put_back(database, store, dump, "--exact")


def test_empty_database_is_filled(database, store):
    before, _ = database.state(), store.backup()
    database.server.drop_database(database.name)
    database.server.create_database(database.name)
    assert store.run("dbrestore", "--noinput", "--exact").status == 0
    assert database.state() == before
