"""Where passwords are not: on terminals, in logs, errors, mail and manifests, and in files once the work is over."""

from __future__ import annotations

import json
import logging
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core import mail

from dbbackup.db.exceptions import CommandConnectorError, ConnectorError, RestoreError
from dbbackup.db.mysql.option_file import option_file
from tests.db.mysql.conftest import Database, MakeDatabase
from tests.db.mysql.wrapping import noting, wrapped
from tests.process import MariadbProject, manage, signalled
from tests.requirements import requires
from tests.servers.mariadb import MariaDB
from tests.shop import Store

pytestmark = requires("mariadb")

WRONG = "wrong'ly' \"hunter7777\" #7 \\ %é"
# A program that shows what it was told, as one with a debug option would, and fails.
TELLS = 'cat "${1#--defaults-extra-file=}" >&2; exit 1'


def texts(*passwords: str) -> set[bytes]:
    """Return passwords as they could stand anywhere."""
    forms = [form for word in passwords for form in (word, word.strip(), json.dumps(word)[1:-1], repr(word)[1:-1])]
    forms += [option_file({"password": word}).split('"', 1)[1].rpartition('"')[0] for word in passwords]
    # Whatever becomes of quotes and backslashes.
    forms += [part for word in passwords for part in re.split(r"[\\'\"]", word) if len(part) > 6]
    return {form.encode() for form in forms}


@pytest.fixture
def table(make_database: MakeDatabase) -> Database:
    database = make_database(alias="shop")
    database.sql("CREATE TABLE t (a text); INSERT INTO t VALUES (REPEAT('x', 100)), ('ä€')")
    return database


def remains(folder: Path) -> list[Path]:
    return sorted(folder.rglob("dbbackup-*"))


def telling(table: Database, folder: Path) -> dict[str, str]:
    """Return settings with programs that print the file with the password."""
    bin_dir = table.server.bin_dir
    return {
        "DUMP_CMD": wrapped(folder / "telling dump", bin_dir / "mariadb-dump", TELLS),
        "RESTORE_CMD": wrapped(folder / "telling client", bin_dir / "mariadb", TELLS),
    }


# It works.


@pytest.mark.parametrize("way", ["host", "socket", "socket as host"])
@pytest.mark.parametrize("version", ["mariadb", pytest.param("newer_mariadb", marks=requires("mariadb:newer"))])
def test_password_of_every_character(
    request: pytest.FixtureRequest, make_database: MakeDatabase, version: str, way: str
):
    server: MariaDB = request.getfixturevalue(version)
    database = make_database(server=server)
    database.sql("CREATE TABLE t (a int); INSERT INTO t VALUES (1)")
    before = database.state()
    ways: dict[str, dict[str, Any]] = {
        "host": {},
        "socket": {"HOST": "", "PORT": "", "OPTIONS": {"unix_socket": str(server.socket)}},
        "socket as host": {"HOST": str(server.socket), "PORT": ""},
    }
    settings = ways[way]
    tools = {"DUMP_CMD": str(server.bin_dir / "mariadb-dump"), "RESTORE_CMD": str(server.bin_dir / "mariadb")}
    dump = database.dump(**tools, **settings)
    database.sql("DELETE FROM t")
    database.restore(dump, **tools, **settings)
    assert database.state() == before
    with pytest.raises(CommandConnectorError, match="ERROR 1045"):
        database.dump(**tools, **{**settings, "PASSWORD": database.settings["PASSWORD"][:-1]})


# The file while it is there, and when it is not.


def test_file_is_the_owner_s_alone_while_programs_run(table: Database, tmp_path: Path):
    noted = tmp_path / "noted"
    file = '"${1#--defaults-extra-file=}"'
    line = noting(noted, f'stat -c "%a %F %n" {file} "$(dirname {file})"', 'echo "$HOME"')
    bin_dir = table.server.bin_dir
    settings = {
        "DUMP_CMD": wrapped(tmp_path / "d", bin_dir / "mariadb-dump", line),
        "RESTORE_CMD": wrapped(tmp_path / "c", bin_dir / "mariadb", line),
    }
    table.restore(table.dump(**settings, DUMP_SUFFIX="| cat"), **settings)
    lines = noted.read_text().splitlines()
    files, folders, homes = lines[::3], lines[1::3], lines[2::3]
    assert len(files) >= 6
    assert {line.split(" /")[0] for line in files} == {"600 regular file"}
    assert {line.split(" /")[0] for line in folders} == {"700 directory"}
    assert all(f" {table.tmp}/dbbackup-" in line for line in (*files, *folders))
    # No option file of the user's is at home there.
    assert all(folder.endswith(home) for folder, home in zip(folders, homes, strict=True))
    assert remains(table.tmp) == []


def test_file_goes_with_a_dump_that_is_left_off(table: Database):
    dump = table.connector(DUMP_SUFFIX="; sleep 60").create_dump()
    dump.read(10)
    assert len(remains(table.tmp)) == 1
    dump.close()
    assert remains(table.tmp) == []


