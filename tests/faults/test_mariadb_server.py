"""The server goes away halfway: the old data is put back, or lies in a file that the error names."""

from __future__ import annotations

import stat
import subprocess
import time

import pytest

from tests.faults.gate import Gate
from tests.faults.mariadb import (
    ROWS,
    halfway_through_the_load,
    hasten,
    let_pass,
    line_by_hand,
    own_my,
    safety_dumps,
    type_in,
)
from tests.process import MariadbProject, manage
from tests.requirements import requires

__all__ = ["own_my"]

pytestmark = [requires("mariadb", "bash", "setsid"), pytest.mark.once]

PUT_BACK = "The safety dump was put back and verified: database 'default' is as it was."
GONE = ["crash", "freeze"]
MESSAGE = {"crash": "The server cannot be reached, or went away: see whether it runs", "freeze": "has not answered for"}
AWAY = 8
# More than what lies between the server and the gate.
MORE_ROWS = 100_000


@pytest.fixture
def changed(own_my: MariadbProject) -> MariadbProject:
    """Return a project with a backup, whose database has changed since."""
    own_my.grow(ROWS)
    assert manage(own_my, "dbbackup", "-z", "zstd").returncode == 0
    own_my.change()
    return own_my


def go_away(project: MariadbProject, how: str) -> None:
    getattr(project.server, how)()


def come_back(project: MariadbProject, how: str) -> None:
    if how == "freeze":
        project.server.thaw()
    else:
        project.server.restart()


def says_where_the_safety_dump_is(
    project: MariadbProject, done: subprocess.CompletedProcess[str], message: str
) -> None:
    assert done.returncode == 1
    assert message in done.stderr
    assert "Putting the safety dump back failed as well, and database 'default' is not as it was" in done.stderr
    (path,) = safety_dumps(project)
    assert f"The safety dump is {path}." in done.stderr
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert project.server.owner.password not in done.stderr
    assert len(done.stderr.splitlines()) <= 14, done.stderr
    assert list(project.tmp.iterdir()) == [path.parent]


@pytest.mark.parametrize("how", GONE)
def test_during_a_dump(own_my: MariadbProject, gate: Gate, how: str):
    hasten(own_my)
    own_my.use("MysqlDumpConnector", DUMP_SUFFIX=f"| {gate.filter}")
    own_my.grow(MORE_ROWS)
    before = own_my.state()
    gate.run(own_my, "dbbackup", "-z", "zstd")
    go_away(own_my, how)
    done = gate.open()
    assert done.returncode == 1
    assert MESSAGE[how] in done.stderr
    assert len(done.stderr.splitlines()) <= 5, done.stderr
    assert list(own_my.backups.iterdir()) == []
    assert list(own_my.tmp.iterdir()) == []
    come_back(own_my, how)
    assert own_my.state() == before


@pytest.mark.parametrize("how", GONE)
def test_before_the_safety_dump(changed: MariadbProject, gate: Gate, how: str):
    before = changed.state()
    hasten(changed)
    changed.use("MysqlDumpConnector", DUMP_PREFIX=f"{gate.filter} < /dev/null && ")
    gate.run(changed, "dbrestore", "--noinput")
    go_away(changed, how)
    done = gate.open()
    assert done.returncode == 1
    assert MESSAGE[how] in done.stderr
    assert "put back" not in done.stderr
    assert list(changed.tmp.iterdir()) == []
    come_back(changed, how)
    assert changed.state() == before


@pytest.mark.parametrize("flags", [[], ["--exact"]])
@pytest.mark.parametrize("how", GONE)
def test_during_a_load_and_back_in_time(changed: MariadbProject, gate: Gate, how: str, flags: list[str]):
    before = changed.state()
    hasten(changed, patience=30)
    halfway_through_the_load(changed, gate, *flags)
    go_away(changed, how)
    let_pass(gate)
    time.sleep(AWAY)
    come_back(changed, how)
    done = gate.open()
    assert done.returncode == 1
    assert MESSAGE[how] in done.stderr
    assert PUT_BACK in done.stderr
    assert len(done.stderr.splitlines()) <= 12, done.stderr
    assert list(changed.tmp.iterdir()) == []
    assert changed.state() == before


@pytest.mark.parametrize("flags", [[], ["--exact"]])
@pytest.mark.parametrize("how", GONE)
def test_during_a_load_and_not_back_in_time(changed: MariadbProject, gate: Gate, how: str, flags: list[str]):
    before = changed.state()
    hasten(changed, patience=2)
    halfway_through_the_load(changed, gate, *flags)
    go_away(changed, how)
    done = gate.open()
    says_where_the_safety_dump_is(changed, done, MESSAGE[how])
    come_back(changed, how)
    assert changed.state() != before
    type_in(changed, line_by_hand(done.stderr))
    assert changed.state() == before


@pytest.mark.parametrize("how", GONE)
def test_during_the_putting_back(changed: MariadbProject, gate: Gate, how: str):
    before = changed.state()
    hasten(changed, patience=2)
    halfway_through_the_load(changed, gate)
    changed.server.crash()
    changed.server.restart()
    gate.again()
    go_away(changed, how)
    done = gate.open()
    says_where_the_safety_dump_is(changed, done, MESSAGE[how])
    come_back(changed, how)
    assert changed.state() != before
    type_in(changed, line_by_hand(done.stderr))
    assert changed.state() == before


@pytest.mark.slow
@pytest.mark.parametrize("how", GONE)
def test_a_restore_ends_within_two_minutes(
    changed: MariadbProject, gate: Gate, monkeypatch: pytest.MonkeyPatch, how: str
):
    monkeypatch.setattr("tests.faults.gate.TIMEOUT", 120)
    halfway_through_the_load(changed, gate)
    go_away(changed, how)
    says_where_the_safety_dump_is(changed, gate.open(), MESSAGE[how])


@pytest.mark.slow
def test_a_backup_ends_within_two_minutes(own_my: MariadbProject, gate: Gate, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tests.faults.gate.TIMEOUT", 120)
    own_my.use("MysqlDumpConnector", DUMP_SUFFIX=f"| {gate.filter}")
    own_my.grow(MORE_ROWS)
    gate.run(own_my, "dbbackup")
    own_my.server.freeze()
    done = gate.open()
    assert done.returncode == 1
    assert "has not answered" in done.stderr
