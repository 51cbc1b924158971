"""Loading SQL: hostile, broken and foreign dumps are refused, and the database is as it was."""

from __future__ import annotations

import io
import itertools
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.db.backends.signals import connection_created

from dbbackup.db.exceptions import DatabaseLockedError, RestoreError
from dbbackup.db.sqlite_dump import HEADER, TRAILER
from dbbackup.db.sqlite_statements import parse_statement
from tests.db.conftest import Database, MakeDatabase
from tests.db.everything import EVERYTHING

HOSTILE = {
    "attach": "ATTACH '{tmp}/stolen' AS other;",
    "attach in disguise": "/* CREATE */ -- INSERT\nattach '{tmp}/stolen' AS other;",
    "detach": "DETACH main;",
    "load_extension": "SELECT load_extension('{tmp}/evil.so');",
    "load_extension in a row": "INSERT INTO kept VALUES(load_extension('{tmp}/evil.so'));",
    "writable_schema": "PRAGMA writable_schema=ON;",
    "writable_schema in brackets": "PRAGMA writable_schema(1);",
    "writable_schema of main": "PRAGMA main.writable_schema=ON;",
    "schema by hand": "INSERT INTO sqlite_master VALUES('table','x','x',0,'CREATE TABLE x(a)');",
    "journal_mode": "PRAGMA journal_mode=OFF;",
    "vacuum into": "VACUUM INTO '{tmp}/stolen';",
    "rollback": "ROLLBACK; -- due to errors",
    "savepoint": "SAVEPOINT x;",
    "explain": "EXPLAIN SELECT 1;",
    "with": "WITH a AS (SELECT 1) INSERT INTO kept SELECT * FROM a;",
    "temporary table": "CREATE TEMP TABLE x(a);",
    "other schema": "CREATE TABLE temp.x(a);",
    "quoted schema": 'CREATE TABLE "temp" . x(a);',
    "alter": "ALTER TABLE kept RENAME TO gone;",
    "two in one": "INSERT INTO kept VALUES(1)\\; DROP TABLE kept;",
    "no such table": "INSERT INTO nowhere VALUES(1);",
    "not SQL": "INSERT INTO kept VALUES(;",
    "module": "CREATE VIRTUAL TABLE x USING nonesuch;",
    "NUL": "INSERT INTO kept VALUES('a\0b');",
}


@pytest.mark.parametrize("statement", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_statement_leaves_the_database_as_it_was(database: Database, tmp_path: Path, statement: str):
    database.script("CREATE TABLE kept(a); INSERT INTO kept VALUES('old');")
    before = database.state()
    dump = (
        "BEGIN TRANSACTION;\nCREATE TABLE new(a);\nINSERT INTO kept VALUES('halfway');\nDROP TABLE kept;\n"
        f"CREATE TABLE kept(a);\n{statement.format(tmp=tmp_path)}\nCOMMIT;\n"
    )
    with pytest.raises(RestoreError):
        database.connector().restore_dump(io.BytesIO(dump.encode()))
    assert database.state() == before
    assert not (tmp_path / "stolen").exists()


def test_error_names_the_statement_but_not_its_values(database: Database):
    with pytest.raises(RestoreError, match=r"no such table: nowhere, in: INSERT INTO nowhere\(a\)$") as caught:
        database.connector().restore_dump(io.BytesIO(b"INSERT INTO nowhere(a) VALUES('secret');"))
    assert "secret" not in str(caught.value)
    # A file that was not there before is not left behind.
    assert not database.path.exists()


def test_dump_that_is_not_utf_8_is_refused(database: Database):
    with pytest.raises(RestoreError, match="not UTF-8"):
        database.connector().restore_dump(io.BytesIO(b"CREATE TABLE t(a);INSERT INTO t VALUES('\xff');"))


def test_error_halfway_through_everything_leaves_the_database_as_it_was(make_database: MakeDatabase):
    source, target = make_database(), make_database()
    source.script(EVERYTHING)
    dump = source.dump()
    target.script("CREATE TABLE author(x); INSERT INTO author VALUES(1); CREATE VIRTUAL TABLE search USING fts5(a);")
    before = target.state()
    whole = dump.replace(b"CREATE VIEW later", b"CREATE VIEW later later", 1)
    with pytest.raises(RestoreError, match="syntax error, in: CREATE VIEW later"):
        target.connector(EXACT=True).restore_dump(io.BytesIO(whole))
    assert target.state() == before


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.9, 0.999])
def test_cut_dump_is_refused(make_database: MakeDatabase, share: float):
    source, target = make_database(), make_database()
    source.script(EVERYTHING)
    dump = source.dump()
    cut = dump[: int(len(dump) * share)]
    target.execute("CREATE TABLE kept(a)")
    before = target.state()
    for action in (target.connector().restore_dump, target.connector().verify_dump):
        with pytest.raises(RestoreError):
            action(io.BytesIO(cut))
    assert target.state() == before


def test_dump_cut_between_statements_is_refused(database: Database):
    own = f"{HEADER}BEGIN TRANSACTION;\nCREATE TABLE t(a);\nCOMMIT;\n"
    for dump in (own, "BEGIN;CREATE TABLE t(a);", f"{HEADER}CREATE TABLE t(a);\n", HEADER, " -- nothing\n", ""):
        with pytest.raises(RestoreError, match=r"cut off|empty"):
            database.connector().restore_dump(io.BytesIO(dump.encode()))
    database.connector().restore_dump(io.BytesIO(f"{own}{TRAILER}".encode()))
    assert database.query("SELECT count(*) FROM t") == [(0,)]