def test_file_goes_with_a_dump_that_fails(table: Database, tmp_path: Path):
    failing: dict[str, dict[str, Any]] = {
        "ERROR 1045": {"PASSWORD": WRONG},
        "ERROR 2002": {"PORT": "1"},
        "/bin/false": {"DUMP_CMD": "/bin/false"},
        "RESTORE_CMD": {"RESTORE_CMD": "no-such-program"},
        "EXCLUDE": {"EXCLUDE": ["nothing"]},
        "status 3": {"DUMP_SUFFIX": "; exit 3"},
        "status 1": telling(table, tmp_path / "programs"),
    }
    for reason, settings in failing.items():
        with pytest.raises(Exception, match=reason):
            table.dump(**settings)
        assert remains(table.tmp) == [], reason


def test_file_goes_with_a_restore_that_fails(table: Database):
    dump = table.dump()
    before = table.state()
    failing = {"ERROR 1045": {"PASSWORD": WRONG}, "/bin/false": {"RESTORE_CMD": "/bin/false"}}
    failing["status 3"] = {"RESTORE_SUFFIX": "; exit 3"}
    for reason, settings in failing.items():
        with pytest.raises(Exception, match=reason):
            table.restore(dump, **settings)
        assert remains(table.tmp) == [], reason
        assert table.state() == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_file_goes_with_a_restore_that_is_interrupted(table: Database, error: type[BaseException]):
    dump = table.dump()
    before = table.state()

    class Interrupted:
        """A dump whose reading is interrupted in the middle."""

        left = len(dump) // 2

        def read(self, size: int = -1) -> bytes:
            if not self.left:
                raise error
            start = len(dump) // 2 - self.left
            piece = dump[start : start + min(self.left, 4096 if size < 0 else size)]
            self.left -= len(piece)
            return piece

        def close(self) -> None:
            pass

    with pytest.raises((error, RestoreError)):
        table.connector().restore_dump(Interrupted())  # type: ignore[arg-type]
    assert remains(table.tmp) == []
    assert table.state() == before


@pytest.fixture
def project(tmp_path: Path, mariadb: MariaDB) -> Iterator[MariadbProject]:
    root = tmp_path / "it's a project"
    root.mkdir()
    project = MariadbProject(root, mariadb, "secret project")
    project.grow(100)
    yield project
    mariadb.drop_database(project.name)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_file_goes_with_a_command_that_is_ended(project: MariadbProject, how: signal.Signals):
    assert manage(project, "dbbackup").returncode == 0
    before = project.state()
    project.use("MysqlDumpConnector", DUMP_SUFFIX="; sleep 60", RESTORE_SUFFIX="; sleep 60")
    for args in (["dbbackup"], ["dbrestore", "--noinput"]):
        done = signalled(project, 1, how, *args)
        assert done is not None
        assert done.returncode
        assert remains(project.tmp) == [], done.stderr
        assert not [
            form for form in texts(project.server.owner.password) if form in (done.stdout + done.stderr).encode()
        ]
    assert project.state() == before
    assert project.sessions() == 0


