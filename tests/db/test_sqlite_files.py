"""SqliteBackupConnector and SqliteCPConnector: the file goes out and comes back, whoever is using it."""

from __future__ import annotations

import io
import sqlite3
import stat
import threading
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from django.db.backends.signals import connection_created

from dbbackup.db.exceptions import DatabaseLockedError, DumpError
from dbbackup.db.sqlite import SqliteBackupConnector, SqliteConnector, SqliteCPConnector
from dbbackup.exceptions import ConfigurationError
from tests.db.conftest import Database, MakeDatabase, live
from tests.db.everything import EVERYTHING
from tests.db.sqlite_state import state

FILE_CONNECTORS = pytest.mark.parametrize("cls", [SqliteBackupConnector, SqliteCPConnector])
ALL_CONNECTORS = pytest.mark.parametrize("cls", [SqliteBackupConnector, SqliteCPConnector, SqliteConnector])


@FILE_CONNECTORS
@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_everything_comes_back(make_database: MakeDatabase, cls: Any, journal: str):
    source, target = make_database(), make_database()
    source.script(f"PRAGMA journal_mode = {journal}; {EVERYTHING}")
    before = source.state()
    dump = source.dump(cls)
    target.connector(cls).restore_dump(io.BytesIO(dump))
    assert target.state() == before
    source.execute("DELETE FROM author", "CREATE TABLE since(a)")
    source.connector(cls).restore_dump(io.BytesIO(dump))
    assert source.state() == before
    assert source.query("PRAGMA journal_mode") == [(journal,)]
    assert source.no_temporary_files()


def test_dump_is_one_file_that_needs_no_log(database: Database, tmp_path: Path):
    database.script("PRAGMA journal_mode = WAL; CREATE TABLE t(a);")
    with closing(database.open()) as other:
        # What is only in the log, as long as somebody holds it open.
        other.execute("INSERT INTO t VALUES(1)")
        dump = database.dump(SqliteBackupConnector)
    assert dump[18:20] == b"\1\1"
    path = tmp_path / "copy.sqlite3"
    path.write_bytes(dump)
    path.chmod(0o400)
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        assert connection.execute("SELECT a FROM t").fetchall() == [(1,)]


@FILE_CONNECTORS
def test_log_is_in_the_dump(database: Database, cls: Any, tmp_path: Path):
    database.script("PRAGMA journal_mode = WAL; CREATE TABLE t(a);")
    with closing(database.open()) as other:
        other.execute("INSERT INTO t VALUES(1)")
        dump = database.dump(cls)
    path = tmp_path / "copy.sqlite3"
    path.write_bytes(dump)
    assert state(path)["rows"][b"t"] == [(1, b"integer", 1)]


def test_raw_copy_of_a_busy_log_is_refused(database: Database):
    database.script("PRAGMA journal_mode = WAL; CREATE TABLE t(a); INSERT INTO t VALUES(1);")
    with closing(database.open()) as reader, closing(database.open()) as writer:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM t").fetchall()
        writer.execute("INSERT INTO t VALUES(2)")
        with pytest.raises(DumpError, match="use SqliteBackupConnector"):
            database.dump(SqliteCPConnector)
        reader.execute("ROLLBACK")
        database.dump(SqliteCPConnector)


def test_raw_copy_holds_off_writers_while_it_is_read(database: Database):
    database.execute("CREATE TABLE t(a)", "INSERT INTO t VALUES(zeroblob(5000000))")
    with closing(database.open()) as other, closing(database.connector(SqliteCPConnector).create_dump()) as dump:
        dump.read(1)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("DELETE FROM t")
        dump.read()
        dump.close()
        other.execute("DELETE FROM t")


@pytest.mark.parametrize("cls", [SqliteBackupConnector, SqliteConnector])
def test_dump_among_writers_is_of_one_moment(database: Database, cls: Any):
    database.script("PRAGMA journal_mode = WAL; CREATE TABLE a(n); CREATE TABLE b(n); CREATE TABLE filler(x);")
    database.execute("INSERT INTO filler VALUES(zeroblob(20000000))")
    stop = threading.Event()
    written = []

    def write() -> None:
        with closing(sqlite3.connect(database.path, isolation_level=None, timeout=10)) as connection:
            while not stop.is_set():
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("INSERT INTO a VALUES(1)")
                connection.execute("INSERT INTO b VALUES(1)")
                connection.execute("COMMIT")
                written.append(1)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        dumps = [database.dump(cls) for _ in range(3)]
    finally:
        stop.set()
        writer.join()
    assert written
    for dump in dumps:
        database.connector(cls).restore_dump(io.BytesIO(dump))
        assert database.query("SELECT (SELECT count(*) FROM a) = (SELECT count(*) FROM b)") == [(1,)]


@ALL_CONNECTORS
def test_database_locked_by_a_writer_is_refused_in_time(database: Database, cls: Any):
    database.execute("CREATE TABLE t(a)")
    with closing(database.open()) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(DatabaseLockedError, match="DBBACKUP_LOCK_TIMEOUT"):
            database.dump(cls)
        other.execute("ROLLBACK")
    assert database.no_temporary_files()


