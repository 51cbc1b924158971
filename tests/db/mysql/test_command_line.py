"""No process of a backup or a restore has the password among its arguments or variables, from the first to the last."""

from __future__ import annotations

import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.db.mysql.wrapping import noting, wrapped
from tests.process import MariadbProject, manage
from tests.requirements import requires
from tests.servers.mariadb import MariaDB, Role, literal, quote

pytestmark = requires("mariadb")


class Watcher(threading.Thread):
    """Reads the arguments and the environment of every process of the machine, again and again."""

    def __init__(self, token: str) -> None:
        super().__init__(daemon=True)
        self._token = token.encode()
        self._done = threading.Event()
        self._known: dict[str, bytes] = {}
        self.programs: set[str] = set()
        """The names of all that were seen."""
        self.leaks: set[tuple[str, str]] = set()
        """Each program that had the token, and where."""
        self.rounds = 0

    def run(self) -> None:
        while not self._done.is_set():
            for process in Path("/proc").glob("[0-9]*"):
                # It may end between two looks.
                with suppress(OSError):
                    self._look(process)
            self.rounds += 1

    def _look(self, process: Path) -> None:
        arguments = (process / "cmdline").read_bytes()
        if self._known.get(process.name) == arguments:
            return
        self._known[process.name] = arguments
        name = Path(arguments.split(b"\0")[0].decode(errors="replace")).name
        self.programs.add(name)
        # Before anything that may fail.
        if self._token in arguments:
            self.leaks.add((name, "cmdline"))
        if self._token in (process / "environ").read_bytes():
            self.leaks.add((name, "environ"))

    def await_that(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def stop(self) -> None:
        self._done.set()
        self.join()


@contextmanager
def watching(token: str) -> Iterator[Watcher]:
    watcher = Watcher(token)
    watcher.start()
    try:
        yield watcher
    finally:
        watcher.stop()


@pytest.fixture
def watched(mariadb: MariaDB) -> Iterator[Role]:
    """Return a user whose password is no other process's on the machine."""
    # In whichever way it is quoted, the letters and digits are there.
    user = Role("watched", f""" it's "my" \\ #1 %ü€ {uuid.uuid4().hex} """)
    mariadb.sql(f"CREATE USER {quote(user.name)} IDENTIFIED BY {literal(user.password)}")
    yield user
    mariadb.sql(f"DROP USER {quote(user.name)}")


@pytest.fixture
def project(tmp_path: Path, mariadb: MariaDB, watched: Role) -> Iterator[MariadbProject]:
    root = tmp_path / "it's a project"
    root.mkdir()
    project = MariadbProject(root, mariadb, "watched project")
    mariadb.grant("ALL", project.name, watched)
    project.configure(f'DATABASES["default"].update(USER={watched.name!r}, PASSWORD={watched.password!r})')
    project.grow(2000)
    yield project
    mariadb.drop_database(project.name)


def token(user: Role) -> str:
    return user.password.split()[-1]


def test_watcher_sees_what_is_leaked(watched: Role):
    with watching(token(watched)) as watcher:
        arguments = subprocess.Popen(["sh", "-c", f"sleep 60 # {watched.password}"])
        variable = subprocess.Popen(["sleep", "60"], env={"MYSQL_PWD": watched.password})
        with arguments, variable:
            try:
                watcher.await_that(lambda: {("sh", "cmdline"), ("sleep", "environ")} <= watcher.leaks)
            finally:
                arguments.kill()
                variable.kill()


# Each with what the commands are to end with: a backup, its verification, a restore.
SETTINGS = {
    "alone": ({}, 0),
    "pipes": (
        {
            "DUMP_PREFIX": "nice -n 1",
            "DUMP_SUFFIX": "| (sleep 0.1; cat)",
            "RESTORE_PREFIX": "sleep 0.1;",
            "RESTORE_SUFFIX": "| cat",
        },
        0,
    ),
    "restore that is put back": ({"RESTORE_SUFFIX": "| (cat; exit 5)"}, 1),
    "two pipes that undo each other": ({"DUMP_SUFFIX": "| gzip", "RESTORE_PREFIX": "gunzip |"}, 0),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_no_process_has_the_password(project: MariadbProject, watched: Role, case: str):
    settings, status = SETTINGS[case]
    project.use("MysqlDumpConnector", **settings)
    with watching(token(watched)) as watcher:
        done = [manage(project, "dbbackup"), manage(project, "verifybackups")]
        project.change()
        done += [manage(project, "dbrestore", "--noinput", "--exact"), manage(project, "listbackups")]
        rounds = watcher.rounds
    assert [one.returncode for one in done] == [0, 0, status, 0], done[2].stderr
    assert not [one for one in done if token(watched) in one.stdout + one.stderr]
    assert {"mariadb-dump", "mariadb"} <= watcher.programs
    assert rounds > 20
    assert watcher.leaks == set()


def test_programs_have_it_neither_at_their_start(project: MariadbProject, watched: Role, tmp_path: Path):
    # Whichever looks fall between, each program tells of itself.
    noted = tmp_path / "noted"
    line = noting(noted, "tr '\\0' '\\n' < /proc/$$/cmdline", "tr '\\0' '\\n' < /proc/$$/environ", "echo END")
    bin_dir = project.server.bin_dir
    project.use(
        "MysqlDumpConnector",
        DUMP_CMD=wrapped(tmp_path / "my-dump", bin_dir / "mariadb-dump", line),
        RESTORE_CMD=wrapped(tmp_path / "my-client", bin_dir / "mariadb", line),
        DUMP_SUFFIX="| cat",
        RESTORE_SUFFIX="| (cat; exit 5)",
    )
    assert manage(project, "dbbackup").returncode == 0
    assert manage(project, "dbrestore", "--noinput").returncode == 1
    text = noted.read_text()
    # A backup asks before, dumps and asks again; a restore that is put back dumps and loads twice.
    assert text.count("my-dump\n--defaults-extra-file=") == 3
    assert text.count("my-client\n--defaults-extra-file=") > 5
    assert "HOME=" in text
    assert token(watched) not in text
