"""A dump is published whole or not at all, whatever its programs do."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from dbbackup.db.exceptions import CommandConnectorError, DatabaseLockedError, DumpError
from dbbackup.db.postgresql import PgDumpBinaryConnector, PgDumpConnector
from dbbackup.exceptions import DBBackupError
from tests.requirements import requires

pytestmark = requires("postgresql")

both_connectors = pytest.mark.parametrize("connector", [PgDumpBinaryConnector, PgDumpConnector])


@pytest.fixture
def filled(database):
    database.psql(
        "CREATE TABLE a (i int, t text); INSERT INTO a SELECT g, 'row ' || g FROM generate_series(1, 20000) g"
    )
    return database


@pytest.fixture
def shop(store, make_database):
    database = make_database(alias="shop")
    database.psql(
        "CREATE TABLE a (i int, t text); INSERT INTO a SELECT g, 'row ' || g FROM generate_series(1, 20000) g"
    )
    return database


@pytest.fixture
def script(tmp_path, postgres):
    """Return what makes a program that is pg_dump but for how a dump ends: ``$PG_DUMP`` is the real one."""

    def make(body: str) -> str:
        path: Path = tmp_path / "my pg_dump"
        real = shlex.quote(str(postgres.bin_dir / "pg_dump"))
        path.write_text(f'#!/bin/sh\nPG_DUMP={real}\ncase "$1" in --version) exec $PG_DUMP --version; esac\n{body}\n')
        path.chmod(0o755)
        return str(path)

    return make


def nothing_is_left(store):
    return store.stored() == [] and [*store.tmp.iterdir()] == [] and "shop" not in store.run("listbackups").out


def configure(store, connector, **settings):
    store.settings.DBBACKUP_CONNECTORS = {
        "shop": {"CONNECTOR": f"{connector.__module__}.{connector.__name__}", **settings}
    }


@pytest.mark.parametrize("cut", ["head -c 5000", "head -c -40", "head -n 30", "sed '/dump complete/d'"])
def test_plain_dump_that_lacks_its_end_is_not_stored(store, shop, script, cut):
    configure(store, PgDumpConnector, DUMP_CMD=script(f'"$PG_DUMP" "$@" 2>&1 | {cut}\nexit 0'))
    run = store.run("dbbackup", "-z")
    assert run.status == 1
    assert "pg_dump ended without its last line" in run.error
    assert nothing_is_left(store)


def test_plain_dump_by_a_program_in_between_is_stored_when_whole(store, shop, script):
    configure(store, PgDumpConnector, DUMP_CMD=script('exec "$PG_DUMP" "$@"'))
    name = store.backup()
    assert script("") in store.manifest(name)["versions"]["tools"]["pg_dump"]


def test_last_line_in_the_rows_of_a_table_is_not_the_last_line(filled, script):
    filled.psql("DELETE FROM a; INSERT INTO a VALUES (1, E'\\n-- PostgreSQL database dump complete\\n')")
    cut = script('"$PG_DUMP" "$@" | sed "/dump complete.n/q"\nexit 0')
    with pytest.raises(DumpError, match="without its last line"):
        filled.dump(PgDumpConnector, DUMP_CMD=cut)


@both_connectors
def test_failure_halfway_quotes_the_last_lines_and_stores_nothing(store, shop, script, connector):
    said = ["pg_dump: a notice", "pg_dump: error: the disk is gone"]
    fails = "\n".join(['"$PG_DUMP" "$@" | head -c 60000', *(f'echo "{line}" >&2' for line in said), "exit 1"])
    configure(store, connector, DUMP_CMD=script(fails))
    run = store.run("dbbackup", "-z")
    assert run.status == 1
    assert "Cannot dump database 'shop'" in run.error
    assert "exited with status 1" in run.error
    assert "the disk is gone" in run.error
    assert nothing_is_left(store)


@both_connectors
def test_program_that_a_signal_ends_stores_nothing(store, shop, script, connector):
    configure(store, connector, DUMP_CMD=script('"$PG_DUMP" "$@" | head -c 60000\nkill -9 $$'))
    run = store.run("dbbackup")
    assert run.status == 1
    assert "SIGKILL" in run.error or "signal 9" in run.error
    assert nothing_is_left(store)


@pytest.mark.parametrize("kind", ["/bin/false", "/bin/true", "/bin/cat", "text", "missing", "folder"])
def test_program_that_is_none_of_postgresql_is_an_error(store, shop, tmp_path, kind):
    text = tmp_path / "text"
    text.write_text("just a text")
    text.chmod(0o755)
    program = {"text": str(text), "missing": "/nowhere/pg_dump", "folder": str(tmp_path)}.get(kind, kind)
    configure(store, PgDumpBinaryConnector, DUMP_CMD=program)
    run = store.run("dbbackup")
    assert run.status == 1
    assert program in run.error
    assert "Traceback" not in run.error + run.err
    assert nothing_is_left(store)


def test_lock_is_waited_for_no_longer_than_allowed(filled):
    connector = filled.connector(LOCK_TIMEOUT=0.3)
    with filled.connector().connection.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE a IN ACCESS EXCLUSIVE MODE")
        with (
            pytest.raises(DatabaseLockedError, match=r"The dump waited 0.3 s for process \d+.*DBBACKUP_LOCK_TIMEOUT"),
            connector.create_dump() as dump,
        ):
            dump.read()
        cursor.execute("ROLLBACK")


def test_prefix_and_suffix_run(filled, script, tmp_path):
    note = tmp_path / "note"
    tells = script(f'nice >> {shlex.quote(str(note))}\nexec "$PG_DUMP" "$@"')
    before = int(subprocess.run(["nice"], check=True, capture_output=True).stdout)
    dump = filled.dump(PgDumpConnector, DUMP_CMD=tells, DUMP_PREFIX="nice -n 10", DUMP_SUFFIX="| sed 's/row 7$/ROW 7/'")
    assert int(note.read_text()) == min(before + 10, 19)
    assert (dump.count(b"ROW 7\n"), dump.count(b"\trow ")) == (1, 19999)


@both_connectors
def test_own_pipes_change_a_dump_and_change_it_back(filled, make_database, connector):
    pipes = {"DUMP_SUFFIX": "| gzip -1", "RESTORE_PREFIX": "gunzip |"}
    dump, target = filled.dump(connector, **pipes), make_database()
    assert dump.startswith(b"\x1f\x8b")
    target.restore(dump, connector, **pipes)
    assert target.state() == filled.state()


def test_own_pipe_that_fails_fails_the_dump(filled):
    with pytest.raises(CommandConnectorError, match="exited with status 3"):
        filled.dump(PgDumpConnector, DUMP_SUFFIX="| sh -c 'cat; exit 3'")


@both_connectors
def test_dump_that_fails_before_an_own_pipe_fails(filled, script, connector):
    fails = script('"$PG_DUMP" "$@" | head -c 6000; echo "pg_dump: error: gone" >&2; exit 1')
    with pytest.raises(CommandConnectorError, match="gone"):
        filled.dump(connector, DUMP_CMD=fails, DUMP_SUFFIX="| cat")


@both_connectors
def test_restore_prefix_runs_beside_a_dump_that_is_not_changed(filled, make_database, connector, tmp_path):
    note, target = tmp_path / "note", make_database()
    dump = filled.dump(connector)
    target.restore(dump, connector, RESTORE_PREFIX=f"echo run > {note};", RESTORE_SUFFIX="| cat")
    assert note.read_text() == "run\n"
    assert target.state() == filled.state()


def test_database_that_is_not_there_is_an_error(filled):
    with pytest.raises(DBBackupError, match="does not exist"):
        filled.dump(NAME="no such database")
