"""Sessions that hold locks in the way of a restore: shown, waited for until a deadline, ended when asked."""

from __future__ import annotations

import io
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pytest

from dbbackup.db.exceptions import DatabaseLockedError
from tests.db.postgresql.conftest import Database
from tests.db.postgresql.formats import both_formats
from tests.db.postgresql.test_restore import SHOP
from tests.requirements import requires
from tests.servers.postgresql import Role

pytestmark = requires("postgresql")

APPLICATION = "somebody's shell"
DEADLINE = 1.0


@contextmanager
def holding(database: Database, role: Role | None = None) -> Iterator[psycopg.Connection[Any]]:
    """Have another session read a table and stay within its transaction."""
    role = role or database.cluster.owner
    connection = psycopg.connect(
        host=database.cluster.host,
        port=database.cluster.port,
        dbname=database.name,
        user=role.name,
        password=role.password,
        application_name=APPLICATION,
    )
    with closing(connection):
        connection.execute("SELECT count(*) FROM customer").fetchone()
        yield connection


def restored(database: Database, dump: bytes, cls, heard: Callable[[str], None], **settings: Any) -> None:
    connector = database.connector(cls, **{"LOCK_TIMEOUT": DEADLINE, **settings})
    connector.listen(heard)
    connector.restore_dump(io.BytesIO(dump))


def sessions_of_restores(database: Database) -> str:
    """Return what the restore has left on the server, once it had a moment to go."""
    left = ""
    for _ in range(50):
        left = database.cluster.psql(
            "SELECT pid, query FROM pg_stat_activity WHERE application_name LIKE 'dbbackup%'"
            f" AND datname = '{database.name}'"
        )
        if not left:
            break
        time.sleep(0.1)
    return left


@both_formats
@pytest.mark.parametrize("exact", [False, True])
def test_blocker_is_shown_and_the_deadline_ends_the_wait(database, cls, exact):
    database.psql(SHOP)
    dump = database.dump(cls)
    database.psql("UPDATE customer SET name = 'changed'")
    before = database.state()
    heard: list[str] = []
    with holding(database) as other:
        pid = other.info.backend_pid
        with pytest.raises(DatabaseLockedError) as caught:
            restored(database, dump, cls, heard.append, EXACT=exact)
        assert other.execute("SELECT 1").fetchone() == (1,)
        assert sessions_of_restores(database) == ""
    blocker = f"process {pid} (owner, {APPLICATION}, idle in transaction"
    assert len(heard) == 1
    assert heard[0].startswith(f"The restore waits for {blocker}")
    assert f"waited {DEADLINE:g} s for {blocker}" in str(caught.value)
    assert "--terminate-connections" in str(caught.value)
    assert str(caught.value).endswith("The database is as it was.")
    assert database.state() == before


@both_formats
def test_blocker_is_ended_when_asked(database, cls):
    database.psql(SHOP)
    before, dump = database.state(), database.dump(cls)
    database.psql("UPDATE customer SET name = 'changed'")
    heard: list[str] = []
    with holding(database) as other:
        restored(database, dump, cls, heard.append, TERMINATE_CONNECTIONS=True)
        assert APPLICATION in heard[0]
        with pytest.raises(psycopg.OperationalError, match="terminating connection"):
            other.execute("SELECT 1")
    assert database.state() == before


def test_blocker_that_goes_by_itself_is_waited_for(database):
    database.psql(SHOP)
    before, dump = database.state(), database.dump()
    database.psql("UPDATE customer SET name = 'changed'")
    with holding(database) as other:
        restored(database, dump, type(database.connector()), lambda _: other.close(), LOCK_TIMEOUT=30)
    assert database.state() == before


def test_several_jobs_are_watched_as_well(database):
    database.psql(SHOP)
    dump = database.dump()
    with holding(database), pytest.raises(DatabaseLockedError, match=r"(?s)somebody's shell.*Not in one transaction"):
        restored(database, dump, type(database.connector()), lambda _: None, JOBS=2)
    assert sessions_of_restores(database) == ""


def test_session_of_another_role_may_not_be_ended(database):
    database.psql(SHOP + "GRANT SELECT ON customer TO other")
    before, dump = database.state(), database.dump()
    heard: list[str] = []
    with holding(database, database.cluster.other) as other:
        with pytest.raises(DatabaseLockedError, match=rf"process {other.info.backend_pid} \(other, "):
            restored(database, dump, type(database.connector()), heard.append, TERMINATE_CONNECTIONS=True)
        assert other.execute("SELECT 1").fetchone() == (1,)
    assert [text for text in heard if "cannot be ended" in text and "must be a member of the role" in text]
    assert database.state() == before


def test_admin_may_end_it(database):
    database.psql(SHOP + "GRANT SELECT ON customer TO other")
    before, dump = database.state(), database.dump()
    admin = database.cluster.admin
    with holding(database, database.cluster.other):
        restored(
            database, dump, type(database.connector()), lambda _: None,
            TERMINATE_CONNECTIONS=True, ADMIN_USER=admin.name, ADMIN_PASSWORD=admin.password,
        )  # fmt: skip
    assert database.state() == before


def test_restore_as_a_role_can_be_ended_by_the_deadline(database):
    cluster = database.cluster
    cluster.psql("CREATE ROLE workers; GRANT workers TO owner")
    try:
        database.psql("CREATE TABLE customer (id int)")
        database.psql("ALTER TABLE customer OWNER TO workers; GRANT SELECT ON customer TO owner", cluster.admin)
        cluster.psql("GRANT ALL ON SCHEMA public TO workers", database.name)
        dump = database.dump()
        with holding(database), pytest.raises(DatabaseLockedError):
            restored(database, dump, type(database.connector()), lambda _: None, ROLE="workers")
        assert sessions_of_restores(database) == ""
    finally:
        cluster.psql("DROP OWNED BY workers CASCADE", database.name)
        cluster.psql("DROP ROLE workers")


def test_interrupted_wait_leaves_no_session_behind(database):
    database.psql(SHOP)
    before, dump = database.state(), database.dump()
    main = threading.main_thread().ident
    assert main is not None
    with holding(database):
        with pytest.raises(KeyboardInterrupt):
            restored(
                database, dump, type(database.connector()),
                lambda _: signal.pthread_kill(main, signal.SIGINT), LOCK_TIMEOUT=60,
            )  # fmt: skip
        assert sessions_of_restores(database) == ""
    assert database.state() == before
