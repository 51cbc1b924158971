"""Signals at random moments: the database is old or new, or the next restore says where the old one lies."""

from __future__ import annotations

import json
import random
import shlex
import signal
import subprocess
import time

import pytest

from tests.faults.gate import Gate
from tests.faults.mongodb import (
    gated,
    grow,
    halfway_through_the_load,
    leftovers,
    line_by_hand,
    mo,
    safety_dumps,
    sessions_end,
    type_in,
    undo_change,
)
from tests.process import MongodbProject, manage, signalled
from tests.requirements import requires

__all__ = ["mo"]

pytestmark = [requires("mongodb", "bash", "setsid"), pytest.mark.slow]

KILLS = 2
INTERRUPTED = 130
# Whoever runs the tests under nohup has it ignored.
IGNORED = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
HANGUP = pytest.param(signal.SIGHUP, marks=pytest.mark.skipif(IGNORED, reason="SIGHUP is ignored here"))
SIGNALS = [signal.SIGKILL, signal.SIGINT, signal.SIGTERM]


@pytest.fixture
def chance() -> random.Random:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # noqa: T201 - shown by pytest when the test fails
    return random.Random(seed)


@pytest.fixture
def changed(mo: MongodbProject) -> MongodbProject:
    """Return a project with a backup, whose database has changed since."""
    grow(mo)
    assert manage(mo, "dbbackup").returncode == 0
    mo.change()
    return mo


def duration(project: MongodbProject, *args: str) -> float:
    started = time.monotonic()
    done = manage(project, *args)
    assert done.returncode == 0, done.stderr
    return time.monotonic() - started


def change_again(project: MongodbProject) -> None:
    undo_change(project)
    project.change()


def is_interrupted(ended: subprocess.CompletedProcess[str]) -> None:
    # After its last line its work is done and Python is ending: how that ends is Python's affair.
    if not ended.stdout.startswith(("Backed up", "Restored")):
        assert ended.returncode == INTERRUPTED, ended.stderr
        assert "Interrupted" in ended.stderr


def send(gate: Gate, how: signal.Signals) -> None:
    assert gate._process is not None
    gate._process.send_signal(how)


@pytest.mark.parametrize("how", SIGNALS)
def test_a_backup(mo: MongodbProject, chance: random.Random, how: signal.Signals):
    grow(mo)
    before = mo.state()
    length = duration(mo, "dbbackup", "-z", "zstd")
    whole = 1
    for _ in range(KILLS):
        ended = signalled(mo, chance.uniform(0, length / 2), how, "dbbackup", "-z", "zstd")
        if ended and how is not signal.SIGKILL:
            is_interrupted(ended)
            assert leftovers(mo) == []
        sessions_end(mo)
        listed = [json.loads(line) for line in manage(mo, "listbackups", "--json").stdout.splitlines()]
        complete = len([backup for backup in listed if backup["status"] == "complete"])
        # Published is published, even if the end of the command was not reached.
        assert whole + (ended is None) <= complete <= whole + 1
        whole = complete
    verified = manage(mo, "verifybackups")
    assert verified.returncode == 0, verified.stderr
    mo.change()
    assert manage(mo, "dbrestore", "--noinput", "--exact").returncode == 0
    assert mo.state() == before
    # What a killed run left, the file with the password above all, goes with the next.
    assert manage(mo, "dbbackup").returncode == 0
    assert leftovers(mo) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_restore_that_is_interrupted(changed: MongodbProject, chance: random.Random, how: signal.Signals):
    old = changed.state()
    length = duration(changed, "dbrestore", "--noinput", "--exact")
    new = changed.state()
    changed.change()
    for _ in range(KILLS):
        ended = signalled(changed, chance.uniform(0, length), how, "dbrestore", "--noinput", "--exact")
        if ended:
            is_interrupted(ended)
            assert leftovers(changed) == []
            # Its tools have ended before it did.
            assert changed.state() in (old, new)
        if changed.state() == new:
            changed.change()
    sessions_end(changed)
    assert manage(changed, "dbrestore", "--noinput", "--exact").returncode == 0
    assert changed.state() == new
    assert leftovers(changed) == []


def test_a_restore_that_is_killed(changed: MongodbProject, chance: random.Random):
    old = changed.state()
    length = duration(changed, "dbrestore", "--noinput", "--exact")
    new = changed.state()
    changed.change()
    for _ in range(KILLS):
        signalled(changed, chance.uniform(0, length), signal.SIGKILL, "dbrestore", "--noinput", "--exact")
        sessions_end(changed)
        if changed.state() not in (old, new):
            (path,) = safety_dumps(changed)
            subprocess.run(["gzip", "-t", path], check=True)
        for path in safety_dumps(changed):
            warned = manage(changed, "dbrestore", "--noinput", "--exact")
            assert warned.returncode == 0, warned.stderr
            assert f"or delete {path}" in warned.stderr
            type_in(changed, line_by_hand(warned.stderr))
            assert changed.state() == old
            path.unlink()
        if changed.state() == new:
            changed.change()
    done = manage(changed, "dbrestore", "--noinput", "--exact")
    assert done.returncode == 0, done.stderr
    assert "was killed" not in done.stderr
    assert changed.state() == new
    assert leftovers(changed) == []


