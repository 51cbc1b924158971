"""Where passwords are not: arguments, the environment of other programs, logs, errors, mail, manifests, disks."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from django.core import mail

from tests.db.postgresql.conftest import Connector, Database, MakeDatabase
from tests.db.postgresql.formats import both_formats
from tests.process import Project
from tests.requirements import requires
from tests.servers.postgresql import Cluster
from tests.shop import Store

pytestmark = requires("postgresql")


def texts(*passwords: str) -> set[bytes]:
    """Return passwords as they could stand anywhere."""
    forms = [form for word in passwords for form in (word, word.strip(), json.dumps(word)[1:-1], repr(word)[1:-1])]
    return {form.encode() for form in forms}


class Looker(threading.Thread):
    """Reads arguments and environments of the programs that this process starts, again and again."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._done = threading.Event()
        self._known: set[tuple[str, bytes]] = set()
        self.arguments: set[bytes] = set()
        self.environments: set[tuple[bytes, bytes]] = set()
        """Each with the name of the program."""
        self.files: set[tuple[str, int, int]] = set()
        """Each file of a PGPASSFILE with its mode and its folder's."""

    def run(self) -> None:
        while not self._done.is_set():
            self._look_below(os.getpid())
            time.sleep(0.005)

    def _look_below(self, number: int) -> None:
        """Look at all that a process has started, whichever of its threads did."""
        for thread in Path(f"/proc/{number}/task").glob("*/children"):
            with suppress(OSError):
                for child in thread.read_text().split():
                    with suppress(OSError):
                        command = Path("/proc", child, "cmdline").read_bytes()
                        # The servers of the run have nothing of a backup's, and many processes.
                        if b"postgres" in Path(command.split(b"\0")[0].decode()).name.encode():
                            continue
                        if (child, command) not in self._known:
                            self._look(Path("/proc", child), command)
                            self._known.add((child, command))
                    self._look_below(int(child))

    def _look(self, process: Path, command: bytes) -> None:
        self.arguments.add(command)
        for variable in (process / "environ").read_bytes().split(b"\0"):
            self.environments.add((Path(command.split(b"\0")[0].decode()).name.encode(), variable))
            if variable.startswith(b"PGPASSFILE="):
                path = Path(variable.partition(b"=")[2].decode())
                self.files.add((str(path), path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777))

    def stop(self) -> None:
        self._done.set()
        self.join()


@contextmanager
def looking() -> Iterator[Looker]:
    looker = Looker()
    looker.start()
    try:
        yield looker
    finally:
        looker.stop()


@pytest.fixture
def table(database: Database) -> Database:
    database.psql("CREATE TABLE t (a text); INSERT INTO t SELECT repeat('x', 100) FROM generate_series(1, 100)")
    return database


def remains(folder: Path) -> list[Path]:
    return sorted(folder.rglob("dbbackup-*"))


@both_formats
def test_programs_while_they_run(table: Database, cls: type[Connector]):
    cluster = table.cluster
    settings = {"ADMIN_USER": cluster.admin.name, "ADMIN_PASSWORD": cluster.admin.password}
    with looking() as looker:
        dump = table.dump(cls, DUMP_SUFFIX="| (sleep 0.3; cat)", **settings)
        table.restore(dump, cls, RESTORE_PREFIX="sleep 0.3;", **settings)
    secrets = texts(cluster.owner.password, cluster.admin.password)
    assert any(b"pg_dump" in argument for argument in looker.arguments)
    assert any(b"sleep" in argument for argument in looker.arguments)
    assert not [argument for argument in looker.arguments if any(secret in argument for secret in secrets)]
    assert b"sleep" in {name for name, _ in looker.environments}
    assert not [found for found in looker.environments if any(secret in found[1] for secret in secrets)]
    assert looker.files
    assert all(Path(path).is_relative_to(table.tmp) for path, _, _ in looker.files)
    assert {modes for _, *modes in map(list, looker.files) if modes != [0o600, 0o700]} == set()
    assert remains(table.tmp) == []


