"""kill -9 and Ctrl-C at random moments: the database is old or new, what is listed is whole, and nothing stays."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time

import pytest

from tests.process import PostgresqlProject, manage, signalled
from tests.requirements import requires

pytestmark = [requires("postgresql"), pytest.mark.slow]

KILLS = 3
ROWS = 50_000
PATIENCE = 10
CONNECTORS = ["PgDumpBinaryConnector", "PgDumpConnector"]
SIGNALS = [signal.SIGKILL, signal.SIGINT]
INTERRUPTED = 130


@pytest.fixture
def chance() -> random.Random:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # noqa: T201 - shown by pytest when the test fails
    return random.Random(seed)


def duration(project: PostgresqlProject, *args: str) -> float:
    started = time.monotonic()
    done = manage(project, *args)
    assert done.returncode == 0, done.stderr
    return time.monotonic() - started


def is_interrupted(ended: subprocess.CompletedProcess[str]) -> None:
    # After its last line its work is done and Python is ending: how that ends is Python's affair.
    if not ended.stdout.startswith(("Backed up", "Restored")):
        assert ended.returncode == INTERRUPTED, ended.stderr
        assert "Interrupted" in ended.stderr


def sessions_end(project: PostgresqlProject) -> float:
    """Return how long the server takes until no program of ours is connected."""
    started = time.monotonic()
    while project.sessions():
        assert time.monotonic() - started < PATIENCE
        time.sleep(0.02)
    return time.monotonic() - started


@pytest.mark.parametrize("how", SIGNALS)
@pytest.mark.parametrize("connector", CONNECTORS)
def test_a_backup(pg: PostgresqlProject, chance: random.Random, connector: str, how: signal.Signals):
    pg.use(connector)
    pg.grow(ROWS)
    before = pg.state()
    length = duration(pg, "dbbackup", "-z", "zstd")
    whole = 1
    for _ in range(KILLS):
        ended = signalled(pg, chance.uniform(0, length / 2), how, "dbbackup", "-z", "zstd")
        if ended and how is signal.SIGINT:
            is_interrupted(ended)
            assert [path.name for path in pg.backups.iterdir() if path.name.startswith(".")] == []
            assert list(pg.tmp.iterdir()) == []
        sessions_end(pg)
        listed = [json.loads(line) for line in manage(pg, "listbackups", "--json").stdout.splitlines()]
        complete = len([backup for backup in listed if backup["status"] == "complete"])
        # Published is published, even if the end of the command was not reached.
        assert whole + (ended is None) <= complete <= whole + 1
        whole = complete
    verified = manage(pg, "verifybackups")
    assert verified.returncode == 0, verified.stderr
    assert manage(pg, "dbrestore", "--noinput").returncode == 0
    assert pg.state() == before
    assert manage(pg, "dbbackup").returncode == 0
    assert list(pg.tmp.iterdir()) == []
    assert [path.name for path in pg.backups.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("how", SIGNALS)
@pytest.mark.parametrize("flags", [[], ["--exact"]])
@pytest.mark.parametrize("connector", CONNECTORS)
def test_a_restore(pg: PostgresqlProject, chance: random.Random, connector: str, flags: list[str], how: signal.Signals):
    pg.use(connector)
    pg.grow(ROWS)
    assert manage(pg, "dbbackup", "-z", "zstd").returncode == 0
    pg.change()
    length = duration(pg, "dbrestore", "--noinput", *flags)
    # What is not in the backup stays without --exact.
    new = pg.state()
    pg.psql("DROP TABLE IF EXISTS newer")
    pg.change()
    old = pg.state()
    longest = 0.0
    for _ in range(KILLS):
        ended = signalled(pg, chance.uniform(0, length / 2), how, "dbrestore", "--noinput", *flags)
        longest = max(longest, sessions_end(pg))
        assert pg.state() in (old, new)
        if ended and how is signal.SIGINT:
            is_interrupted(ended)
            assert list(pg.tmp.iterdir()) == []
    print(f"restores took {length:.1f} s, sessions {longest:.2f} s to end")  # noqa: T201
    done = manage(pg, "dbrestore", "--noinput", *flags)
    assert done.returncode == 0, done.stderr
    assert pg.state() == new
    assert list(pg.tmp.iterdir()) == []
