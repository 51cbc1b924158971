"""Where passwords are not: in arguments, variables, logs, errors, mail and manifests, and in files after the work."""

from __future__ import annotations

import logging
import re
import shlex
import shutil
import traceback
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from django.core import mail

from dbbackup.db.exceptions import ConnectorError
from dbbackup.exceptions import DBBackupError
from tests.db.mongodb.conftest import Database, MakeDatabase
from tests.db.mysql.test_command_line import watching
from tests.process import MongodbProject, manage
from tests.requirements import requires
from tests.servers.mongodb import MongoDB, User
from tests.shop import Store

pytestmark = requires("mongodb", "bash")

TOKEN = uuid.uuid4().hex
# In whichever way it is quoted, the letters and digits are there; wherever it is cut, some of them.
USER = User("watched: @wn'er/%41", f""" it's: {TOKEN} "my" \\ #1 %ü€@/?&+;{TOKEN} """)
WRONG = f"wrong %{TOKEN}'s\\"
ARGUMENTS = "tr '\\0' '\\n' < /proc/$$/cmdline"
VARIABLES = "tr '\\0' '\\n' < /proc/$$/environ"
CONFIG = '"${1#--config=}"'


@pytest.fixture(scope="module")
def watched(mongodb: MongoDB) -> Iterator[User]:
    """Return a user whose password is no other process's on the machine."""
    roles = [{"role": role, "db": "admin"} for role in ("readWriteAnyDatabase", "dbAdminAnyDatabase")]
    with mongodb.client() as client:
        client[USER.source].command("createUser", USER.name, pwd=USER.password, roles=roles)
    yield USER
    with mongodb.client() as client:
        client[USER.source].command("dropUser", USER.name)


def spellings(server: MongoDB) -> dict[str, dict[str, Any]]:
    """Return the entries of DATABASES, each with the password at another place."""
    where = f"{server.host}:{server.port}"
    user, password = USER.name, USER.password
    nowhere = {"USER": "", "PASSWORD": "", "HOST": "", "PORT": "", "OPTIONS": {}}
    uri = f"mongodb://{quote_plus(user)}:{quote_plus(password)}@{where}/?authSource=admin"
    strict = f"mongodb://{quote(user, safe='')}:{quote(password, safe='')}@{where}/?authSource=admin"
    client = {"host": server.host, "port": server.port, "username": user, "password": password, "authSource": "admin"}
    return {
        "PASSWORD": {"USER": user, "PASSWORD": password, "AUTH_SOURCE": "admin", "OPTIONS": {}},
        "HOST": {**nowhere, "HOST": uri},
        "HOST, encoded otherwise": {**nowhere, "HOST": strict},
        "OPTIONS": {**nowhere, "HOST": where, "OPTIONS": {"username": user, "password": password}},
        "CLIENT": {**nowhere, "ENGINE": "djongo", "CLIENT": client},
        "CLIENT with a URI": {**nowhere, "ENGINE": "djongo", "CLIENT": {"host": uri}},
    }


SPELLINGS = ["PASSWORD", "HOST", "HOST, encoded otherwise", "OPTIONS", "CLIENT", "CLIENT with a URI"]


def script(path: Path, tool: str, *lines: str) -> str:
    """Write a script that runs lines of shell, then the tool in its place; return its path as a setting."""
    program = shutil.which(tool)
    assert program is not None
    work = "\n".join(lines)
    path.write_text(f'#!/bin/bash\nif [ "$1" != --version ]; then\n{work}\nfi\nexec {shlex.quote(program)} "$@"\n')
    path.chmod(0o755)
    return str(path)


def leaks(*said: str | bytes) -> bool:
    """Return whether something has the password, however it is spelt or cut."""
    return any((TOKEN.encode() if isinstance(text, bytes) else TOKEN) in text for text in said)  # type: ignore[operator]


def remains(folder: Path) -> list[Path]:
    return sorted(folder.rglob("dbbackup-*"))


# Arguments and variables.


@pytest.fixture
def project(tmp_path: Path, mongodb: MongoDB, mongo_tools: Path, watched: User) -> Iterator[MongodbProject]:
    root = tmp_path / "it's a project"
    root.mkdir()
    project = MongodbProject(root, mongodb, "watched-project", mongo_tools)
    project.grow(20)
    yield project
    mongodb.drop_database(project.name)