def test_password_of_the_admin_while_the_program_runs(table: Database, tmp_path: Path):
    # The extension is missing, so that the admin's psql makes it; it stays a while.
    cluster = table.cluster
    slow = tmp_path / "psql"
    slow.write_text(f'#!/bin/sh\n"{cluster.bin_dir}/psql" "$@" || exit\ncase "$*" in *admin*) sleep 0.5; esac\n')
    slow.chmod(0o755)
    cluster.psql("CREATE EXTENSION pageinspect", table.name)
    dump = table.dump()
    cluster.psql("DROP EXTENSION pageinspect", table.name)
    with looking() as looker:
        table.restore(dump, ADMIN_USER=cluster.admin.name, ADMIN_PASSWORD=cluster.admin.password, PSQL_CMD=str(slow))
    assert cluster.psql("SELECT count(*) FROM pg_extension WHERE extname = 'pageinspect'", table.name) == "1"
    secrets = texts(cluster.owner.password, cluster.admin.password)
    assert any(b"user='admin'" in argument for argument in looker.arguments)
    assert not [argument for argument in looker.arguments if any(secret in argument for secret in secrets)]
    assert not [found for found in looker.environments if any(secret in found[1] for secret in secrets)]
    assert len({path for path, _, _ in looker.files}) >= 2
    assert remains(table.tmp) == []


# The file is gone, however it ends.


def test_after_a_dump_that_is_left_off(table: Database):
    dump = table.connector(DUMP_SUFFIX="; sleep 60").create_dump()
    dump.read(10)
    assert len(remains(table.tmp)) == 1
    dump.close()
    assert remains(table.tmp) == []


def test_after_a_dump_that_fails(table: Database):
    failing: dict[str, dict[str, Any]] = {
        "authentication": {"PASSWORD": "wrong"},
        "false": {"DUMP_CMD": "/bin/false"},
        "nothing": {"EXCLUDE": ["nothing"]},
        "Cannot dump": {"DUMP_SUFFIX": "; exit 3"},
    }
    for reason, settings in failing.items():
        with pytest.raises(Exception, match=reason):
            table.dump(**settings)
        assert remains(table.tmp) == [], reason


@both_formats
def test_after_a_restore_that_fails(table: Database, cls: type[Connector]):
    dump = table.dump(cls)
    failing = {
        "authentication": {"PASSWORD": "wrong"},
        "false": {"RESTORE_CMD": "/bin/false"},
        "Cannot restore": {"RESTORE_SUFFIX": "; exit 3"},
    }
    for reason, settings in failing.items():
        with pytest.raises(Exception, match=reason):
            table.restore(dump, cls, **settings)
        assert remains(table.tmp) == [], reason


@both_formats
def test_after_a_restore_that_is_interrupted(table: Database, cls: type[Connector]):
    dump = table.dump(cls)
    before = table.state()

    class Interrupted:
        """A dump whose reading is interrupted in the middle."""

        closed = False

        def __init__(self, error: type[BaseException]) -> None:
            self.error = error
            self.left = len(dump) // 2

        def read(self, size: int = -1) -> bytes:
            if not self.left:
                raise self.error
            start = len(dump) // 2 - self.left
            piece = dump[start : start + min(self.left, 4096 if size < 0 else size)]
            self.left -= len(piece)
            return piece

        def close(self) -> None:
            self.closed = True

    for error in (KeyboardInterrupt, SystemExit, RuntimeError):
        with pytest.raises(error):
            table.connector(cls).restore_dump(Interrupted(error))  # type: ignore[arg-type]
        assert remains(table.tmp) == []
    assert table.state() == before


CONFIGURATION = """
DATABASES = {{"default": {database!r}}}
DBBACKUP_CONNECTORS = {{"default": {{"DUMP_SUFFIX": "; sleep 60", "ADMIN_USER": "admin", "ADMIN_PASSWORD": {admin!r}}}}}
"""