def test_file_of_a_killed_command_goes_with_the_next(project: MariadbProject):
    project.use("MysqlDumpConnector", DUMP_SUFFIX="; sleep 600")
    process = subprocess.Popen(
        project.command("dbbackup"), env=project.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    with process:
        deadline = time.monotonic() + 60
        while not list(project.tmp.glob("dbbackup-*/*dump.cnf")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.kill()
    assert list(project.tmp.glob("dbbackup-*/*dump.cnf"))
    project.use("MysqlDumpConnector")
    assert manage(project, "dbbackup").returncode == 0
    assert remains(project.tmp) == []


# What is said and kept.


@pytest.fixture
def no_secret(store: Store, mariadb: MariaDB, caplog: pytest.LogCaptureFixture) -> Callable[..., None]:
    secrets = texts(mariadb.owner.password, WRONG)
    caplog.set_level(logging.DEBUG)
    store.settings.ADMINS = ["ops@example.org"]

    def check(*said: str) -> None:
        files = [path for folder in (store.folder, store.tmp) for path in folder.rglob("*") if path.is_file()]
        names = "\0".join(map(str, files)).encode()
        mails = [message.message().as_bytes() + message.body.encode() for message in mail.outbox]
        logged = [caplog.text.encode(), *(str(vars(record)).encode() for record in caplog.records)]
        kept = [path.read_bytes() for path in files]
        everything = b"\0".join([names, *(text.encode() for text in said), *kept, *mails, *logged])
        assert not [secret for secret in secrets if secret in everything]

    return check


def test_nothing_shows_it_when_all_is_well(store: Store, table: Database, no_secret: Callable[..., None]):
    runs = [store.run("dbbackup", verbosity=3), store.run("dbrestore", "--noinput", verbosity=3)]
    runs += [store.run("dbbackup", "--json", verbosity=3), store.run("listbackups", verbosity=3)]
    runs += [store.run("verifybackups", verbosity=3)]
    assert [run.status for run in runs] == [0, 0, 0, 0, 0], runs
    no_secret(*(run.out + run.err for run in runs))


BROKEN: dict[str, dict[str, Any]] = {
    "wrong": {"PASSWORD": WRONG},
    "no database": {"NAME": "no such"},
    "no server": {"PORT": "1"},
    "no socket": {"HOST": "/no/such/socket"},
    "no program": {"DUMP_CMD": "/bin/false", "RESTORE_CMD": "/bin/false"},
    "printed by a suffix": {
        "DUMP_SUFFIX": "; cat {tmp}/dbbackup-*/*.cnf >&2; exit 1",
        "RESTORE_SUFFIX": "; cat {tmp}/dbbackup-*/*.cnf >&2; exit 1",
    },
    "printed with the variables": {"DUMP_SUFFIX": "; env >&2; exit 1", "RESTORE_SUFFIX": "; env >&2; exit 1"},
    "printed as the error": {
        "DUMP_SUFFIX": "; sed 's/^/ERROR 9999: /' {tmp}/dbbackup-*/*.cnf >&2; exit 1",
        "RESTORE_SUFFIX": "; sed 's/^/ERROR 9999: /' {tmp}/dbbackup-*/*.cnf >&2; exit 1",
    },
}


@pytest.mark.parametrize("case", [*BROKEN, "printed by the programs"])
def test_nothing_shows_it_when_a_run_fails(
    store: Store, table: Database, no_secret: Callable[..., None], tmp_path: Path, case: str
):
    store.backup()
    before = table.state()
    broken = BROKEN.get(case) or telling(table, tmp_path / "programs")
    settings = {key: value.replace("{tmp}", shlex.quote(str(store.tmp))) for key, value in broken.items()}
    store.settings.DBBACKUP_CONNECTORS = {"shop": settings}
    runs = [store.run("dbbackup", verbosity=3), store.run("dbrestore", "--noinput", verbosity=3)]
    assert [run.status for run in runs] == [1, 1]
    assert mail.outbox
    no_secret(*(run.out + run.err + run.error for run in runs))
    assert table.state() == before


def test_line_that_loads_a_safety_dump_asks_for_it(store: Store, table: Database, no_secret: Callable[..., None]):
    store.backup()
    # What loads the dump fails, and what would put the safety dump back as well.
    bin_dir = table.server.bin_dir
    failing = (
        f'IFS= read -r line; case "$line" in *"-- MariaDB dump"*) {TELLS};; esac; '
        f'exec {shlex.quote(str(bin_dir / "mariadb"))} "$@" < <(printf \'%s\\n\' "$line"; cat)'
    )
    client = wrapped(store.tmp.parent / "client", bin_dir / "mariadb", failing)
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"RESTORE_CMD": client}}
    run = store.run("dbrestore", "--noinput", verbosity=3)
    assert run.status == 1
    assert "gzip -dc" in run.error
    assert "--password" in run.error
    (path,) = store.tmp.rglob("safety.sql.gz")
    assert str(path) in run.error
    assert path.stat().st_mode & 0o777 == 0o600
    no_secret(run.out + run.err + run.error)


@pytest.mark.parametrize("name", ["password", "passwd"])
def test_password_among_the_options_is_hidden(table: Database, name: str):
    with pytest.raises(ConnectorError, match=r"\*\*\*") as caught:
        table.dump(
            OPTIONS={name: table.settings["PASSWORD"], "charset": "utf8mb4"},
            PASSWORD="hunter2",
            DUMP_SUFFIX="; echo hunter2 is the password >&2; exit 1",
        )
    assert "hunter2" not in str(caught.value)


def test_traceback_does_not_show_it(project: MariadbProject):
    project.use("MysqlDumpConnector", DUMP_SUFFIX=f"; cat {shlex.quote(str(project.tmp))}/dbbackup-*/*.cnf >&2; exit 1")
    done = manage(project, "dbbackup", "--traceback", "-v", "3", text=False)
    assert done.returncode == 1
    assert b"Traceback" in done.stderr
    assert not [form for form in texts(project.server.owner.password) if form in done.stdout + done.stderr]


def test_local_variables_of_an_error_do_not_show_it(table: Database):
    """What an error report with local variables would show of our own values."""
    connector = table.connector(PASSWORD="hunter22")
    with pytest.raises(ConnectorError, match="1045") as caught:
        connector.create_dump()
    shown = []
    trace = caught.value.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        if "dbbackup" in frame.f_code.co_filename and "tests" not in frame.f_code.co_filename:
            shown += [repr(value) for value in frame.f_locals.values()]
        trace = trace.tb_next
    assert shown
    assert "hunter" not in " ".join(shown)
