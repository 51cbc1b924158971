"""Projects on MongoDB, and what their restores leave to be done by hand."""

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
from random import Random

import pytest

from tests.faults.gate import Gate
from tests.process import MongodbProject
from tests.servers.mongodb import MongoDB, running
from tests.servers.programs import mongodb_python

MIB = 1 << 20
TIMEOUT = 60
BY_HAND = re.compile(r"mongorestore --gzip .*")
PROMPT = b"Enter password"

# What the tool is fed or writes passes at once, up to the gate; questions of its version do not come as far.
GATED = """#!{python}
import os, subprocess, sys, time
FOLDER, TOOL, SIZE = {folder!r}, {tool!r}, {size}
if "--archive" not in sys.argv:
    os.execv(TOOL, [TOOL, *sys.argv[1:]])
pipe = {{"stdin" if {feeds} else "stdout": subprocess.PIPE}}
tool = subprocess.Popen([TOOL, *sys.argv[1:]], **pipe)
source, target = (0, tool.stdin) if {feeds} else (tool.stdout.fileno(), sys.stdout.buffer)
passed = 0
try:
    while chunk := os.read(source, 65536):
        target.write(chunk)
        target.flush()
        if passed < SIZE <= passed + len(chunk):
            open(os.path.join(FOLDER, "reached"), "w").close()
            while not os.path.exists(os.path.join(FOLDER, "open")) and os.path.exists(os.path.join(FOLDER, "reached")):
                time.sleep(0.01)
        passed += len(chunk)
    target.close()
except BrokenPipeError:
    # As if it had written there itself.
    os.close(source)
os._exit(tool.wait())
"""

_numbers = itertools.count()


@pytest.fixture
def mo(tmp_path: Path, mongodb: MongoDB, mongo_tools: Path) -> Iterator[MongodbProject]:
    """Return a project on the server of the run."""
    yield (project := make(tmp_path, mongodb, mongo_tools))
    mongodb.drop_database(project.name)


@pytest.fixture
def own_mo(tmp_path: Path, mongo_tools: Path) -> Iterator[MongodbProject]:
    """Return a project on a server of its own, which a test may stop."""
    with running(mongodb_python(), "mongodb") as server:
        yield make(tmp_path, server, mongo_tools)


def make(folder: Path, server: MongoDB, tools: Path) -> MongodbProject:
    root = folder / "it's a project"
    root.mkdir()
    return MongodbProject(root, server, f"it's-ü{next(_numbers)}", tools)


def grow(project: MongodbProject, size: int = 4 * MIB) -> None:
    """Fill a collection with documents that are large for their number: each one has its price."""
    random = Random(size)
    with project.server.client() as client:
        database = client[project.name]
        documents = ({"_id": number, "name": random.randbytes(5000).hex()} for number in range(1, size // 10_000 + 1))
        database["thing"].insert_many(documents)
        database["z_last"].insert_one({"_id": 1, "number": 1})


def undo_change(project: MongodbProject) -> None:
    """Have the database ready to be changed once more."""
    with project.server.client() as client:
        client[project.name].drop_collection("newer")


def hasten(project: MongodbProject, *, patience: float = 5.0) -> None:
    """Have a server that does not answer count as gone sooner."""
    project.configure(
        "from dbbackup.db import undoing, watching",
        "from dbbackup.db.mongodb import session",
        "watching.QUIET = 1.0",
        "session.CONNECT_TIME = session.ANSWER_TIME = 2.0",
        f"undoing.PATIENCE = {patience}",
    )


def gated(project: MongodbProject, gate: Gate, name: str, *, size: int = MIB) -> str:
    """Return the path of a tool that the gate stops when so many bytes have passed."""
    path = project.root / "gated" / name
    path.parent.mkdir(exist_ok=True)
    tool = next(
        found
        for folder in project.env["PATH"].split(os.pathsep)
        if (found := Path(folder) / name).exists() and found != path
    )
    feeds = name == "mongorestore"
    path.write_text(
        GATED.format(python=sys.executable, folder=str(gate.folder), tool=str(tool), size=size, feeds=feeds)
    )
    path.chmod(0o755)
    return str(path)


def halfway_through_the_load(project: MongodbProject, gate: Gate, *args: str, **options: object) -> Gate:
    """Start a restore and return once the tool has the first MiB, of the putting back as well."""
    project.use("MongoDumpConnector", RESTORE_CMD=gated(project, gate, "mongorestore"), **options)
    return gate.run(project, "dbrestore", "--noinput", *args)


def let_pass(gate: Gate) -> None:
    """Let the rest pass, and do not wait."""
    (gate.folder / "open").touch()


def wait_until_it_says(gate: Gate, words: str) -> None:
    """Let the rest pass, and return once the command has said something."""
    let_pass(gate)
    assert gate._process is not None
    assert gate._process.stderr is not None
    said = b""
    deadline = time.monotonic() + TIMEOUT
    while words.encode() not in said:
        assert time.monotonic() < deadline, said
        assert gate._process.poll() is None, said
        if select.select([gate._process.stderr], [], [], 0.1)[0]:
            # Past the buffer of the file, whose beginning is thus not to be had again.
            said += os.read(gate._process.stderr.fileno(), 4096)


def safety_dumps(project: MongodbProject) -> list[Path]:
    return sorted(project.tmp.glob("dbbackup-safety-*/safety.archive.gz"))


def line_by_hand(message: str) -> str:
    """Return the shell line that an error or a warning tells."""
    found = BY_HAND.search(message)
    assert found, message
    return found[0]


def at_a_terminal(project: MongodbProject, args: list[str], *typed: str) -> tuple[int, str]:
    """Run a program whose every stream is a terminal, type when it asks for a password; return how it ended."""
    leader, follower = os.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", *args], stdin=follower, stdout=follower, stderr=follower, env=project.env
    )
    with process:
        os.close(follower)
        said, answers = b"", list(typed)
        deadline = time.monotonic() + TIMEOUT
        try:
            while True:
                if time.monotonic() > deadline:
                    process.kill()
                    raise AssertionError(said)
                if select.select([leader], [], [], 0.1)[0]:
                    said += os.read(leader, 4096)
                if answers and PROMPT in said:
                    os.write(leader, f"{answers.pop(0)}\n".encode())
        except OSError:
            # Nobody has the terminal any more.
            os.close(leader)
    return process.returncode, said.decode()


def type_in(project: MongodbProject, line: str) -> None:
    """Run a line as somebody at a terminal does, who types the password when asked."""
    returncode, said = at_a_terminal(project, ["bash", "-c", line], project.server.owner.password)
    assert returncode == 0, said


def sessions_end(project: MongodbProject) -> None:
    """Return once no program of ours is connected."""
    deadline = time.monotonic() + TIMEOUT
    while project.sessions():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def leftovers(project: MongodbProject) -> list[Path]:
    """Return everything temporary, and what a storage hides of what is not whole."""
    return [*project.tmp.iterdir(), *(path for path in project.backups.iterdir() if path.name.startswith("."))]
