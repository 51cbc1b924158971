"""SqliteConnector: what is dumped comes back to the bit, whatever is in the target."""

from __future__ import annotations

import io
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from dbbackup.db.exceptions import DumpError, RestoreError
from dbbackup.db.sqlite import SqliteConnector
from dbbackup.exceptions import ConfigurationError
from tests.db.conftest import Database, MakeDatabase
from tests.db.everything import EVERYTHING
from tests.db.sqlite_state import state
from tests.requirements import requires

DIRTY = """
CREATE TABLE since(id INTEGER PRIMARY KEY);
INSERT INTO since VALUES(1);
CREATE VIEW plain AS SELECT 1 AS a;
CREATE TABLE author(id INTEGER PRIMARY KEY, other TEXT);
INSERT INTO author VALUES(1, 'to go');
CREATE INDEX author_other ON author(other);
CREATE TABLE "all books"(x);
CREATE TABLE unrelated(x);
CREATE INDEX named ON unrelated(x);
CREATE TRIGGER no_delete AFTER INSERT ON unrelated BEGIN SELECT 1; END;
CREATE VIRTUAL TABLE search USING fts5(old);
INSERT INTO search VALUES('stale words');
CREATE TABLE book(id INTEGER PRIMARY KEY, author_id INT REFERENCES author(id));
PRAGMA user_version = 99;
"""


def test_everything_comes_back_into_a_new_file(make_database: MakeDatabase):
    source, target = make_database(), make_database()
    source.script(EVERYTHING)
    dump = source.dump()
    target.connector().restore_dump(io.BytesIO(dump))
    assert target.state() == source.state()
    assert target.state()["integrity"] == [(b"ok",)]
    assert source.no_temporary_files()
    assert target.no_temporary_files()


def test_everything_comes_back_into_the_database_itself(database: Database):
    database.script(EVERYTHING)
    before = database.state()
    dump = database.dump()
    database.execute("DELETE FROM author", "DROP TABLE keyed", "UPDATE plain SET a = 0 WHERE rowid < 0")
    database.connector().restore_dump(io.BytesIO(dump))
    assert database.state() == before
    assert database.dump() == dump


def test_everything_comes_back_into_a_dirty_database(make_database: MakeDatabase):
    source, target = make_database(), make_database()
    source.script(EVERYTHING)
    target.script(DIRTY)
    target.connector().restore_dump(io.BytesIO(source.dump()))
    before, after = source.state(), target.state()
    since = {b"since", b"unrelated"}
    assert since <= after["rows"].keys()
    assert [row for row in after["schema"] if row[2] not in since] == before["schema"]
    assert {name: rows for name, rows in after["rows"].items() if name not in since} == before["rows"]
    assert after["user_version"] == (42,)


def test_exact_also_removes_what_was_made_since(make_database: MakeDatabase):
    source, target = make_database(), make_database()
    source.script(EVERYTHING)
    target.script(DIRTY)
    target.connector(EXACT=True).restore_dump(io.BytesIO(source.dump()))
    assert target.state() == source.state()


@requires("sqlite3")
def test_stock_program_loads_the_dump(database: Database, tmp_path: Path):
    database.script(EVERYTHING)
    path = tmp_path / "by-hand.sqlite3"
    done = subprocess.run(["sqlite3", "-bail", path], input=database.dump(), capture_output=True, check=True)
    assert done.stderr == b""
    assert state(path) == database.state()


def test_virtual_tables_work_after_a_restore(make_database: MakeDatabase):
    source, target = make_database(), make_database()
    source.script(EVERYTHING)
    target.connector().restore_dump(io.BytesIO(source.dump()))
    assert target.query("SELECT rowid FROM search WHERE search MATCH 'zurich'") == [(5,)]
    assert target.query("SELECT rowid FROM search_bare WHERE search_bare MATCH 'contentless'") == [(11,)]
    assert target.query("SELECT rowid FROM search_named WHERE search_named MATCH 'zoë'") == [(7,)]
    assert target.query("SELECT docid FROM old_search WHERE old_search MATCH 'world'") == [(3,)]
    assert target.query("SELECT id, label FROM place WHERE x0 > 0 AND y1 < 48") == [(1, "Zürich")]
    assert target.query("SELECT rtreecheck('place')") == [("ok",)]
    assert target.query("SELECT term FROM words WHERE term LIKE 'z%'") == [("zurich",)]
    target.execute(*(f"INSERT INTO {name}({name}) VALUES('integrity-check')" for name in ("search", "old_search")))
    target.execute("INSERT INTO search_named(search_named) VALUES('integrity-check')")
    # The ranking that was configured.
    assert target.query("SELECT v FROM search_config WHERE k = 'rank'") == [("bm25(10.0, 5.0)",)]