@FILE_CONNECTORS
@pytest.mark.parametrize("lock", [["BEGIN IMMEDIATE"], ["BEGIN", "SELECT * FROM t"]])
def test_restore_into_a_locked_database_is_refused_in_time(database: Database, cls: Any, lock: list[str]):
    database.execute("CREATE TABLE t(a)")
    dump = database.dump(cls)
    database.execute("INSERT INTO t VALUES(1)")
    before = database.state()
    with closing(database.open()) as other:
        for statement in lock:
            other.execute(statement).fetchall()
        with pytest.raises(DatabaseLockedError, match="DBBACKUP_LOCK_TIMEOUT"):
            database.connector(cls).restore_dump(io.BytesIO(dump))
        other.execute("ROLLBACK")
    assert database.state() == before
    assert database.no_temporary_files()


def test_lock_that_is_given_back_is_waited_for(database: Database):
    database.execute("CREATE TABLE t(a)")
    other = sqlite3.connect(database.path, isolation_level=None, check_same_thread=False)
    with closing(other):
        other.execute("BEGIN EXCLUSIVE")
        timer = threading.Timer(0.3, lambda: other.execute("ROLLBACK"))
        timer.start()
        assert database.dump(SqliteBackupConnector, LOCK_TIMEOUT=30)
        timer.join()


@FILE_CONNECTORS
@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_open_connections_see_the_restored_database_at_once(database: Database, cls: Any, journal: str):
    database.script(f"PRAGMA journal_mode = {journal}; CREATE TABLE t(a); INSERT INTO t VALUES(1);")
    dump = database.dump(cls)
    with closing(database.open()) as other:
        other.execute("UPDATE t SET a = 2")
        other.execute("CREATE TABLE since(a)")
        database.connector(cls).restore_dump(io.BytesIO(dump))
        assert other.execute("SELECT a FROM t").fetchall() == [(1,)]
        assert other.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        other.execute("INSERT INTO t VALUES(3)")
    assert database.query("SELECT count(*) FROM sqlite_master") == [(1,)]


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_other_page_size_is_restored_while_somebody_has_the_database_open(make_database: MakeDatabase, journal: str):
    source, target = make_database(), make_database()
    source.script(f"PRAGMA page_size = 1024; {EVERYTHING}")
    target.script(f"PRAGMA page_size = 8192; PRAGMA journal_mode = {journal}; CREATE TABLE t(a);")
    dump = source.dump(SqliteBackupConnector)
    with closing(target.open()) as other:
        other.execute("SELECT * FROM t")
        target.connector(SqliteBackupConnector).restore_dump(io.BytesIO(dump))
        assert other.execute("SELECT id FROM author").fetchall() == [(7,)]
    assert target.state() == source.state()
    assert target.query("PRAGMA journal_mode") == [(journal,)]
    assert target.no_temporary_files()


# EXCLUDE


def test_no_byte_of_an_excluded_table_is_in_the_dump(database: Database):
    database.script(
        EVERYTHING + "CREATE TABLE session(k TEXT PRIMARY KEY, v TEXT);"
        "INSERT INTO session SELECT 'key' || id, 'secret' || hex(zeroblob(3000)) || id FROM many LIMIT 100;"
        "CREATE INDEX session_v ON session(v);"
        "CREATE TRIGGER keep BEFORE DELETE ON session BEGIN SELECT RAISE(ABORT, 'never'); END;"
        "INSERT INTO search(rowid, title) VALUES(50, 'secretword');"
    )
    before = database.state()
    dump = database.dump(SqliteBackupConnector, EXCLUDE=["Session", "search"])
    assert b"secret" not in dump
    assert database.state() == before
    database.connector(SqliteBackupConnector).restore_dump(io.BytesIO(dump))
    after = database.state()
    assert after["rows"].pop(b"session") == []
    assert after["schema"] == before["schema"]
    kept = {
        name: rows
        for name, rows in before["rows"].items()
        if name.partition(b"_")[0] not in {b"session", b"search", b"sqlite"}
    }
    assert {name: after["rows"][name] for name in kept} == kept
    assert database.query("SELECT count(*) FROM search") == [(0,)]


def test_unknown_excluded_table_is_named(database: Database):
    database.execute("CREATE TABLE django_session(a)")
    with pytest.raises(ConfigurationError, match="Did you mean django_session"):
        database.dump(SqliteBackupConnector, EXCLUDE=["djang_session"])
    assert database.no_temporary_files()


def test_raw_copy_refuses_to_leave_tables_out(database: Database):
    database.execute("CREATE TABLE t(a)")
    with pytest.raises(ConfigurationError, match="cannot leave tables out"):
        database.dump(SqliteCPConnector, EXCLUDE=["t"])


# Names, settings, temporary files


