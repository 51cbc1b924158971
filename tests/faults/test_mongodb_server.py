"""The server is not there, or goes away halfway: the old data is put back, or lies in a file that the error names."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
import time

import pytest

from tests.faults.gate import Gate
from tests.faults.mongodb import (
    MIB,
    at_a_terminal,
    gated,
    grow,
    halfway_through_the_load,
    hasten,
    leftovers,
    line_by_hand,
    mo,
    own_mo,
    safety_dumps,
    type_in,
    wait_until_it_says,
)
from tests.process import MongodbProject, manage
from tests.requirements import requires
from tests.servers.account import free_port

__all__ = ["mo", "own_mo"]

pytestmark = [requires("mongodb", "bash", "setsid"), pytest.mark.once]

PUT_BACK = "The safety dump was put back and verified: database 'default' is as it was."
GONE = ["crash", "freeze"]
ROWS = 4 * MIB // 10_000
# More than what lies between the server and the gate: batches of 16 MiB.
MUCH = 40 * MIB


@pytest.fixture
def changed(own_mo: MongodbProject) -> MongodbProject:
    """Return a project with a backup, whose database has changed since."""
    grow(own_mo)
    assert manage(own_mo, "dbbackup").returncode == 0
    own_mo.change()
    return own_mo


def go_away(project: MongodbProject, how: str) -> None:
    getattr(project.server, how)()


def come_back(project: MongodbProject, how: str) -> None:
    if how == "freeze":
        project.server.thaw()
    else:
        project.server.restart()


def says_that_the_server_is_gone(project: MongodbProject, done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 1
    # By the tool, which then names the port, or by ourselves.
    assert f"{project.server.host}:{project.server.port}" in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) <= 14, done.stderr


def says_where_the_safety_dump_is(project: MongodbProject, done: subprocess.CompletedProcess[str]) -> None:
    says_that_the_server_is_gone(project, done)
    assert "Putting the safety dump back failed as well, and database 'default' is not as it was" in done.stderr
    (path,) = safety_dumps(project)
    assert path.is_absolute()
    assert f"The safety dump is {path}." in done.stderr
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert leftovers(project) == [path.parent]


# Not there from the beginning.


@pytest.mark.slow
def test_a_server_that_is_not_there_is_named_in_time(mo: MongodbProject):
    assert manage(mo, "dbbackup").returncode == 0
    port = free_port()
    mo.configure(f'DATABASES["default"]["PORT"] = {port}')
    started = time.monotonic()
    runs = [
        subprocess.Popen(mo.command(*args), env=mo.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for args in (["dbbackup"], ["dbrestore", "--noinput"])
    ]
    for run in runs:
        with run:
            _, error = run.communicate(timeout=60)
        assert time.monotonic() - started < 15
        assert run.returncode == 1
        assert f"127.0.0.1:{port}" in error
        assert len(error.splitlines()) <= 5, error
    assert len(list(mo.backups.glob("*.dump"))) == 1
    assert leftovers(mo) == []


def test_a_server_that_does_not_answer_from_the_beginning(own_mo: MongodbProject):
    hasten(own_mo)
    own_mo.server.freeze()
    done = manage(own_mo, "dbbackup")
    own_mo.server.thaw()
    says_that_the_server_is_gone(own_mo, done)
    assert "does not answer" in done.stderr
    assert leftovers(own_mo) == list(own_mo.backups.iterdir()) == []


def test_a_wrong_password_is_not_asked_for_at_a_terminal(mo: MongodbProject):
    assert manage(mo, "dbbackup").returncode == 0
    before = mo.state()
    mo.configure('DATABASES["default"]["PASSWORD"] = "wrong"')
    for args in (["dbbackup"], ["dbrestore", "--noinput"]):
        status, said = at_a_terminal(mo, mo.command(*args))
        assert status == 1
        assert "authentication" in said
        assert "Enter password" not in said
        assert mo.server.owner.name in said
    assert mo.state() == before
    assert leftovers(mo) == []


def test_a_password_that_the_tool_alone_does_not_have_is_not_asked_for(mo: MongodbProject):
    """A tool that has no password asks for one, at a terminal if there is any."""
    for name, setting in {"mongodump": "DUMP_CMD", "mongorestore": "RESTORE_CMD"}.items():
        path = mo.root / name
        uri = f"mongodb://owner@{mo.server.host}:{mo.server.port}/?authSource=admin"
        path.write_text(
            f'#!/bin/bash\n[ "$1" = --version ] || set -- --uri="{uri}" "${{@:2}}"\n'
            f'exec "$(PATH="{mo.env["PATH"]}" type -P {name})" "$@"\n'
        )
        path.chmod(0o755)
        mo.use("MongoDumpConnector")
        assert manage(mo, "dbbackup").returncode == 0
        before = mo.state()
        mo.use("MongoDumpConnector", **{setting: str(path)})
        command = ["dbbackup"] if name == "mongodump" else ["dbrestore", "--noinput"]
        status, said = at_a_terminal(mo, mo.command(*command))
        assert status == 1, said
        assert mo.state() == before
        assert leftovers(mo) == []


@pytest.mark.parametrize("name", ["mongodump", "mongorestore"])
def test_a_tool_that_is_missing_is_named(mo: MongodbProject, name: str):
    assert manage(mo, "dbbackup").returncode == 0
    before = mo.state()
    other = "mongorestore" if name == "mongodump" else "mongodump"
    folder = mo.root / "tools"
    folder.mkdir()
    script = f'#!{sys.executable}\nimport os, sys\nos.environ["PATH"] = {mo.env["PATH"]!r}\n'
    (folder / other).write_text(f'{script}os.execvp("{other}", ["{other}", *sys.argv[1:]])\n')
    (folder / other).chmod(0o755)
    mo.env["PATH"] = str(folder)
    for args in (["dbbackup"], ["dbrestore", "--noinput"])[name == "mongorestore" :]:
        done = manage(mo, *args)
        assert done.returncode == 1
        assert f"The program '{name}' was not found." in done.stderr
        assert len(done.stderr.splitlines()) <= 5, done.stderr
    assert len(list(mo.backups.glob("*.dump"))) == 1
    assert mo.state() == before
    assert leftovers(mo) == []


# Away halfway.


@pytest.mark.slow
@pytest.mark.parametrize("how", GONE)
def test_during_a_dump(own_mo: MongodbProject, gate: Gate, how: str):
    hasten(own_mo)
    own_mo.use("MongoDumpConnector", DUMP_CMD=gated(own_mo, gate, "mongodump"))
    grow(own_mo, MUCH)
    gate.run(own_mo, "dbbackup", "-z", "zstd")
    go_away(own_mo, how)
    done = gate.open()
    come_back(own_mo, how)
    says_that_the_server_is_gone(own_mo, done)
    assert "put back" not in done.stderr
    assert leftovers(own_mo) == list(own_mo.backups.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("how", ["freeze"])
def test_during_the_safety_dump(own_mo: MongodbProject, gate: Gate, how: str):
    grow(own_mo, MUCH)
    assert manage(own_mo, "dbbackup", "-z", "zstd").returncode == 0
    before = own_mo.state()
    hasten(own_mo)
    own_mo.use("MongoDumpConnector", DUMP_CMD=gated(own_mo, gate, "mongodump"))
    gate.run(own_mo, "dbrestore", "--noinput")
    go_away(own_mo, how)
    done = gate.open()
    come_back(own_mo, how)
    says_that_the_server_is_gone(own_mo, done)
    assert "so nothing was changed" in done.stderr
    assert "put back" not in done.stderr
    assert leftovers(own_mo) == []
    assert own_mo.state() == before


@pytest.mark.slow
@pytest.mark.parametrize("how", ["crash"])
def test_during_a_load_and_back_in_time(changed: MongodbProject, gate: Gate, how: str):
    before = changed.state()
    hasten(changed, patience=30)
    halfway_through_the_load(changed, gate, "--exact")
    go_away(changed, how)
    # The tool itself outlives a server that is away for a moment.
    wait_until_it_says(gate, "The server does not answer; it has 30 s to come back.")
    come_back(changed, how)
    done = gate.open()
    says_that_the_server_is_gone(changed, done)
    assert PUT_BACK in done.stderr
    assert leftovers(changed) == []
    assert changed.state() == before


def test_during_a_load_for_a_moment(changed: MongodbProject, gate: Gate):
    before = changed.state()
    halfway_through_the_load(changed, gate)
    changed.server.crash()
    changed.server.restart()
    done = gate.open()
    with changed.server.client() as client:
        number = client[changed.name]["thing"].count_documents({})
    # The tool may come over it, and then nothing is missing.
    if done.returncode == 0:
        assert number == ROWS
    else:
        assert PUT_BACK in done.stderr
        assert changed.state() == before
    assert leftovers(changed) == []


@pytest.mark.slow
@pytest.mark.parametrize("how", ["freeze"])
def test_during_a_load_and_not_back_in_time(changed: MongodbProject, gate: Gate, how: str):
    before = changed.state()
    hasten(changed, patience=2)
    halfway_through_the_load(changed, gate)
    go_away(changed, how)
    done = gate.open()
    says_where_the_safety_dump_is(changed, done)
    come_back(changed, how)
    assert changed.state() != before
    type_in(changed, line_by_hand(done.stderr))
    assert changed.state() == before


@pytest.mark.slow
@pytest.mark.parametrize("how", ["crash"])
def test_during_the_putting_back(changed: MongodbProject, gate: Gate, how: str):
    before = changed.state()
    hasten(changed, patience=2)
    halfway_through_the_load(changed, gate)
    assert gate._process is not None
    gate._process.send_signal(signal.SIGINT)
    gate.again()
    go_away(changed, how)
    done = gate.open()
    come_back(changed, how)
    assert done.returncode == 1
    says_where_the_safety_dump_is(changed, done)
    assert changed.state() != before
    type_in(changed, line_by_hand(done.stderr))
    assert changed.state() == before


@pytest.mark.slow
def test_what_takes_its_time_is_not_ended(mo: MongodbProject, gate: Gate):
    hasten(mo)
    grow(mo)
    mo.use("MongoDumpConnector", DUMP_CMD=gated(mo, gate, "mongodump"))
    gate.run(mo, "dbbackup")
    time.sleep(5)
    done = gate.open()
    assert done.returncode == 0, done.stderr
    new = mo.state()
    mo.change()
    (gate.folder / "open").unlink()
    (gate.folder / "reached").unlink()
    halfway_through_the_load(mo, gate, "--exact")
    time.sleep(5)
    done = gate.open()
    assert done.returncode == 0, done.stderr
    assert mo.state() == new
