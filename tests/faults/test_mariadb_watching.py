"""What takes long is told from what hangs: locks are waited for as long as was said, a server that is gone is not."""

from __future__ import annotations

import subprocess
import time
from contextlib import closing
from typing import IO

import pymysql
import pytest

from dbbackup.db import watching
from dbbackup.db.mysql import MysqlDumpConnector
from dbbackup.db.mysql import watching as mysql_watching
from tests.faults.mariadb import ROWS, TIMEOUT, hasten, my, own_my
from tests.process import MariadbProject, manage
from tests.requirements import requires

__all__ = ["my", "own_my"]

pytestmark = [requires("mariadb", "bash", "setsid"), pytest.mark.once]

SLOW = """
CREATE TABLE IF NOT EXISTS slow (id int);
SELECT SLEEP(8);
INSERT INTO slow VALUES (1);
"""


def other_session(project: MariadbProject) -> pymysql.Connection:
    return project.server.connect(project.server.owner, project.name)


def execute(session: pymysql.Connection, *statements: str) -> None:
    with session.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def waits(project: MariadbProject, state: str) -> bool:
    waiting = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'owner' AND state LIKE"
    return project.server.sql(f"{waiting} '{state}%'") != "0"


def start(project: MariadbProject, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(project.command(*args), env=project.env, stderr=subprocess.PIPE, text=True)


def read_until(file: IO[str] | None, words: str) -> str:
    assert file is not None
    said = ""
    for line in file:
        said += line
        if words in line:
            return said
    raise AssertionError(said)


def wait_until_it_waits(project: MariadbProject, process: subprocess.Popen[str], state: str = "Waiting for") -> None:
    deadline = time.monotonic() + TIMEOUT
    while not waits(project, state):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_dump_does_not_wait_for_a_table_longer_than_it_may(my: MariadbProject):
    my.grow(100)
    my.configure("DBBACKUP_LOCK_TIMEOUT = 2")
    with closing(other_session(my)) as other:
        execute(other, "LOCK TABLES thing WRITE")
        done = manage(my, "dbbackup")
    assert done.returncode == 1
    assert "The dump waited" in done.stderr
    assert "thing" in done.stderr
    assert "(Waiting for table metadata lock)" in done.stderr
    assert "DBBACKUP_LOCK_TIMEOUT" in done.stderr
    assert list(my.backups.iterdir()) == []
    assert list(my.tmp.iterdir()) == []
    assert my.sessions() == 0


def test_a_dump_goes_on_when_the_table_is_free(my: MariadbProject):
    my.grow(100)
    with closing(other_session(my)) as other:
        execute(other, "LOCK TABLES thing WRITE")
        with start(my, "dbbackup") as backup:
            wait_until_it_waits(my, backup)
            execute(other, "UNLOCK TABLES")
            _, error = backup.communicate(timeout=TIMEOUT)
    assert backup.returncode == 0, error


def test_a_restore_does_not_wait_for_a_table_longer_than_it_may(my: MariadbProject):
    my.grow(ROWS)
    assert manage(my, "dbbackup").returncode == 0
    my.change()
    before = my.state()
    my.configure("DBBACKUP_LOCK_TIMEOUT = 2")
    with closing(other_session(my)) as other:
        # The load would come to it last.
        execute(other, "BEGIN", "SELECT * FROM z_last")
        done = manage(my, "dbrestore", "--noinput")
    assert done.returncode == 1
    assert "ERROR 1205" in done.stderr
    assert "Somebody else holds a lock on a table: SHOW PROCESSLIST." in done.stderr
    assert done.stderr.endswith("Nothing was changed.\n")
    assert my.state() == before
    assert list(my.tmp.iterdir()) == []


def test_the_putting_back_waits_until_a_table_is_free(my: MariadbProject):
    my.grow(100)
    before = my.state()
    my.configure("DBBACKUP_LOCK_TIMEOUT = 1")
    path = my.root / "fails.sql"
    path.write_text("SELECT SLEEP(3);\nSELECT no_such_column;\n")
    with closing(other_session(my)) as other, start(my, "dbrestore", "--noinput", "-I", str(path)) as restore:
        wait_until_it_waits(my, restore, state="User sleep")
        execute(other, "BEGIN", "SELECT * FROM z_last")
        read_until(restore.stderr, "Another session has a table in use")
        execute(other, "ROLLBACK")
        _, error = restore.communicate(timeout=TIMEOUT)
    assert restore.returncode == 1
    assert "The safety dump was put back and verified: database 'default' is as it was." in error
    assert my.state() == before
    assert list(my.tmp.iterdir()) == []


def test_an_exact_restore_behind_a_transaction_leaves_what_was_there(my: MariadbProject):
    my.grow(ROWS)
    assert manage(my, "dbbackup").returncode == 0
    my.change()
    before = my.state()
    my.configure("DBBACKUP_LOCK_TIMEOUT = 2")
    with closing(other_session(my)) as other:
        execute(other, "BEGIN", "SELECT * FROM newer")
        done = manage(my, "dbrestore", "--noinput", "--exact")
        assert done.returncode == 1
        assert "Somebody else holds a lock on a table: SHOW PROCESSLIST." in done.stderr
        execute(other, "ROLLBACK")
    assert my.state() == before
    assert list(my.tmp.iterdir()) == []


def test_a_server_that_hangs_while_a_restore_waits_for_a_table(own_my: MariadbProject):
    own_my.grow(100)
    assert manage(own_my, "dbbackup").returncode == 0
    own_my.change()
    hasten(own_my, patience=2)
    with closing(other_session(own_my)) as other:
        execute(other, "BEGIN", "SELECT * FROM z_last")
        with start(own_my, "dbrestore", "--noinput", "--exact") as restore:
            wait_until_it_waits(own_my, restore)
            with own_my.server.frozen():
                try:
                    _, error = restore.communicate(timeout=TIMEOUT)
                finally:
                    restore.kill()
    assert restore.returncode == 1
    assert "has not answered" in error
    assert list(own_my.tmp.iterdir()) == []


def test_a_reader_that_takes_its_time_is_no_server_that_hangs(my: MariadbProject, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watching, "QUIET", 0.2)
    monkeypatch.setattr(mysql_watching, "ANSWER", 0.2)
    my.grow(100_000)
    connector = MysqlDumpConnector("default", settings={**my.server.settings(my.name), "TMP_DIR": my.tmp})
    with connector.create_dump() as dump:
        head = dump.read(1000)
        # Who asked it now would get no answer.
        with my.server.frozen():
            time.sleep(4)
        rest = dump.read()
    assert (head + rest).endswith(b"-- Dump completed\n")
    assert list(my.tmp.iterdir()) == []


def test_a_statement_that_takes_long_is_no_server_that_hangs(my: MariadbProject):
    hasten(my)
    path = my.root / "slow.sql"
    path.write_text(SLOW)
    done = manage(my, "dbrestore", "--noinput", "-I", str(path))
    assert done.returncode == 0, done.stderr
    assert my.sql("SELECT COUNT(*) FROM slow") == "1"
    assert list(my.tmp.iterdir()) == []
