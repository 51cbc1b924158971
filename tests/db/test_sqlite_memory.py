"""SQLite databases in memory, which live in Django's own connection."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections, transaction

from dbbackup.db.exceptions import RestoreError
from dbbackup.db.sqlite import SqliteBackupConnector, SqliteConnector, SqliteCPConnector
from dbbackup.exceptions import ConfigurationError
from tests.db.conftest import Database, MakeDatabase, live
from tests.db.everything import EVERYTHING
from tests.db.sqlite_state import state_of


@pytest.fixture(params=[":memory:", "file:test_{}?mode=memory&cache=shared"])
def memory(make_database: MakeDatabase, request: pytest.FixtureRequest) -> Iterator[Database]:
    database = make_database(setting=request.param.format(time.monotonic_ns()))
    yield database
    # Django's own close() leaves a connection to memory open.
    live(database).close()


@pytest.mark.parametrize("cls", [SqliteBackupConnector, SqliteConnector])
def test_memory_comes_back(memory: Database, cls: Any):
    live(memory).executescript(f"PRAGMA foreign_keys = OFF; {EVERYTHING} PRAGMA foreign_keys = ON;")
    before = state_of(live(memory))
    dump = memory.dump(cls)
    live(memory).executescript(
        "DROP TRIGGER no_delete; DELETE FROM book; DROP TABLE search; DELETE FROM search_bare_data"
    )
    memory.connector(cls).restore_dump(io.BytesIO(dump))
    assert state_of(live(memory)) == before
    connection = live(memory)
    assert connection.execute("SELECT rowid FROM search WHERE search MATCH 'zurich'").fetchall() == [(5,)]
    assert connection.execute("SELECT rowid FROM search_bare WHERE search_bare MATCH 'words'").fetchall() == [(11,)]
    assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)
    assert memory.connector(cls).table_counts()["many"] == 3000


def test_memory_takes_a_file_of_another_page_size(memory: Database, database: Database):
    database.script(f"PRAGMA page_size = 16384; {EVERYTHING}")
    live(memory).execute("CREATE TABLE t(a)")
    memory.connector(SqliteBackupConnector).restore_dump(io.BytesIO(database.dump(SqliteBackupConnector)))
    assert state_of(live(memory)) == database.state()


@pytest.mark.parametrize("cls", [SqliteBackupConnector, SqliteConnector])
def test_memory_inside_a_transaction_dumps_but_does_not_restore(memory: Database, cls: Any):
    live(memory).execute("CREATE TABLE t(a)")
    with transaction.atomic(using=memory.alias):
        connections[memory.alias].cursor().execute("INSERT INTO t VALUES(5)")
        dump = memory.dump(cls)
        with pytest.raises(RestoreError, match="outside of atomic"):
            memory.connector(cls).restore_dump(io.BytesIO(dump))
        transaction.set_rollback(True, using=memory.alias)
    memory.connector(cls).restore_dump(io.BytesIO(dump))
    assert live(memory).execute("SELECT a FROM t").fetchall() == [(5,)]


def test_raw_copy_of_memory_is_refused(memory: Database):
    connector = memory.connector(SqliteCPConnector)
    for action in (connector.create_dump, connector.preflight_dump, connector.preflight_restore):
        with pytest.raises(ConfigurationError, match=r"in memory .* SqliteBackupConnector"):
            action()
    with pytest.raises(ConfigurationError, match="in memory"):
        connector.restore_dump(io.BytesIO(b"SQLite format 3\0"))
