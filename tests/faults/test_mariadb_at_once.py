"""Several operations on one database at once: each ends well, or with an error that names the other."""

from __future__ import annotations

import subprocess
import time

import pytest

from tests.faults.gate import Gate
from tests.faults.mariadb import ROWS, TIMEOUT, halfway_through_the_load, my
from tests.process import MariadbProject, manage
from tests.requirements import requires

__all__ = ["my"]

pytestmark = [requires("mariadb", "bash"), pytest.mark.slow]

FLAGS = [[], ["--exact"]]


def wait_for_lock(project: MariadbProject, process: subprocess.Popen[str]) -> None:
    """Return once a program waits for a lock, or has ended."""
    waiting = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'owner' AND state LIKE 'Waiting for%'"
    deadline = time.monotonic() + TIMEOUT
    while project.server.sql(waiting) == "0" and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_two_backups(my: MariadbProject):
    my.grow(ROWS)
    before = my.state()
    runs = [subprocess.Popen(my.command("dbbackup", "-z"), env=my.env) for _ in range(2)]
    assert [run.wait(TIMEOUT) for run in runs] == [0, 0]
    names = sorted(path.name for path in my.backups.iterdir() if path.suffix == ".gz")
    assert len(names) == 2
    for name in names:
        my.change()
        assert manage(my, "dbrestore", "--noinput", "--exact", "-i", name).returncode == 0
        assert my.state() == before
    assert list(my.tmp.iterdir()) == []


@pytest.mark.parametrize("flags", FLAGS)
def test_a_second_restore_changes_nothing(my: MariadbProject, gate: Gate, flags: list[str]):
    my.grow(ROWS)
    new = my.state()
    assert manage(my, "dbbackup", "-o", "first").returncode == 0
    my.sql("DELETE FROM thing WHERE id > 100")
    assert manage(my, "dbbackup", "-o", "second").returncode == 0
    halfway_through_the_load(my, gate, "-i", "first", *flags)
    my.use("MysqlDumpConnector")
    done = manage(my, "dbrestore", "--noinput", "-i", "second", *flags)
    assert done.returncode == 1
    assert f"Another restore of database '{my.name}' is under way on this server. Nothing was changed." in done.stderr
    assert "put back" not in done.stderr
    done = gate.open()
    assert done.returncode == 0, done.stderr
    assert my.state() == new
    assert list(my.tmp.iterdir()) == []


@pytest.mark.parametrize("flags", FLAGS)
def test_a_backup_during_a_restore_is_refused(my: MariadbProject, gate: Gate, flags: list[str]):
    my.grow(ROWS)
    new = my.state()
    assert manage(my, "dbbackup").returncode == 0
    stored = sorted(my.backups.iterdir())
    my.sql("DELETE FROM thing")
    halfway_through_the_load(my, gate, *flags)
    done = manage(my, "dbbackup")
    assert done.returncode == 1
    assert "A restore of database 'default' is under way" in done.stderr
    assert sorted(my.backups.iterdir()) == stored
    done = gate.open()
    assert done.returncode == 0, done.stderr
    assert my.state() == new


def test_a_restore_that_begins_during_a_backup(my: MariadbProject, gate: Gate):
    my.grow(ROWS)
    assert manage(my, "dbbackup", "-o", "first").returncode == 0
    new = my.state()
    my.sql("UPDATE thing SET name = CONCAT(name, 'x')")
    my.use("MysqlDumpConnector", DUMP_SUFFIX=f"| {gate.filter}")
    gate.run(my, "dbbackup", "-o", "second")
    with subprocess.Popen(
        my.command("dbrestore", "--noinput", "-i", "first"), env=my.env, stderr=subprocess.PIPE, text=True
    ) as restore:
        wait_for_lock(my, restore)
        done = gate.open()
        _, error = restore.communicate(timeout=TIMEOUT)
    assert restore.returncode == 0, error
    assert my.state() == new
    # Nobody knows what it has of the tables that were made anew under it.
    assert done.returncode == 1
    assert "A restore of database 'default' is under way" in done.stderr
    assert not (my.backups / "second").exists()


def test_a_restore_that_gives_up_behind_a_backup_leaves_what_was_there(my: MariadbProject, gate: Gate):
    my.grow(10 * ROWS)
    assert manage(my, "dbbackup", "-o", "first").returncode == 0
    # Before the table that is held, in the order of the emptying.
    my.sql("CREATE TABLE a_first (id int PRIMARY KEY); INSERT INTO a_first VALUES (1)")
    before = my.state()
    my.use("MysqlDumpConnector", DUMP_SUFFIX=f"| {gate.filter}")
    my.configure("DBBACKUP_LOCK_TIMEOUT = 1")
    gate.run(my, "dbbackup", "-o", "second")
    done = manage(my, "dbrestore", "--noinput", "-i", "first")
    assert done.returncode == 1
    assert "DBBACKUP_LOCK_TIMEOUT" in done.stderr
    assert gate.open().returncode == 0
    assert my.state() == before
    assert list(my.tmp.iterdir()) == []
