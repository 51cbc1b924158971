"""What others do to the tables while a dump begins: it has their rows, or it is made again, and it blocks nobody."""

from __future__ import annotations

import shlex
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from dbbackup.db.exceptions import CommandConnectorError, DumpError
from dbbackup.db.postgresql import PgDumpBinaryConnector, PgDumpConnector
from tests.db.postgresql.formats import both_formats
from tests.requirements import requires

pytestmark = requires("postgresql")

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
ROWS = 20_000
PIPES = [{}, {"DUMP_SUFFIX": "| (echo early; cat)"}, {"DUMP_PREFIX": "echo early; nice"}]


@pytest.fixture
def filled(make_database):
    filled = make_database(alias="shop")
    filled.psql(f"CREATE TABLE a (id int, t text); INSERT INTO a SELECT i, 'old' FROM generate_series(1, {ROWS}) i")
    return filled


def wait_for(condition):
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def behind_a_truncation(filled, action):
    """Return what ``action`` returns, which has to wait for a transaction that replaces the rows of a."""
    with ThreadPoolExecutor(1) as pool, filled.connector().connection.cursor() as cursor:
        cursor.execute("BEGIN; TRUNCATE a; INSERT INTO a VALUES (1, 'new')")
        future = pool.submit(action)
        wait_for(lambda: filled.psql(WAITING) == "1")
        cursor.execute("COMMIT")
        return future.result()


@pytest.mark.parametrize("pipe", PIPES, ids=["direct", "suffix", "prefix"])
def test_dump_that_waited_for_a_truncation_is_not_taken(filled, pipe):
    # pg_dump has its snapshot from before the commit, and finds the table empty behind it.
    with pytest.raises(DumpError, match="a was emptied or rewritten") as failed:
        behind_a_truncation(filled, lambda: filled.dump(PgDumpConnector, **pipe))
    assert failed.value.transient


def test_backup_is_made_again_behind_a_truncation(filled, store):
    def backup():
        try:
            return store.run("dbbackup")
        finally:
            # Django has a connection for each thread.
            connections.close_all()

    run = behind_a_truncation(filled, backup)
    assert (run.status, "Trying again (2 of 3)" in run.err) == (0, True), run
    filled.psql("TRUNCATE a")
    assert store.run("dbrestore", "--noinput").status == 0
    assert filled.psql("SELECT * FROM a") == "1|new"


@pytest.mark.parametrize("pipe", PIPES[1:], ids=["suffix", "prefix"])
@both_formats
def test_program_that_writes_before_pg_dump_does_no_harm(filled, cls, pipe):
    assert filled.dump(cls, **pipe).startswith(b"early\n" + (b"PGDMP" if cls is PgDumpBinaryConnector else b"--\n"))


def test_change_of_a_table_before_pg_dump_starts_is_in_the_dump(filled):
    connector = filled.connector(PgDumpConnector)
    connector.preflight_dump()
    filled.psql("TRUNCATE a; INSERT INTO a VALUES (2, 'newer'); CREATE TABLE b (id int); INSERT INTO b VALUES (3)")
    with connector.create_dump() as dump:
        content = dump.read()
    assert b"\n2\tnewer\n\\.\n" in content
    assert b"\n3\n\\.\n" in content


def test_dump_blocks_nobody_before_pg_dump_does(filled, tmp_path):
    note = tmp_path / "note"
    script = tmp_path / "slow"
    script.write_text(f'touch {shlex.quote(str(note))}\nsleep 1\nexec "$@"\n')
    dump = filled.connector(PgDumpConnector, DUMP_PREFIX=f"sh {shlex.quote(str(script))}").create_dump()
    wait_for(note.exists)
    filled.psql("SET lock_timeout = '500ms'; TRUNCATE a")
    with dump, pytest.raises(DumpError, match="a was emptied or rewritten"):
        dump.read()


def test_table_that_is_dropped_meanwhile_is_worth_another_try(filled):
    error = CommandConnectorError("x", stderr='pg_dump: error: query failed: ERROR:  relation "a" does not exist')
    assert filled.connector().is_transient(error.stderr)
    assert not filled.connector().is_transient('FATAL:  database "x" does not exist')


def test_database_without_tables_is_dumped(make_database):
    assert b"PostgreSQL database dump complete" in make_database().dump(PgDumpConnector)
