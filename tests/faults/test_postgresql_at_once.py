"""Several operations on one database at once: each ends well, or with an error that names the other."""

from __future__ import annotations

import subprocess
import time
from typing import Any

import psycopg
import pytest

from tests.faults.gate import Gate
from tests.process import PostgresqlProject, manage
from tests.requirements import requires

pytestmark = [requires("postgresql", "bash"), pytest.mark.slow]

ROWS = 30_000
CONNECTORS = ["PgDumpBinaryConnector", "PgDumpConnector"]
TIMEOUT = 60


def wait_for_lock(project: PostgresqlProject, process: subprocess.Popen[str]) -> None:
    """Return once a program waits for a lock, or has ended."""
    deadline = time.monotonic() + TIMEOUT
    while project.psql("SELECT count(*) FROM pg_locks WHERE NOT granted") == "0" and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def login(project: PostgresqlProject) -> dict[str, Any]:
    cluster = project.cluster
    user = {"user": cluster.owner.name, "password": cluster.owner.password}
    return {"host": cluster.host, "port": cluster.port, "dbname": project.name, **user}


def test_two_backups(pg: PostgresqlProject):
    pg.grow(ROWS)
    before = pg.state()
    runs = [subprocess.Popen(pg.command("dbbackup", "-z"), env=pg.env) for _ in range(2)]
    assert [run.wait(TIMEOUT) for run in runs] == [0, 0]
    names = sorted(path.name for path in pg.backups.iterdir() if path.suffix == ".gz")
    assert len(names) == 2
    for name in names:
        pg.psql("DELETE FROM thing")
        assert manage(pg, "dbrestore", "--noinput", "-i", name).returncode == 0
        assert pg.state() == before


@pytest.mark.parametrize("how", [[], ["--exact"]])
@pytest.mark.parametrize("connector", CONNECTORS)
def test_a_backup_gives_up_behind_a_restore(pg: PostgresqlProject, gate: Gate, connector: str, how: list[str]):
    pg.use(connector)
    pg.grow(ROWS)
    new = pg.state()
    assert manage(pg, "dbbackup").returncode == 0
    stored = sorted(pg.backups.iterdir())
    pg.psql("DELETE FROM thing")
    pg.use(connector, RESTORE_PREFIX=f"{gate.filter} | env")
    pg.configure("DBBACKUP_LOCK_TIMEOUT = 1")
    gate.run(pg, "dbrestore", "--noinput", *how)
    done = manage(pg, "dbbackup")
    assert done.returncode == 1
    assert "DBBACKUP_LOCK_TIMEOUT" in done.stderr
    assert sorted(pg.backups.iterdir()) == stored
    done = gate.open()
    assert done.returncode == 0, done.stderr
    assert pg.state() == new


@pytest.mark.parametrize("how", [[], ["--exact"]])
@pytest.mark.parametrize("connector", CONNECTORS)
def test_a_backup_that_waits_for_a_restore_is_whole(pg: PostgresqlProject, gate: Gate, connector: str, how: list[str]):
    pg.use(connector)
    pg.grow(ROWS)
    new = pg.state()
    assert manage(pg, "dbbackup", "-o", "first").returncode == 0
    pg.psql("DELETE FROM thing")
    pg.use(connector, RESTORE_PREFIX=f"{gate.filter} | env")
    gate.run(pg, "dbrestore", "--noinput", "-i", "first", *how)
    with subprocess.Popen(
        pg.command("dbbackup", "-o", "second"), env=pg.env, stderr=subprocess.PIPE, text=True
    ) as backup:
        wait_for_lock(pg, backup)
        done = gate.open()
        _, error = backup.communicate(timeout=TIMEOUT)
    assert done.returncode == 0, done.stderr
    assert pg.state() == new
    pg.use(connector)
    if backup.returncode:
        assert backup.returncode == 1
        assert "Cannot dump database 'default'" in error
        assert not (pg.backups / "second").exists()
    else:
        done = manage(pg, "dbrestore", "--noinput", "-i", "second")
        assert done.returncode == 0, done.stderr
        assert pg.state() == new


@pytest.mark.parametrize("connector", CONNECTORS)
def test_a_restore_gives_up_behind_a_backup(pg: PostgresqlProject, gate: Gate, connector: str):
    pg.use(connector)
    pg.grow(ROWS)
    assert manage(pg, "dbbackup", "-o", "first").returncode == 0
    whole = pg.state()
    pg.use(connector, DUMP_SUFFIX=f"| {gate.filter}")
    pg.configure("DBBACKUP_LOCK_TIMEOUT = 1")
    gate.run(pg, "dbbackup", "-o", "second")
    done = manage(pg, "dbrestore", "--noinput", "-i", "first")
    assert done.returncode == 1
    assert "pg_dump" in done.stderr or "dbbackup" in done.stderr
    assert "DBBACKUP_LOCK_TIMEOUT" in done.stderr
    assert gate.open().returncode == 0
    pg.use(connector)
    pg.change()
    assert manage(pg, "dbrestore", "--noinput", "-i", "second", "--exact").returncode == 0
    assert pg.state() == whole


def test_a_backup_that_waits_for_a_truncation_has_the_rows_before_or_after(pg: PostgresqlProject):
    pg.grow(ROWS)
    with psycopg.connect(**login(pg)) as other:
        other.execute("TRUNCATE thing")
        other.execute("INSERT INTO thing VALUES (1, 'new')")
        with subprocess.Popen(pg.command("dbbackup"), env=pg.env, stderr=subprocess.PIPE, text=True) as backup:
            wait_for_lock(pg, backup)
            other.commit()
            _, error = backup.communicate(timeout=TIMEOUT)
    whole = pg.state()
    if backup.returncode == 0:
        pg.psql("TRUNCATE thing")
        assert manage(pg, "dbrestore", "--noinput").returncode == 0
        assert pg.state() == whole
    else:
        assert "Somebody else holds a lock" in error
