"""kill -9 at random moments: what is there afterwards is old or new, and what is listed is complete."""

from __future__ import annotations

import random
import subprocess
import time

import pytest

from tests.process import Project, manage

KILLS = 10
ROWS = 100_000


def killed(project: Project, after: float, *args: str) -> bool:
    """Run a command, kill it after that many seconds, and return whether it was still running."""
    with subprocess.Popen(
        project.command(*args), env=project.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.kill()
            return True
    return False


def duration(project: Project, *args: str) -> float:
    started = time.monotonic()
    assert manage(project, *args).returncode == 0
    return time.monotonic() - started


@pytest.mark.slow
@pytest.mark.parametrize("connector", ["SqliteBackupConnector", "SqliteConnector"])
def test_killed_backup_is_never_listed_nor_chosen(project, connector):
    project.configure(f'DBBACKUP_CONNECTORS = {{"default": {{"CONNECTOR": "dbbackup.db.sqlite.{connector}"}}}}')
    project.grow(ROWS)
    length = duration(project, "dbbackup", "-z")
    whole = 1
    chance = random.Random(seed := random.randrange(1 << 32))
    print(f"seed {seed}")  # noqa: T201 - shown by pytest when the test fails
    for _ in range(KILLS):
        # The first third is Python starting.
        whole += not killed(project, chance.uniform(length / 3, length), "dbbackup", "-z")
        listed = manage(project, "listbackups", "--json").stdout.splitlines()
        assert len([line for line in listed if '"status": "complete"' in line]) <= whole + 1
        whole = len([line for line in listed if '"status": "complete"' in line])
        verified = manage(project, "verifybackups")
        assert verified.returncode == 0, verified.stderr
    assert manage(project, "dbrestore", "--noinput").returncode == 0
    assert len(project.rows()) == ROWS + 3
    assert manage(project, "dbbackup").returncode == 0
    assert list(project.tmp.iterdir()) == []
    assert [path.name for path in project.backups.iterdir() if path.name.startswith(".")] == []


@pytest.mark.slow
@pytest.mark.parametrize("journal", ["wal", "delete"])
@pytest.mark.parametrize("connector", ["SqliteBackupConnector", "SqliteConnector"])
def test_killed_restore_leaves_the_old_or_the_new_database(project, connector, journal):
    project.configure(f'DBBACKUP_CONNECTORS = {{"default": {{"CONNECTOR": "dbbackup.db.sqlite.{connector}"}}}}')
    project.grow(ROWS)
    project.execute(f"PRAGMA journal_mode = {journal}")
    assert manage(project, "dbbackup").returncode == 0
    new = project.rows()
    project.execute("DELETE FROM thing WHERE id % 2", "UPDATE thing SET name = 'changed' WHERE id % 3 = 0")
    old = project.rows()
    length = duration(project, "dbrestore", "--noinput", "--quiet")
    project.execute("DELETE FROM thing WHERE id % 2", "UPDATE thing SET name = 'changed' WHERE id % 3 = 0")
    chance = random.Random(seed := random.randrange(1 << 32))
    print(f"seed {seed}")  # noqa: T201 - shown by pytest when the test fails
    for _ in range(KILLS):
        killed(project, chance.uniform(length / 4, length), "dbrestore", "--noinput")
        assert project.rows() in (old, new)
    assert manage(project, "dbrestore", "--noinput").returncode == 0
    assert project.rows() == new
    assert list(project.tmp.iterdir()) == []