@pytest.mark.parametrize("encoding", ["UTF-16le", "UTF-16be"])
def test_utf_16_comes_back(make_database: MakeDatabase, encoding: str):
    source, target = make_database(), make_database()
    source.script(
        f"PRAGMA encoding = '{encoding}'; CREATE TABLE t(a TEXT);"
        "INSERT INTO t VALUES('Zoë 🎉'), ('a' || char(0) || 'é');"
    )
    dump = source.dump()
    target.connector().restore_dump(io.BytesIO(dump))
    assert target.state() == source.state()
    assert target.query("PRAGMA encoding") == [(encoding,)]
    # Into itself too, but not into a database of another encoding.
    source.connector().restore_dump(io.BytesIO(dump))
    other = make_database()
    other.execute("CREATE TABLE t(a)")
    before = other.state()
    with pytest.raises(RestoreError, match="which cannot be changed"):
        other.connector().restore_dump(io.BytesIO(dump))
    assert other.state() == before


def test_half_a_surrogate_pair_comes_back(make_database: MakeDatabase):
    source, target = make_database(), make_database()
    source.script("PRAGMA encoding = 'UTF-16le'; CREATE TABLE t(a TEXT); INSERT INTO t VALUES(CAST(x'3dd8' AS TEXT));")
    target.connector().restore_dump(io.BytesIO(source.dump()))
    assert target.query("SELECT hex(CAST(a AS BLOB)) FROM t") == [("3DD8",)]


def test_page_size_and_auto_vacuum_come_back_into_a_new_file(make_database: MakeDatabase):
    source, target = make_database(), make_database()
    source.script("PRAGMA page_size = 8192; PRAGMA auto_vacuum = 1; CREATE TABLE t(a); INSERT INTO t VALUES(1);")
    target.connector().restore_dump(io.BytesIO(source.dump()))
    assert target.query("PRAGMA page_size") == [(8192,)]
    assert target.query("PRAGMA auto_vacuum") == [(1,)]


def test_sequence_without_a_table_comes_back(make_database: MakeDatabase):
    source, target = make_database(), make_database()
    source.script("CREATE TABLE a(i INTEGER PRIMARY KEY AUTOINCREMENT); DROP TABLE a; CREATE TABLE b(x);")
    target.connector().restore_dump(io.BytesIO(source.dump()))
    assert target.state() == source.state()


def test_row_that_breaks_a_later_rule_comes_back(make_database: MakeDatabase):
    source, target = make_database(), make_database()
    source.script(
        "CREATE TABLE t(a CHECK (a > 0)); PRAGMA ignore_check_constraints = ON; INSERT INTO t VALUES(-1);"
        "CREATE TABLE u(t_a REFERENCES nowhere(id)); INSERT INTO u VALUES(5);"
    )
    target.connector().restore_dump(io.BytesIO(source.dump()))
    assert target.query("SELECT a FROM t") == [(-1,)]
    assert target.query("SELECT t_a FROM u") == [(5,)]


def test_wide_table_comes_back(make_database: MakeDatabase):
    source, target = make_database(), make_database()
    columns = [f"c{number}" for number in range(990)]
    source.script(
        f"CREATE TABLE wide({','.join(columns)}); INSERT INTO wide VALUES({','.join(str(n / 7) for n in range(990))});"
    )
    target.connector().restore_dump(io.BytesIO(source.dump()))
    assert target.state() == source.state()


