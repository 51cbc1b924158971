"""Signals at random moments: the database is old or new, or the next restore says where the old one lies."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time

import pytest

from tests.faults.gate import Gate
from tests.faults.mariadb import ROWS, TIMEOUT, halfway_through_the_load, line_by_hand, my, safety_dumps, type_in
from tests.process import MariadbProject, manage, signalled
from tests.requirements import requires

__all__ = ["my"]

pytestmark = [requires("mariadb", "bash", "setsid"), pytest.mark.slow]

KILLS = 4
INTERRUPTED = 130
SIGNALS = [signal.SIGKILL, signal.SIGINT, signal.SIGTERM]
FLAGS = [[], ["--exact"]]


@pytest.fixture
def chance() -> random.Random:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # noqa: T201 - shown by pytest when the test fails
    return random.Random(seed)


def duration(project: MariadbProject, *args: str) -> float:
    started = time.monotonic()
    done = manage(project, *args)
    assert done.returncode == 0, done.stderr
    return time.monotonic() - started


def is_interrupted(ended: subprocess.CompletedProcess[str]) -> None:
    # After its last line its work is done and Python is ending: how that ends is Python's affair.
    if not ended.stdout.startswith(("Backed up", "Restored")):
        assert ended.returncode == INTERRUPTED, ended.stderr
        assert "Interrupted" in ended.stderr


def sessions_end(project: MariadbProject) -> None:
    """Return once no program of ours is connected."""
    deadline = time.monotonic() + TIMEOUT
    while project.sessions():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def send(gate: Gate, how: signal.Signals) -> None:
    assert gate._process is not None
    gate._process.send_signal(how)


@pytest.mark.parametrize("how", SIGNALS)
def test_a_backup(my: MariadbProject, chance: random.Random, how: signal.Signals):
    my.grow(ROWS)
    before = my.state()
    length = duration(my, "dbbackup", "-z", "zstd")
    whole = 1
    for _ in range(KILLS):
        ended = signalled(my, chance.uniform(0, length / 2), how, "dbbackup", "-z", "zstd")
        if ended and how is not signal.SIGKILL:
            is_interrupted(ended)
            assert [path.name for path in my.backups.iterdir() if path.name.startswith(".")] == []
            assert list(my.tmp.iterdir()) == []
        sessions_end(my)
        listed = [json.loads(line) for line in manage(my, "listbackups", "--json").stdout.splitlines()]
        complete = len([backup for backup in listed if backup["status"] == "complete"])
        # Published is published, even if the end of the command was not reached.
        assert whole + (ended is None) <= complete <= whole + 1
        whole = complete
    verified = manage(my, "verifybackups")
    assert verified.returncode == 0, verified.stderr
    my.change()
    assert manage(my, "dbrestore", "--noinput", "--exact").returncode == 0
    assert my.state() == before
    # What a killed run left, the file with the password above all, goes with the next.
    assert manage(my, "dbbackup").returncode == 0
    assert list(my.tmp.iterdir()) == []
    assert [path.name for path in my.backups.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_restore_that_is_interrupted(
    my: MariadbProject, chance: random.Random, flags: list[str], how: signal.Signals
):
    my.grow(ROWS)
    assert manage(my, "dbbackup", "-z", "zstd").returncode == 0
    my.change()
    length = duration(my, "dbrestore", "--noinput", *flags)
    # What is not in the backup stays without --exact.
    new = my.state()
    my.sql("DROP TABLE IF EXISTS newer")
    my.change()
    old = my.state()
    for _ in range(KILLS):
        ended = signalled(my, chance.uniform(0, length), how, "dbrestore", "--noinput", *flags)
        if ended:
            is_interrupted(ended)
            assert list(my.tmp.iterdir()) == []
            # Its sessions have ended before it did, or end without having changed anything more.
            assert my.state() in (old, new)
    sessions_end(my)
    assert manage(my, "dbrestore", "--noinput", *flags).returncode == 0
    assert my.state() == new
    assert list(my.tmp.iterdir()) == []


@pytest.mark.parametrize("flags", FLAGS)
def test_a_restore_that_is_killed(my: MariadbProject, chance: random.Random, flags: list[str]):
    my.grow(ROWS)
    assert manage(my, "dbbackup", "-z", "zstd").returncode == 0
    my.change()
    length = duration(my, "dbrestore", "--noinput", *flags)
    new = my.state()
    my.sql("DROP TABLE IF EXISTS newer")
    my.change()
    old = my.state()
    for _ in range(KILLS):
        signalled(my, chance.uniform(0, length), signal.SIGKILL, "dbrestore", "--noinput", *flags)
        sessions_end(my)
        if my.state() not in (old, new):
            (path,) = safety_dumps(my)
            subprocess.run(["gzip", "-t", path], check=True)
        for path in safety_dumps(my):
            warned = manage(my, "dbrestore", "--noinput", *flags)
            assert warned.returncode == 0, warned.stderr
            assert f"or delete {path}" in warned.stderr
            type_in(my, line_by_hand(warned.stderr))
            assert my.state() == old
            path.unlink()
        if my.state() == new:
            my.sql("DROP TABLE IF EXISTS newer")
            my.change()
    done = manage(my, "dbrestore", "--noinput", *flags)
    assert done.returncode == 0, done.stderr
    assert "was killed" not in done.stderr
    assert my.state() == new
    assert list(my.tmp.iterdir()) == []


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_halfway_through_the_load(my: MariadbProject, gate: Gate, flags: list[str], how: signal.Signals):
    my.grow(ROWS)
    assert manage(my, "dbbackup").returncode == 0
    my.change()
    before = my.state()
    halfway_through_the_load(my, gate, *flags)
    send(gate, how)
    done = gate.open()
    assert done.returncode == INTERRUPTED, done.stderr
    assert "Interrupted" in done.stderr
    assert my.state() == before
    assert list(my.tmp.iterdir()) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_second_interrupt_halfway_through_the_putting_back(my: MariadbProject, gate: Gate, how: signal.Signals):
    my.grow(ROWS)
    assert manage(my, "dbbackup").returncode == 0
    my.change()
    before = my.state()
    halfway_through_the_load(my, gate)
    send(gate, how)
    gate.again()
    send(gate, how)
    done = gate.open()
    assert done.returncode == 1, done.stderr
    (path,) = safety_dumps(my)
    assert "Interrupted.\nPutting the safety dump back failed as well" in done.stderr
    assert f"The safety dump is {path}." in done.stderr
    assert list(my.tmp.iterdir()) == [path.parent]
    sessions_end(my)
    assert my.state() != before
    type_in(my, line_by_hand(done.stderr))
    assert my.state() == before


def test_a_kill_halfway_through_the_load(my: MariadbProject, gate: Gate):
    my.grow(ROWS)
    assert manage(my, "dbbackup").returncode == 0
    new = my.state()
    my.change()
    before = my.state()
    halfway_through_the_load(my, gate, "--exact")
    send(gate, signal.SIGKILL)
    gate.open()
    sessions_end(my)
    (path,) = safety_dumps(my)
    my.use("MysqlDumpConnector")
    done = manage(my, "dbrestore", "--noinput", "--exact")
    assert done.returncode == 0, done.stderr
    assert f"or delete {path}" in done.stderr
    assert my.state() == new
    # The warning does not take it away: who reads it may want it yet.
    assert list(my.tmp.iterdir()) == [path.parent]
    type_in(my, line_by_hand(done.stderr))
    assert my.state() == before