@pytest.mark.slow
@pytest.mark.parametrize("spelling", ["PASSWORD", "CLIENT with a URI"])
def test_no_process_has_the_password(project: MongodbProject, mongodb: MongoDB, spelling: str):
    changes = spellings(mongodb)[spelling]
    # An engine that never connects, as djongo does where it is not told how.
    (project.root / "djongo").mkdir()
    (project.root / "djongo" / "base.py").write_text("from django.db.backends.dummy.base import DatabaseWrapper\n")
    project.configure(f'DATABASES["default"].update({changes!r})')
    before = project.state()
    with watching(TOKEN) as watcher:
        done = [manage(project, "dbbackup", "-v", "3")]
        project.change()
        done += [manage(project, "dbrestore", "--noinput", "--exact", "-v", "3")]
    assert [one.returncode for one in done] == [0, 0], done
    assert project.state() == before
    assert not leaks(*(one.stdout + one.stderr for one in done))
    assert watcher.rounds > 5
    assert watcher.leaks == set()
    assert remains(project.tmp) == []


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_tools_have_it_neither_at_their_start(
    make_database: MakeDatabase, mongodb: MongoDB, watched: User, tmp_path: Path, spelling: str
):
    # Whichever looks fall between, each tool tells of itself, and of the file that it reads.
    database = make_database(**{**spellings(mongodb)[spelling], "ENGINE": "django_mongodb_backend"})
    database.db["t"].insert_one({"_id": 1})
    noted = tmp_path / "noted"
    line = f'{{ {ARGUMENTS}; {VARIABLES}; stat -c "%a %F" {CONFIG} "$(dirname {CONFIG})"; }} >> {noted}'
    settings = {
        "DUMP_CMD": script(tmp_path / "my dump", "mongodump", line),
        "RESTORE_CMD": script(tmp_path / "my restore", "mongorestore", line),
        "RESTORE_SUFFIX": "; exit 5",
    }
    dump = database.dump(**settings)
    with pytest.raises(ConnectorError, match="is as it was"):
        database.restore(dump, **settings)
    text = noted.read_text()
    # A backup dumps once; a restore that is put back dumps before, and compares.
    assert text.count("my dump\n--config=") >= 3
    assert text.count("my restore\n--config=") >= 1
    assert "PATH=" in text
    assert not leaks(text)
    told = re.findall(r"^\d+ (?:regular file|directory)$", text, re.MULTILINE)
    assert set(told) == {"600 regular file", "700 directory"}
    assert remains(database.tmp) == []


# What is said and kept.


@pytest.fixture
def shop(make_database: MakeDatabase, mongodb: MongoDB, watched: User) -> Database:
    database = make_database(alias="shop", **spellings(mongodb)["PASSWORD"])
    database.db["t"].insert_many([{"_id": number, "text": "x" * 100} for number in range(10)])
    return database


@pytest.fixture
def no_secret(store: Store, caplog: pytest.LogCaptureFixture) -> Callable[..., None]:
    caplog.set_level(logging.DEBUG)
    store.settings.ADMINS = ["ops@example.org"]

    def check(*said: str) -> None:
        files = [path for folder in (store.folder, store.tmp) for path in folder.rglob("*") if path.is_file()]
        mails = [message.message().as_bytes() + message.body.encode() for message in mail.outbox]
        logged = [caplog.text, *(str(vars(record)) for record in caplog.records)]
        assert not leaks(*said, *map(str, files), *logged)
        assert not leaks(*mails, *(path.read_bytes() for path in files))

    return check


def test_nothing_shows_it_when_all_is_well(store: Store, shop: Database, no_secret: Callable[..., None]):
    runs = [store.run("dbbackup", verbosity=3), store.run("dbrestore", "--noinput", verbosity=3)]
    runs += [store.run("dbbackup", "--json", verbosity=3), store.run("listbackups", verbosity=3)]
    runs += [store.run("verifybackups", verbosity=3)]
    assert [run.status for run in runs] == [0, 0, 0, 0, 0], runs
    no_secret(*(run.out + run.err for run in runs))