def test_order_of_creation_does_not_matter(make_database: MakeDatabase):
    source, target = make_database(), make_database()
    # As Django's schema editor leaves it: the table that the index is about was made anew after it.
    source.script(
        "CREATE TABLE doc(id INTEGER PRIMARY KEY, t); CREATE VIRTUAL TABLE f USING fts4(content='doc', t);"
        "INSERT INTO doc VALUES(1, 'hello'); INSERT INTO f(docid, t) VALUES(1, 'hello');"
        "CREATE TABLE new(id INTEGER PRIMARY KEY, t); INSERT INTO new SELECT * FROM doc; DROP TABLE doc;"
        "ALTER TABLE new RENAME TO doc;"
    )
    target.connector().restore_dump(io.BytesIO(source.dump()))
    assert target.state() == source.state()
    assert target.query("SELECT docid FROM f WHERE f MATCH 'hello'") == [(1,)]


# EXCLUDE


def test_excluded_table_is_there_without_rows(make_database: MakeDatabase):
    source, target = make_database(), make_database()
    source.script(EVERYTHING)
    dump = source.dump(EXCLUDE=["AUTHOR", "search", "many"])
    assert b"Zo\xc3\xab" not in dump.partition(b"CREATE VIRTUAL")[0]
    target.connector().restore_dump(io.BytesIO(dump))
    assert target.state()["schema"] == source.state()["schema"]
    assert target.query("SELECT count(*) FROM author") == [(0,)]
    assert target.query("SELECT count(*) FROM search") == [(0,)]
    assert target.query("SELECT seq FROM sqlite_sequence WHERE name = 'author'") == [(9,)]


def test_rows_of_an_excluded_table_stay(database: Database):
    database.script(EVERYTHING)
    dump = database.dump(EXCLUDE=["author", "search"])
    database.script("DROP TRIGGER author_added; INSERT INTO author VALUES(50, 'new', NULL); DELETE FROM plain;")
    database.connector().restore_dump(io.BytesIO(dump))
    assert database.query("SELECT id FROM author ORDER BY id") == [(7,), (50,)]
    assert database.query("SELECT seq FROM sqlite_sequence WHERE name = 'author'") == [(50,)]
    assert database.query("SELECT count(*) FROM search") == [(1,)]
    assert database.query("SELECT name FROM sqlite_master WHERE name = 'author_added'") == [("author_added",)]


def test_excluding_one_virtual_table_keeps_its_namesake(make_database: MakeDatabase):
    source, target = make_database(), make_database()
    source.script(
        "CREATE VIRTUAL TABLE s USING fts5(a); CREATE VIRTUAL TABLE s_x USING fts5(a); INSERT INTO s_x VALUES('k')"
    )
    target.connector().restore_dump(io.BytesIO(source.dump(EXCLUDE="s")))
    assert target.query("SELECT a FROM s_x WHERE s_x MATCH 'k'") == [("k",)]


def test_unknown_excluded_table_is_named(database: Database):
    database.execute("CREATE TABLE django_session(a)", "CREATE VIEW v AS SELECT 1")
    with pytest.raises(
        ConfigurationError, match=r"'djang_session', which does not exist. Did you mean django_session\?"
    ):
        database.dump(EXCLUDE=["djang_session"])
    with pytest.raises(ConfigurationError, match="'v', which does not exist"):
        database.dump(EXCLUDE=["v"])


# What cannot be dumped


def test_old_library_is_named(database: Database, monkeypatch: pytest.MonkeyPatch):
    database.execute("CREATE TABLE t(a)")
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 36, 0))
    with pytest.raises(DumpError, match=r"SQLite 3\.37 or newer.*SqliteBackupConnector"):
        database.dump()
    assert database.connector().table_counts() == {"t": 0}


def test_module_that_is_not_there_is_named(database: Database):
    database.script(
        "CREATE TABLE t(a); PRAGMA writable_schema = ON;"
        "INSERT INTO sqlite_master VALUES('table', 'v', 'v', 0, 'CREATE VIRTUAL TABLE v USING nonesuch(a)');"
    )
    with pytest.raises(DumpError, match="no such module: nonesuch"):
        database.dump()
    assert database.no_temporary_files()


def test_value_too_large_for_sql_is_named(database: Database):
    class SmallLimit(SqliteConnector):
        def _create_dump(self):
            reader = super()._create_dump()
            reader._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 10_000)  # type: ignore[attr-defined]
            return reader

    database.execute("CREATE TABLE t(a)", "INSERT INTO t VALUES(zeroblob(100000))")
    with pytest.raises(DumpError, match="too big"):
        database.dump(SmallLimit)


