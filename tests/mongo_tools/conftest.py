"""Run mongodump and mongorestore on databases of a test's own."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from bson.json_util import CANONICAL_JSON_OPTIONS, dumps
from pymongo import MongoClient
from pymongo.database import Database

from tests.mongo_tools.finding import real_tools
from tests.servers.mongodb import MongoDB, User

FIXTURES = Path(__file__).parents[1] / "db" / "mongodb" / "fixtures"

_numbers = itertools.count()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave what depends on the programs alone to the first Python."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.once)


@dataclass
class Run:
    """What a program left behind."""

    status: int
    out: bytes
    err: str

    @property
    def lines(self) -> list[str]:
        """Return its lines without their times."""
        return [line.partition("\t")[2] for line in self.err.splitlines()]

    @property
    def last(self) -> str:
        return self.lines[-1]

    @property
    def failure(self) -> str:
        """Return what it says after "Failed"."""
        [line] = [line for line in self.lines if line.startswith("Failed: ")]
        return line.removeprefix("Failed: ")


@dataclass(frozen=True)
class Tools:
    """Both programs, with the credentials of the server's admin in a file."""

    folder: Path
    server: MongoDB
    config: Path

    @classmethod
    def make(cls, programs: Path, server: MongoDB, folder: Path) -> Tools:
        """Return the programs with a configuration file in a folder."""
        config = folder / "config.yaml"
        config.touch(0o600)
        tools = cls(programs, server, config)
        tools.write_config(uri=tools.address())
        return tools

    def address(self, user: User | None = None, options: str = "") -> str:
        """Return a connection string."""
        user = user or self.server.admin
        login = f"{quote(user.name, safe='')}:{quote(user.password, safe='')}"
        where = f"{self.server.host}:{self.server.port}/?authSource={quote(user.source)}"
        # The three seconds of a tool that is told nothing are too few for a server on a machine with other work.
        return f"mongodb://{login}@{where}&connectTimeoutMS=30000{options}"

    def start(self, name: str, *words: str, **options: Any) -> subprocess.Popen[bytes]:
        """Start a program without anything else in its environment."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([str(self.folder / name), *words], **{**pipes, "env": {}, **options})

    def run(self, name: str, *words: str, data: bytes | None = None) -> Run:
        """Run a program to its end, on data, or on nothing at all."""
        stdin = subprocess.DEVNULL if data is None else subprocess.PIPE
        with self.start(name, *words, stdin=stdin) as process:
            out, err = process.communicate(data, timeout=120)
        return Run(process.returncode, out, err.decode())

    def dump(self, database: str, *words: str) -> Run:
        return self.run("mongodump", f"--config={self.config}", f"--db={database}", "--archive", *words)

    def restore(self, archive: bytes, *words: str) -> Run:
        return self.run("mongorestore", f"--config={self.config}", "--archive", *words, data=archive)

    def write_config(self, **content: str) -> Path:
        """Write a configuration file of strings."""
        lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in content.items()]
        self.config.write_text("".join(lines))
        return self.config


@pytest.fixture
def tools(mongo_tools: Path, mongodb: MongoDB, tmp_path: Path) -> Tools:
    return Tools.make(mongo_tools, mongodb, tmp_path)


@pytest.fixture
def stand_ins() -> None:
    """Skip a test of the stand-ins alone where the machine has the real programs."""
    if real_tools():
        pytest.skip("the machine has MongoDB's own tools, and the tests run those")


@pytest.fixture
def client(mongodb: MongoDB) -> Iterator[MongoClient[dict[str, Any]]]:
    with mongodb.client() as client:
        yield client


@pytest.fixture
def new_database(mongodb: MongoDB, client: MongoClient[dict[str, Any]]) -> Iterator[Callable[[], Database[Any]]]:
    """Return what makes a database of a name that no other has."""
    names: list[str] = []

    def new() -> Database[Any]:
        names.append(f"tools{os.getpid()}-{next(_numbers)}")
        return client[names[-1]]

    yield new
    for name in names:
        mongodb.drop_database(name)


@pytest.fixture
def database(new_database: Callable[[], Database[Any]]) -> Database[Any]:
    return new_database()


def contents(database: Database[Any]) -> dict[str, Any]:
    """Return everything in a database in the form of mixed.expected.json."""
    return {str(found["name"]): _collection(database, found) for found in database.list_collections()}


def _collection(database: Database[Any], found: Any) -> dict[str, Any]:
    view = found["type"] == "view"
    collection = database[found["name"]]
    # What mongorestore puts into an index is the server's to keep or not.
    indexes = [] if view else [{key: index[key] for key in index if key != "ns"} for index in collection.list_indexes()]
    documents = None if view else list(collection.find().sort("_id"))
    made = {"type": found["type"], "options": found["options"], "documents": documents, "indexes": indexes}
    return dict(json.loads(dumps(made, json_options=CANONICAL_JSON_OPTIONS)))


def end(process: subprocess.Popen[bytes]) -> Run:
    """Close the input of a program that is still running, and wait for its end."""
    assert process.stdin is not None
    process.stdin.close()
    assert process.stderr is not None
    err = process.stderr.read().decode()
    out = process.stdout.read() if process.stdout else b""
    with process:
        return Run(process.wait(timeout=60), out, err)


STOPPED = {signal.SIGTERM: "terminated", signal.SIGINT: "interrupt"}