@pytest.fixture
def backing_up(project: Project, table: Database) -> Iterator[subprocess.Popen[bytes]]:
    """Return a process that makes a backup, for a minute, and has a file with the password."""
    text = CONFIGURATION.format(database=table.cluster.settings(table.name), admin=table.cluster.admin.password)
    project.configure(text)
    process = subprocess.Popen(
        project.command("dbbackup"), env=project.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        deadline = time.monotonic() + 30
        while not list(project.tmp.glob("dbbackup-*/pgpass-*")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield process
    finally:
        process.kill()
        process.communicate()


def test_after_an_interrupt(project: Project, backing_up: subprocess.Popen[bytes]):
    backing_up.send_signal(signal.SIGINT)
    backing_up.communicate(timeout=30)
    assert backing_up.returncode
    assert remains(project.tmp) == []


def test_after_a_kill_and_another_run(project: Project, backing_up: subprocess.Popen[bytes]):
    backing_up.kill()
    backing_up.communicate(timeout=30)
    assert len(remains(project.tmp)) >= 1
    project.configure("DBBACKUP_CONNECTORS = {}")
    subprocess.run(project.command("dbbackup"), env=project.env, capture_output=True, check=True)
    assert remains(project.tmp) == []


# What is said and kept.


@pytest.fixture
def no_secret(store: Store, postgres: Cluster, caplog: pytest.LogCaptureFixture) -> Callable[..., None]:
    secrets = texts(postgres.owner.password, postgres.admin.password)
    caplog.set_level(logging.DEBUG)
    store.settings.ADMINS = ["ops@example.org"]

    def check(*said: str) -> None:
        kept = [path.read_bytes() for path in store.folder.rglob("*") if path.is_file()]
        mails = [message.message().as_bytes() + message.body.encode() for message in mail.outbox]
        logged = [caplog.text.encode(), *(str(vars(record)).encode() for record in caplog.records)]
        everything = b"\0".join([*(text.encode() for text in said), *kept, *mails, *logged])
        assert not [secret for secret in secrets if secret in everything]

    return check


def test_successful_run(store: Store, make_database: MakeDatabase, no_secret: Callable[..., None]):
    cluster = make_database(alias="shop").cluster
    admin = {"ADMIN_USER": "admin", "ADMIN_PASSWORD": cluster.admin.password}
    store.settings.DBBACKUP_CONNECTORS = {"shop": admin}
    runs = [store.run("dbbackup", verbosity=3), store.run("dbrestore", "--noinput", verbosity=3)]
    runs += [store.run("dbbackup", "--json", verbosity=3), store.run("listbackups", verbosity=3)]
    assert [run.status for run in runs] == [0, 0, 0, 0]
    no_secret(*(run.out + run.err for run in runs))


BROKEN = [
    {"NAME": "no such"}, {"PORT": "1"}, {"DUMP_CMD": "/bin/false", "RESTORE_CMD": "/bin/false"},
    {"DUMP_SUFFIX": '; cat "$PGPASSFILE" >&2; exit 1', "RESTORE_SUFFIX": '; cat "$PGPASSFILE" >&2; exit 1'},
    {"DUMP_SUFFIX": "; env >&2; exit 1", "RESTORE_SUFFIX": "; env >&2; exit 1"},
]  # fmt: skip


def test_failing_runs(store: Store, make_database: MakeDatabase, no_secret: Callable[..., None]):
    cluster = make_database(alias="shop").cluster
    store.backup()
    admin = {"ADMIN_USER": "admin", "ADMIN_PASSWORD": cluster.admin.password}
    for number, broken in enumerate(BROKEN, 1):
        store.settings.DBBACKUP_CONNECTORS = {"shop": {**admin, **broken}}
        runs = [store.run("dbbackup", verbosity=3), store.run("dbrestore", "--noinput", verbosity=3)]
        assert [run.status for run in runs] == [1, 1], broken
        assert len(mail.outbox) >= number
        no_secret(*(run.out + run.err + run.error for run in runs))


def test_password_among_the_options_is_hidden(table: Database):
    with pytest.raises(Exception, match=r"\*\*\*") as caught:
        table.dump(OPTIONS={"password": "hunter2"}, DUMP_SUFFIX="; echo hunter2 is the password >&2; exit 1")
    assert "hunter2" not in str(caught.value)


def test_traceback(project: Project, table: Database):
    text = CONFIGURATION.format(database=table.cluster.settings(table.name), admin=table.cluster.admin.password)
    project.configure(text, "DBBACKUP_CONNECTORS['default']['DUMP_SUFFIX'] = '; cat \"$PGPASSFILE\" >&2; exit 1'")
    args = ["dbbackup", "--traceback", "-v", "3"]
    done = subprocess.run(project.command(*args), env=project.env, capture_output=True, check=False)
    assert done.returncode == 1
    assert b"Traceback" in done.stderr
    secrets = texts(table.cluster.owner.password, table.cluster.admin.password)
    assert not [secret for secret in secrets if secret in done.stdout + done.stderr]


def test_local_variables_of_an_error(table: Database):
    """What an error report with local variables would show of our own values."""
    connector = table.connector(PASSWORD="hunter22", ADMIN_USER="a", ADMIN_PASSWORD="hunter33")
    with pytest.raises(Exception, match="authentication") as caught:
        connector.create_dump()
    shown = []
    trace = caught.value.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        if "postgresql" in frame.f_code.co_filename and "tests" not in frame.f_code.co_filename:
            shown += [repr(value) for value in frame.f_locals.values()]
        trace = trace.tb_next
    assert shown
    assert "hunter" not in " ".join(shown)