# The tools print the connection string that they have when they are not let in.
REFUSED = (
    'copy=$(mktemp); sed "s/authSource=[^&\\"]*/authSource=nowhere/" "${1#*=}" > "$copy"; '
    'set -- "--config=$copy" "${@:2}"'
)
TELLS = 'cat "${1#--config=}" >&2; exit 1'


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Have a server that is not there looked for less long, and copies of the file go with the test."""
    monkeypatch.setattr("dbbackup.db.mongodb.session.CONNECT_TIME", 2.0)
    monkeypatch.setenv("TMPDIR", str(tmp_path))


# Without what it is a part of.
ALONE = 'sed "s,.*//[^:]*:,," "${1#--config=}" | sed "s,@.*,," >&2; exit 1'

BROKEN: dict[str, dict[str, Any]] = {
    "wrong password": {"PASSWORD": WRONG},
    "no server": {"PORT": "1", "OPTIONS": {"serverSelectionTimeoutMS": 1000}},
    "another's URI": {"HOST": f"mongodb://user:pass@word{TOKEN}@127.0.0.1/"},
    "a half URI": {"HOST": f"mongodb://user:{TOKEN}/x@[::1", "PASSWORD": ""},
    "a bad option": {"HOST": f"mongodb://user:{TOKEN}@127.0.0.1/?tls=maybe", "PASSWORD": ""},
    "the tool is refused": {"DUMP_CMD": REFUSED, "RESTORE_CMD": REFUSED},
    "printed by the tool": {"DUMP_CMD": TELLS, "RESTORE_CMD": TELLS},
    "printed alone": {"DUMP_CMD": ALONE, "RESTORE_CMD": ALONE},
    "printed by a suffix": {
        "DUMP_SUFFIX": "; cat {tmp}/dbbackup-*/config.yaml >&2; exit 1",
        "RESTORE_SUFFIX": "; cat {tmp}/dbbackup-*/config.yaml >&2; exit 1",
    },
    "printed with the variables": {"DUMP_SUFFIX": "; env >&2; exit 1", "RESTORE_SUFFIX": "; env >&2; exit 1"},
}


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("case", BROKEN)
def test_nothing_shows_it_when_a_run_fails(
    store: Store, shop: Database, no_secret: Callable[..., None], tmp_path: Path, case: str
):
    store.backup()
    before = shop.state()
    tools = {"DUMP_CMD": "mongodump", "RESTORE_CMD": "mongorestore"}
    settings = {
        key: script(tmp_path / tools[key], tools[key], value)
        if key in tools
        else value.replace("{tmp}", shlex.quote(str(store.tmp)))
        if isinstance(value, str)
        else value
        for key, value in BROKEN[case].items()
    }
    store.settings.DBBACKUP_CONNECTORS = {"shop": settings}
    runs = [store.run("dbbackup", verbosity=3), store.run("dbrestore", "--noinput", verbosity=3)]
    assert [run.status for run in runs] == [1, 1]
    if case == "the tool is refused":
        assert all("authentication" in run.error.lower() for run in runs), runs
    assert mail.outbox
    no_secret(*(run.out + run.err + run.error for run in runs))
    assert shop.state() == before
    assert remains(store.tmp) == []


def test_line_that_loads_a_safety_dump_asks_for_it(
    store: Store, shop: Database, no_secret: Callable[..., None], tmp_path: Path
):
    store.backup()
    # What loads the dump fails once it has changed something, and what would put the safety dump back as well.
    store.settings.DBBACKUP_CONNECTORS = {
        "shop": {"RESTORE_CMD": script(tmp_path / "mongorestore", "mongorestore", "head -c 300 >&2; exit 1")}
    }
    run = store.run("dbrestore", "--noinput", "--exact", verbosity=3)
    assert run.status == 1
    no_secret(run.out + run.err + run.error)
    shop.db["newer"].insert_one({"_id": 1})
    run = store.run("dbrestore", "--noinput", "--exact", verbosity=3)
    assert run.status == 1
    assert "mongorestore --gzip" in run.error
    (path,) = store.tmp.rglob("safety.archive.gz")
    assert str(path) in run.error
    assert path.stat().st_mode & 0o777 == 0o600
    assert quote(USER.name, safe="") in run.error
    no_secret(run.out + run.err + run.error)


def test_errors_do_not_show_it(shop: Database, tmp_path: Path):
    """Nor what an error report with local variables would show of our own values."""
    refused = {"DUMP_CMD": script(tmp_path / "mongodump", "mongodump", TELLS)}
    for settings in ({"PASSWORD": WRONG}, refused, {"HOST": f"mongodb://u:{TOKEN}@[::1"}):
        with pytest.raises(DBBackupError) as caught:
            shop.dump(**settings)
        error: BaseException | None = caught.value
        assert not leaks("".join(traceback.format_exception(caught.value)))
        while error is not None:
            assert not leaks(repr(error), str(vars(error)))
            error = error.__cause__ or error.__context__
        connector = shop.connector(**settings)
        assert not leaks(repr(connector), str(connector))


def test_traceback_of_a_command_does_not_show_it(project: MongodbProject, mongodb: MongoDB):
    changes = spellings(mongodb)["HOST"]
    project.configure(f'DATABASES["default"].update({changes!r})')
    tmp = shlex.quote(str(project.tmp))
    project.use("MongoDumpConnector", DUMP_SUFFIX=f"; cat {tmp}/dbbackup-*/config.yaml >&2; exit 1")
    done = manage(project, "dbbackup", "--traceback", "-v", "3")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert not leaks(done.stdout, done.stderr)


# The file.


def test_file_goes_with_a_dump_that_is_left_off(shop: Database):
    dump = shop.connector(DUMP_SUFFIX="; sleep 60").create_dump()
    dump.read(10)
    (folder,) = (path for path in remains(shop.tmp) if path.is_dir())
    assert folder.stat().st_mode & 0o777 == 0o700
    assert TOKEN in (folder / "config.yaml").read_text()
    assert (folder / "config.yaml").stat().st_mode & 0o777 == 0o600
    dump.close()
    assert remains(shop.tmp) == []
