"""Collations that the server does not know: named with what needs them, and mapped where the settings say so."""

from __future__ import annotations

import ast
import re

import pytest

from tests.db.mysql.altering import put_back, refused, replaced, restored, with_statement
from tests.db.mysql.conftest import Database
from tests.requirements import requires
from tests.shop import Store

pytestmark = requires("mariadb")

MYSQL = "utf8mb4_0900_ai_ci"
HERE = "utf8mb4_unicode_520_ci"
WORDS = f"""
CREATE TABLE word (
  id int PRIMARY KEY, text varchar(50), other varchar(50) COLLATE utf8mb4_bin COMMENT 'COLLATE {HERE}'
) COLLATE={HERE};
CREATE TABLE plain (id int);
CREATE VIEW sorted AS SELECT text COLLATE {HERE} AS text FROM word;
SET NAMES utf8mb4 COLLATE {HERE};
CREATE FUNCTION echo(t varchar(50) CHARSET utf8mb4 COLLATE {HERE}) RETURNS varchar(50) CHARSET utf8mb4 RETURN t;
SET NAMES utf8mb4;
INSERT INTO word VALUES (1, 'COLLATE {HERE}', '{HERE}'), (2, 'Äpfel', 'x');
"""


@pytest.fixture
def database(make_database, store: Store) -> Database:
    database: Database = make_database(alias="shop")
    database.sql(WORDS)
    return database


@pytest.fixture
def dump(database: Database) -> bytes:
    """Return a dump as MySQL 8 would write it, where it names a collation as one."""
    dump = re.sub(
        rb"((?:COLLATE[ =]|collation_\w+\s*= ))(?!utf8mb4_bin)(?:%s)" % HERE.encode(),
        lambda found: found[1] + MYSQL.encode(),
        database.dump(),
        flags=re.IGNORECASE,
    )
    # What rows and comments say, they say on.
    for text in (b"(1,'COLLATE ", b"COMMENT 'COLLATE "):
        dump = replaced(dump, text + MYSQL.encode(), text + HERE.encode())
    return dump


def test_unknown_collation_is_named_with_its_objects_and_the_way_out(database, store, dump):
    error = refused(database, store, dump)
    for part in (MYSQL, "table `word`", "view `sorted`", "function `echo`"):
        assert part in error
    assert "`plain`" not in error
    assert "COLLATIONS" in error
    assert error.count(f"collation {MYSQL}") == 1


def test_settings_of_the_error_make_the_restore_possible(database, store, dump):
    error = refused(database, store, dump)
    mapped = ast.literal_eval("{" + re.findall(r"\(DBBACKUP_CONNECTORS: ('COLLATIONS': {.*?})\)", error)[0] + "}")
    store.settings.DBBACKUP_CONNECTORS = {"shop": mapped}
    run = restored(store, dump)
    assert (run.status, run.error) == (0, "")


def test_mapped_collations_are_what_is_restored(database, store, dump):
    before = database.state()
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"COLLATIONS": {MYSQL: HERE}}}
    database.sql("DELETE FROM word; DROP VIEW sorted; DROP FUNCTION echo")
    run = restored(store, dump)
    assert (run.status, run.error) == (0, "")
    assert database.state() == before


def test_mapped_names_in_any_case(database, store, dump):
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"COLLATIONS": {MYSQL.upper(): HERE.upper()}}}
    run = restored(store, dump)
    assert (run.status, run.error) == (0, "")


def test_unknown_collation_in_the_settings_is_refused(database, store, dump):
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"COLLATIONS": {MYSQL: "utf8mb4_nothing_ci"}}}
    assert "COLLATIONS names utf8mb4_nothing_ci" in refused(database, store, dump)


def test_failing_restore_with_mapped_collations_is_put_back(database, store, dump):
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"COLLATIONS": {MYSQL: HERE}}}
    before = b"\n--\n-- Table structure for table `word`\n"
    put_back(database, store, with_statement(dump, "INSERT INTO nowhere VALUES (1)", before=before))


@requires("mariadb:newer")
def test_dump_of_a_newer_server(make_database, newer_mariadb, store):
    newer, older = make_database(server=newer_mariadb), make_database(alias="shop")
    newer.sql("CREATE TABLE t (a varchar(9)) COLLATE=uca1400_ai_ci; INSERT INTO t VALUES ('ä')")
    older.sql("CREATE TABLE t (a varchar(9)) COLLATE=utf8mb4_uca1400_ai_ci; INSERT INTO t VALUES ('old')")
    run = restored(store, newer.dump())
    assert (run.status, run.error) == (0, "")
    assert older.sql("SELECT * FROM t") == "ä"