def test_empty_dump_of_the_stock_program_is_restored(database: Database):
    database.execute("CREATE TABLE t(a)")
    empty = b"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCOMMIT;\n"
    database.connector().restore_dump(io.BytesIO(empty))
    assert database.query("SELECT name FROM sqlite_master") == [("t",)]
    database.connector(EXACT=True).restore_dump(io.BytesIO(empty))
    assert database.query("SELECT name FROM sqlite_master") == []


def test_load_that_comes_out_damaged_is_not_committed(database: Database):
    database.execute("CREATE TABLE t(a)")
    before = database.state()

    def register(connection: Any, **_: Any) -> None:
        # Says it always gives the same, and does not: the index will not agree with its table.
        numbers = itertools.count()
        connection.connection.create_function("fickle", 1, lambda _: next(numbers), deterministic=True)

    dump = b"CREATE TABLE new(a); INSERT INTO new VALUES(1),(2); CREATE INDEX i ON new(fickle(a));"
    connection_created.connect(register)
    try:
        with pytest.raises(RestoreError, match="damaged: row 1 missing from index i"):
            database.connector().restore_dump(io.BytesIO(dump))
    finally:
        connection_created.disconnect(register)
    assert database.state() == before


def test_folder_that_is_not_there_is_named(make_database: MakeDatabase, tmp_path: Path):
    database = make_database(setting=tmp_path / "nowhere" / "app.sqlite3")
    with pytest.raises(RestoreError, match="no folder for its file"):
        database.connector().restore_dump(io.BytesIO(b"CREATE TABLE t(a);"))


def test_locked_database_is_refused_in_time(database: Database):
    database.execute("CREATE TABLE t(a)")
    before = database.state()
    with closing(database.open()) as other:
        for lock in ("BEGIN IMMEDIATE", "BEGIN; SELECT * FROM t"):
            for statement in lock.split(";"):
                other.execute(statement).fetchall()
            with pytest.raises(DatabaseLockedError, match=r"more than 0.3 s.*DBBACKUP_LOCK_TIMEOUT"):
                database.connector().restore_dump(io.BytesIO(b"CREATE TABLE new(a);"))
            other.execute("ROLLBACK")
    assert database.state() == before


def test_readers_of_a_write_ahead_log_are_not_in_the_way(database: Database):
    database.script("PRAGMA journal_mode = WAL; CREATE TABLE t(a); INSERT INTO t VALUES(1);")
    dump = database.dump()
    database.execute("UPDATE t SET a = 2")
    with closing(database.open()) as other:
        other.execute("BEGIN")
        assert other.execute("SELECT a FROM t").fetchall() == [(2,)]
        database.connector().restore_dump(io.BytesIO(dump))
        assert other.execute("SELECT a FROM t").fetchall() == [(2,)]
        other.execute("ROLLBACK")
        assert other.execute("SELECT a FROM t").fetchall() == [(1,)]
    assert database.query("PRAGMA journal_mode") == [("wal",)]


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"", "empty"),
        (b"SQLite format 3\0\x10\0", "SqliteBackupConnector restores"),
        (b"PGDMP\x01\x0e", "not a SQL dump for SQLite"),
        (b"--\n-- PostgreSQL database dump\n--\n\nSET statement_timeout = 0;", "not a SQL dump for SQLite"),
        (b"-- MySQL dump 10.13\n--\nDROP TABLE IF EXISTS `x`;", "not a SQL dump for SQLite"),
        (b"/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump 10.19\n", "not a SQL dump for SQLite"),
        (b"/*!40101 SET NAMES utf8 */;\nCREATE TABLE x(a);", "not a SQL dump for SQLite"),
        (b'[{"model": "auth.user"}]', "not a SQL dump for SQLite"),
        (b"SET search_path = public;", "not a SQL dump for SQLite"),
        (b"CREATE TABLE t(a);\0", "not a SQL dump for SQLite"),
        (b"hello", "not a SQL dump for SQLite"),
    ],
)
def test_foreign_dump_is_refused_by_its_head(database: Database, head: bytes, reason: str):
    with pytest.raises(RestoreError, match=reason):
        database.connector().check_dump(head)


@pytest.mark.parametrize(
    "head",
    [b"-- a comment\n/* another */ create table t(a);", b"-- only a comment\n", b"BEGIN;", b"PRAGMA user_version=1;"],
)
def test_sql_is_accepted_by_its_head(database: Database, head: bytes):
    database.connector().check_dump(head)


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        ("CREATE TABLE t(a);", "t"),
        ('CREATE TABLE"a ""b"" c"(a);', 'a "b" c'),
        ("create virtual /* x */ table -- y\n if not exists [a]b](x);", "a"),
        ("CREATE UNIQUE INDEX `a``b` ON t(a);", "a`b"),
        ("CREATE VIEW main.'it''s' AS SELECT 1;", "it's"),
        ("CREATE TRIGGER ü AFTER INSERT ON t BEGIN SELECT 1; END;", "ü"),
        ("CREATE TABLE ifx(a);", "ifx"),
    ],
)
def test_name_of_what_is_created(sql: str, name: str):
    assert parse_statement(sql.encode()).argument == name
