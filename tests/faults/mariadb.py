"""Projects on MariaDB, and what their restores leave to be done by hand."""

from __future__ import annotations

import itertools
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.gate import Gate
from tests.process import MariadbProject
from tests.servers.mariadb import MariaDB, running
from tests.servers.programs import mariadb_bin

ROWS = 30_000
TIMEOUT = 60
BY_HAND = re.compile(r"gzip -dc (?P<path>'[^']*(?:'\"'\"'[^']*)*'|\S+) \| .*")

# What is fed to the client passes at once, up to the gate; questions do not come as far.
GATED = """#!{python}
import os, subprocess, sys, time
FOLDER, CLIENT, SIZE = {folder!r}, {client!r}, 1 << 20
if "--binary-mode" not in sys.argv:
    os.execv(CLIENT, [CLIENT, *sys.argv[1:]])
client = subprocess.Popen([CLIENT, *sys.argv[1:]], stdin=subprocess.PIPE)
passed = 0
while chunk := os.read(0, 65536):
    try:
        client.stdin.write(chunk)
        client.stdin.flush()
    except BrokenPipeError:
        break
    if passed < SIZE <= passed + len(chunk):
        open(os.path.join(FOLDER, "reached"), "w").close()
        while not os.path.exists(os.path.join(FOLDER, "open")) and os.path.exists(os.path.join(FOLDER, "reached")):
            time.sleep(0.01)
    passed += len(chunk)
try:
    client.stdin.close()
except BrokenPipeError:
    pass
sys.exit(client.wait())
"""

_numbers = itertools.count()


@pytest.fixture
def my(tmp_path: Path, mariadb: MariaDB) -> Iterator[MariadbProject]:
    """Return a project on the server of the run."""
    yield (project := make(tmp_path, mariadb))
    mariadb.drop_database(project.name)


@pytest.fixture
def own_my(tmp_path: Path) -> Iterator[MariadbProject]:
    """Return a project on a server of its own, which a test may stop."""
    with running(mariadb_bin(), "mariadb") as server:
        yield make(tmp_path, server)


def make(folder: Path, server: MariaDB) -> MariadbProject:
    root = folder / "it's a project"
    root.mkdir()
    return MariadbProject(root, server, f"it_s {next(_numbers)}")


def hasten(project: MariadbProject, *, patience: float = 5.0) -> None:
    """Have a server that does not answer count as gone sooner."""
    project.configure(
        "from dbbackup.db import undoing, watching",
        "from dbbackup.db.mysql import restoring, watching as mysql_watching",
        "watching.QUIET = 1.0",
        "mysql_watching.ANSWER = restoring.ANSWER = 2.0",
        f"undoing.PATIENCE = {patience}",
    )


def halfway_through_the_load(project: MariadbProject, gate: Gate, *args: str, **options: object) -> Gate:
    """Start a restore and return once the client has the first MiB, of the putting back as well."""
    client = project.root / "gated" / "mariadb"
    client.parent.mkdir()
    client.write_text(
        GATED.format(python=sys.executable, folder=str(gate.folder), client=str(project.server.bin_dir / "mariadb"))
    )
    client.chmod(0o755)
    project.use("MysqlDumpConnector", RESTORE_CMD=str(client), **options)
    return gate.run(project, "dbrestore", "--noinput", *args)


def let_pass(gate: Gate) -> None:
    """Let the rest pass, and do not wait."""
    (gate.folder / "open").touch()


def safety_dumps(project: MariadbProject) -> list[Path]:
    return sorted(project.tmp.glob("dbbackup-safety-*/safety.sql.gz"))


def line_by_hand(message: str) -> str:
    """Return the shell line that an error or a warning tells."""
    found = BY_HAND.search(message)
    assert found, message
    return found[0]


def type_in(project: MariadbProject, line: str) -> None:
    """Run a line as somebody at a terminal does, who types the password when asked."""
    leader, follower = os.openpty()
    with subprocess.Popen(
        ["setsid", "--ctty", "--wait", "bash", "-o", "pipefail", "-c", line],
        stdin=follower,
        stdout=follower,
        stderr=follower,
    ) as process:
        os.close(follower)
        said = b""
        deadline = time.monotonic() + TIMEOUT
        asked = False
        while process.poll() is None:
            assert time.monotonic() < deadline, said
            if not select.select([leader], [], [], 0.1)[0]:
                continue
            try:
                said += os.read(leader, 4096)
            except OSError:
                # Nobody has the terminal any more.
                break
            if not asked and b"password:" in said:
                asked = True
                os.write(leader, f"{project.server.owner.password}\n".encode())
    os.close(leader)
    assert process.returncode == 0, said.decode()