def test_virtual_table_of_an_unknown_kind_is_warned_of(database: Database, caplog: pytest.LogCaptureFixture):
    database.script("CREATE VIRTUAL TABLE v USING fts5vocab('x', 'row'); CREATE VIRTUAL TABLE s USING fts3tokenize;")
    assert b"USING fts3tokenize" in database.dump()
    assert [record.args for record in caplog.records] == [("s", "fts3tokenize")]


# Foreign dumps


@requires("sqlite3")
def test_dump_of_the_stock_program_is_restored(make_database: MakeDatabase):
    source, target = make_database(), make_database()
    source.script(
        "CREATE TABLE a(i INTEGER PRIMARY KEY AUTOINCREMENT, t TEXT); INSERT INTO a VALUES(5, 'x;' || char(10) || 'y');"
        "CREATE TRIGGER g AFTER INSERT ON a BEGIN DELETE FROM a; SELECT 1; END; CREATE VIEW v AS SELECT * FROM a;"
    )
    dump = subprocess.run(["sqlite3", source.path, ".dump"], capture_output=True, check=True).stdout
    target.script(DIRTY)
    target.execute("CREATE TABLE a(x)", "INSERT INTO a VALUES(1)", "PRAGMA user_version = 0")
    target.connector().restore_dump(io.BytesIO(dump))
    assert target.query("SELECT * FROM v") == [(5, "x;\ny")]
    target.connector(EXACT=True).restore_dump(io.BytesIO(dump))
    assert target.state() == source.state()


def test_dump_of_django_dbbackup_is_restored(database: Database):
    # Its form: IF NOT EXISTS for tables, and no transaction.
    dump = (
        b'CREATE TABLE IF NOT EXISTS "t" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "v" text);\n'
        b"INSERT OR REPLACE INTO \"t\" VALUES(1,'a;\nb''c);\n');\n"
        b'CREATE UNIQUE INDEX "u" ON "t" ("v");\n'
        b"CREATE TRIGGER IF NOT EXISTS tr after insert on t begin update t set v=1; delete from t; end;\n"
        b"CREATE VIEW IF NOT EXISTS vv as select * from t;\n"
    )
    database.script("CREATE TABLE t(id, gone); INSERT INTO t VALUES(5, 6); CREATE INDEX u ON t(gone);")
    connector = database.connector()
    connector.check_dump(dump)
    connector.verify_dump(io.BytesIO(dump))
    connector.restore_dump(io.BytesIO(dump))
    assert database.query("SELECT * FROM vv") == [(1, "a;\nb'c);\n")]


def test_virtual_table_in_a_dump_of_django_dbbackup_is_restored(database: Database):
    # Rows through the table, and then its shadows once more.
    dump = (
        b"CREATE VIRTUAL TABLE f using fts5(a);\nINSERT OR REPLACE INTO \"f\" VALUES('x');\n"
        b"CREATE TABLE IF NOT EXISTS 'f_content'(id INTEGER PRIMARY KEY, c0);\n"
        b"INSERT OR REPLACE INTO \"f_content\" VALUES(1,'x');\n"
        b"CREATE TABLE IF NOT EXISTS 'f_docsize'(id INTEGER PRIMARY KEY, sz BLOB);\n"
        b"INSERT OR REPLACE INTO \"f_docsize\" VALUES(1,X'01');\n"
    )
    database.script("CREATE VIRTUAL TABLE f USING fts5(a); INSERT INTO f VALUES('old');")
    database.connector().restore_dump(io.BytesIO(dump))
    assert database.query("SELECT rowid, a FROM f WHERE f MATCH 'x'") == [(1, "x")]
    assert database.query("SELECT rowid FROM f WHERE f MATCH 'old'") == []
    database.execute("INSERT INTO f(f) VALUES('integrity-check')")


def test_iterdump_of_python_is_restored(make_database: MakeDatabase):
    source, target = make_database(), make_database()
    source.script("CREATE TABLE a(i INTEGER PRIMARY KEY, t); INSERT INTO a VALUES(1, 'it''s'); CREATE INDEX x ON a(t);")
    with closing(sqlite3.connect(source.path)) as connection:
        dump = "\n".join(connection.iterdump()).encode()
    target.connector().restore_dump(io.BytesIO(dump))
    assert target.state() == source.state()
