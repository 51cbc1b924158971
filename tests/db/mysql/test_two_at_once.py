"""Two restores of one database at once: the second ends with an error and changes nothing."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from tests.db.mysql.altering import SHOP, refused, restored, with_statement
from tests.db.mysql.conftest import Database
from tests.requirements import requires
from tests.servers.mariadb import literal
from tests.shop import Store

pytestmark = requires("mariadb")

DEADLINE = 60


@pytest.fixture
def database(make_database, store: Store) -> Database:
    database: Database = make_database(alias="shop")
    database.sql(SHOP)
    return database


@contextmanager
def restoring(database: Database) -> Iterator[None]:
    """Have a restore in the middle of its work, until the block ends."""
    gate = f"gate of {database.name}"
    dump = with_statement(database.dump(), f"DO GET_LOCK({literal(gate)}, {DEADLINE})")
    with closing(database.server.connect()) as blocker, blocker.cursor() as cursor:
        cursor.execute(f"DO GET_LOCK({literal(gate)}, 0)")
        thread = threading.Thread(target=database.restore, args=[dump])
        thread.start()
        try:
            waiting = (
                "SELECT COUNT(*) FROM information_schema.processlist"
                f" WHERE info LIKE 'DO GET_LOCK%' AND db = {literal(database.name)}"
            )
            for _ in range(DEADLINE * 20):
                if database.server.sql(waiting) == "1":
                    break
                assert thread.is_alive()
                thread.join(0.05)
            yield
        finally:
            cursor.execute(f"DO RELEASE_LOCK({literal(gate)})")
            thread.join(DEADLINE)
            assert not thread.is_alive()


def test_second_restore_is_refused(database, store):
    before, dump = database.dump(), database.dump()
    with restoring(database):
        error = refused(database, store, dump)
        assert f"Another restore of database {database.name!r} is under way on this server." in error
        assert error.endswith("Nothing was changed.")
    assert database.dump() == before
    run = restored(store, dump)
    assert (run.status, run.error) == (0, "")


def test_backup_during_a_restore_is_refused_as_it_would_have_a_half(database, store):
    with restoring(database):
        run = store.run("dbbackup")
        assert run.status == 1
        assert "A restore of database 'shop' is under way" in run.error
        assert store.stored() == []
    assert store.run("dbbackup").status == 0


def test_restore_of_another_database_is_not_prevented(database, make_database, store):
    other = make_database(alias="other")
    dump = database.dump()
    with restoring(database):
        assert restored(store, dump, "-d", "other").status == 0
    assert other.dump() == dump.replace(database.name.encode(), other.name.encode())


def test_lock_of_a_restore_is_given_back(database):
    name = f"dbbackup restore {hashlib.sha256(database.name.encode()).hexdigest()[:32]}"
    dump = database.dump()
    database.restore(dump)
    assert database.server.sql(f"SELECT IS_FREE_LOCK({literal(name)})") == "1"
    with restoring(database):
        assert database.server.sql(f"SELECT IS_FREE_LOCK({literal(name)})") == "0"