@ALL_CONNECTORS
@pytest.mark.parametrize("name", ["with space 'n \"quote.db", "ünï?#%41&.sqlite3", "-dash", "new\nline"])
def test_any_file_name(make_database: MakeDatabase, cls: Any, name: str):
    database = make_database(name)
    database.execute("CREATE TABLE t(a)", "INSERT INTO t VALUES(1)")
    dump = database.dump(cls)
    database.execute("DELETE FROM t")
    database.connector(cls).restore_dump(io.BytesIO(dump))
    assert database.query("SELECT a FROM t") == [(1,)]
    assert database.connector(cls).table_counts() == {"t": 1}


@pytest.mark.parametrize("form", ["file:{}", "file://{}", "file://localhost{}?mode=rw", "file:{}?cache=private#here"])
def test_uri_as_name(make_database: MakeDatabase, tmp_path: Path, form: str):
    path = tmp_path / "a b?.sqlite3"
    database = make_database(setting=form.format(str(path).replace(" ", "%20").replace("?", "%3f")))
    with pytest.raises(DumpError, match="has no file"):
        database.dump()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t(a)")
    for cls in (SqliteConnector, SqliteBackupConnector, SqliteCPConnector):
        database.connector(cls).restore_dump(io.BytesIO(database.dump(cls)))


def test_functions_and_collations_of_the_project_are_there(database: Database):
    def register(connection: Any, **_: Any) -> None:
        connection.connection.create_collation("backwards", lambda a, b: (a[::-1] > b[::-1]) - (a[::-1] < b[::-1]))
        connection.connection.create_function("shout", 1, str.upper, deterministic=True)

    connection_created.connect(register)
    try:
        connection = live(database)
        connection.executescript(
            "CREATE TABLE t(a TEXT COLLATE backwards PRIMARY KEY, CHECK (a REGEXP '^[a-z]+$')) WITHOUT ROWID;"
            "CREATE INDEX i ON t(shout(a)); INSERT INTO t VALUES('ab'), ('ba'), ('zz');"
        )
        for cls in (SqliteBackupConnector, SqliteConnector, SqliteCPConnector):
            dump = database.dump(cls)
            connection.execute("DELETE FROM t")
            database.connector(cls).restore_dump(io.BytesIO(dump))
            assert connection.execute("SELECT a FROM t ORDER BY a").fetchall() == [("ba",), ("ab",), ("zz",)]
    finally:
        connection_created.disconnect(register)


@ALL_CONNECTORS
def test_unsafe_settings_of_the_project_do_not_reach_a_restore(make_database: MakeDatabase, cls: Any):
    commands = "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA locking_mode=EXCLUSIVE;"
    database = make_database(init_command=commands, timeout=1)
    database.execute("CREATE TABLE t(a)")
    dump = database.dump(cls)
    database.connector(cls).restore_dump(io.BytesIO(dump))
    with database.connector(cls).database.connect_for_restore() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


@ALL_CONNECTORS
def test_temporary_files_are_private_and_gone(database: Database, cls: Any):
    database.script(EVERYTHING)
    with closing(database.connector(cls).create_dump()) as dump:
        # Nothing has a name any more once reading begins.
        assert database.no_temporary_files()
        content = dump.read()
    seen: list[int] = []

    class Watching(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            seen.extend(stat.S_IMODE(path.stat().st_mode) for path in database.tmp.rglob("*"))
            return super().read(size)

        read1 = read

    database.connector(cls).restore_dump(Watching(content))
    assert all(mode in {0o600, 0o700} for mode in seen)
    assert bool(seen) == (cls is not SqliteConnector)
    assert database.no_temporary_files()


def test_closing_early_stops_everything(database: Database):
    database.script(EVERYTHING)
    database.execute("INSERT INTO plain(a) VALUES(zeroblob(30000000))")
    threads = threading.active_count()
    for cls in (SqliteBackupConnector, SqliteConnector, SqliteCPConnector):
        dump = database.connector(cls).create_dump()
        dump.read(100)
        dump.close()
        dump.close()
    assert threading.active_count() == threads


@pytest.mark.parametrize("cls", [SqliteBackupConnector, SqliteConnector])
def test_cancelled_dump_ends(database: Database, cls: Any):
    database.script(EVERYTHING)
    # What has come to its end already may end well.
    with closing(database.connector(cls).create_dump()) as dump, suppress(DumpError):
        dump.cancel()  # type: ignore[attr-defined]
        dump.read()


@ALL_CONNECTORS
def test_describes_itself(database: Database, cls: Any):
    database.execute("CREATE TABLE t(a)", "CREATE VIEW v AS SELECT 1", "INSERT INTO t VALUES(1), (2)")
    connector = database.connector(cls)
    assert connector.server_version() == sqlite3.sqlite_version
    assert connector.table_counts() == {"t": 2}
    if cls is SqliteConnector:
        assert connector.restore_by_hand == f"| sqlite3 -bail {database.alias}.restored.sqlite3"
        assert (connector.is_exact, connector.temporary_bytes(10), connector.extension) == (False, 0, "dump")
    else:
        assert connector.restore_by_hand == f"> {database.alias}.restored.sqlite3"
        assert (connector.is_exact, connector.temporary_bytes(10)) == (True, 10)
    connector.set_option("exact", True, "--exact")
    assert connector.is_exact