# At a moment that is known.


@pytest.mark.parametrize("how", SIGNALS)
def test_halfway_through_a_dump(mo: MongodbProject, gate: Gate, how: signal.Signals):
    grow(mo)
    mo.use("MongoDumpConnector", DUMP_CMD=gated(mo, gate, "mongodump"))
    gate.run(mo, "dbbackup", "-z", "zstd")
    (config,) = mo.tmp.glob("dbbackup-*/config.yaml")
    send(gate, how)
    done = gate.open()
    sessions_end(mo)
    if how is not signal.SIGKILL:
        assert done.returncode == INTERRUPTED, done.stderr
        assert leftovers(mo) == []
        assert list(mo.backups.iterdir()) == []
    assert config.exists() is (how is signal.SIGKILL)
    assert manage(mo, "listbackups").stdout.count("default-") == 0
    assert manage(mo, "dbbackup").returncode == 0
    assert leftovers(mo) == []


@pytest.mark.parametrize("flags", [[], ["--exact"]])
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, HANGUP])
def test_halfway_through_a_load(changed: MongodbProject, gate: Gate, flags: list[str], how: signal.Signals):
    before = changed.state()
    halfway_through_the_load(changed, gate, *flags)
    assert changed.state() != before
    send(gate, how)
    done = gate.open()
    assert done.returncode == INTERRUPTED, done.stderr
    assert "Interrupted" in done.stderr
    assert changed.state() == before
    assert leftovers(changed) == []
    assert changed.sessions() == 0


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_during_the_safety_dump(changed: MongodbProject, gate: Gate, how: signal.Signals):
    before = changed.state()
    changed.use("MongoDumpConnector", DUMP_CMD=gated(changed, gate, "mongodump"))
    gate.run(changed, "dbrestore", "--noinput", "--exact")
    send(gate, how)
    done = gate.open()
    assert done.returncode == INTERRUPTED, done.stderr
    assert changed.state() == before
    assert leftovers(changed) == []


def test_a_second_interrupt_halfway_through_the_putting_back(changed: MongodbProject, gate: Gate):
    before = changed.state()
    halfway_through_the_load(changed, gate)
    send(gate, signal.SIGINT)
    gate.again()
    send(gate, signal.SIGTERM)
    done = gate.open()
    assert done.returncode == 1, done.stderr
    (path,) = safety_dumps(changed)
    assert "Interrupted.\nPutting the safety dump back failed as well" in done.stderr
    assert f"The safety dump is {path}." in done.stderr
    assert leftovers(changed) == [path.parent]
    sessions_end(changed)
    assert changed.state() != before
    type_in(changed, line_by_hand(done.stderr))
    assert changed.state() == before


def test_a_kill_halfway_through_a_load(changed: MongodbProject, gate: Gate):
    before = changed.state()
    halfway_through_the_load(changed, gate, "--exact")
    send(gate, signal.SIGKILL)
    gate.open()
    # Nobody feeds the tool any more.
    sessions_end(changed)
    (path,) = safety_dumps(changed)
    changed.use("MongoDumpConnector")
    done = manage(changed, "dbrestore", "--noinput", "--exact")
    assert done.returncode == 0, done.stderr
    assert f"or delete {path}" in done.stderr
    # The warning does not take it away: who reads it may want it yet. The lock and the password are gone.
    assert leftovers(changed) == [path.parent]
    type_in(changed, line_by_hand(done.stderr))
    assert changed.state() == before


def test_what_a_killed_restore_leaves_goes_with_the_next_backup(changed: MongodbProject, gate: Gate):
    halfway_through_the_load(changed, gate)
    send(gate, signal.SIGKILL)
    gate.open()
    sessions_end(changed)
    (path,) = safety_dumps(changed)
    changed.use("MongoDumpConnector")
    assert manage(changed, "dbbackup").returncode == 0
    assert leftovers(changed) == [path.parent]


def test_a_collection_that_a_killed_restore_brought_goes_with_the_other_line(changed: MongodbProject, gate: Gate):
    with changed.server.client() as client:
        client[changed.name].drop_collection("thing")
    grow_another(changed)
    before = changed.state()
    halfway_through_the_load(changed, gate)
    send(gate, signal.SIGKILL)
    gate.open()
    sessions_end(changed)
    (path,) = safety_dumps(changed)
    done = manage(changed, "dbrestore", "--noinput")
    assert done.returncode == 0, done.stderr
    line = ["dbrestore", "--database=default", "--exact", f"--input-path={path}"]
    assert f"manage.py {shlex.join(line)} does not" in done.stderr
    assert manage(changed, *line, "--noinput").returncode == 0
    assert changed.state() == before


def grow_another(project: MongodbProject) -> None:
    with project.server.client() as client:
        client[project.name]["another"].insert_one({"_id": 1})
