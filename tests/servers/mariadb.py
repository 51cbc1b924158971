"""A MariaDB server for one test run: real, on a free port, in a folder of its own, gone afterwards."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pymysql

from tests import mysql_driver
from tests.servers import certificates, mariadb_install, mariadb_state
from tests.servers.account import ENVIRONMENT, Account, free_port
from tests.servers.initdb import Role
from tests.servers.mariadb_install import CERT_USER, literal, option, pattern, quote

__all__ = ["CERT_USER", "MariaDB", "Role", "literal", "quote", "running"]

TIMEOUT = 300


class MariaDB:
    """A server whose client programs are in ``bin_dir``."""

    host = "127.0.0.1"
    # Every character that some file, address or shell treats in its own way.
    admin = Role("admin", """ it's "the" \\ boss: #1 %41 @home/ü€ """)
    owner = Role("owner", """ öwn'er "of" C:\\new\\data = ${HOME}; #100%@?&€: """)
    other = Role("other", "no friend of: the 'owner'")
    readonly = Role("readonly", "may look \\ only")

    def __init__(self, bin_dir: Path) -> None:
        self.bin_dir = bin_dir
        printed = subprocess.run([bin_dir / "mariadb-dump", "--version"], capture_output=True, text=True, check=True)
        major, minor, patch = re.findall(r"(\d+)\.(\d+)\.(\d+)-MariaDB", printed.stdout)[0]
        self.version = (int(major), int(minor), int(patch))
        self._process: subprocess.Popen[bytes] | None = None
        self._made_by = os.getpid()

    def start(self) -> None:
        """Make the data folder and the users, and start the server."""
        # Directly in /tmp: the path of a socket is at most 107 bytes long.
        self.root = Path(tempfile.mkdtemp(prefix="my-", dir="/tmp"))
        atexit.register(self.stop)
        self.root.chmod(0o755)
        # In a folder of the server's, which makes it.
        self.socket = self.root / "s" / "s"
        self.ca_file = self.root / "ca.crt"
        self.client_cert = self.root / "client.crt"
        self.client_key = self.root / "client.key"
        certificates.write(self.root, CERT_USER)
        folders = [self.root / name for name in ("data", "s", "t")]
        for folder in folders:
            folder.mkdir()
        # The one process of the server can be killed: there are no others to end, and it may have been stopped.
        account = Account("mysql", death_signal="KILL")
        # The certificates as well: a strict umask would keep them from the server.
        account.give(*folders, self.ca_file, self.root / "server.crt", self.root / "server.key")
        program = self._find("mariadbd", "sbin")
        installed = account.reachable(self.bin_dir, self.root, program).parent
        basedir = self.root / "install"
        if installed != basedir:
            # mariadb-install-db cannot have a space in its path.
            basedir.symlink_to(installed)
        script = basedir / self._find("mariadb-install-db", "scripts")
        mariadb_install.initialize(account, basedir, script, self.root)
        # Late: until the server has it, it is anybody's.
        self.port = free_port()
        options = [f"--defaults-file={self.root}/my.cnf", f"--port={self.port}"]
        self._server: list[str | Path] = [*account.command, basedir / program, *options]
        self.restart()
        with closing(self.connect(Role("root", ""))) as connection, connection.cursor() as cursor:
            for statement in mariadb_install.users(self.admin, self.owner, self.other, self.readonly):
                cursor.execute(statement)

    def stop(self) -> None:
        """End the server and remove everything it had."""
        # A forked child inherits what is to be done at exit, but the server is not its own.
        if os.getpid() != self._made_by:
            return
        atexit.unregister(self.stop)
        self.crash()
        shutil.rmtree(self.root, ignore_errors=True)

    def crash(self) -> None:
        """Kill the server: the next start has to recover."""
        self._end(signal.SIGKILL)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Hold the server where it is: it neither answers nor closes a connection."""
        self.freeze()
        try:
            yield
        finally:
            self.thaw()

    def freeze(self) -> None:
        """Hold the server until thaw(), restart(), crash() or stop()."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def restart(self, *options: str) -> None:
        """Start the server with these options and the usual ones; end it first in an orderly way if it runs."""
        self._end(signal.SIGTERM)
        with (self.root / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._server, *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.root, env=ENVIRONMENT,
                # A Ctrl+C in the terminal is for the tests, which then end the server.
                start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + 60
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError((self.root / "log").read_text())
            time.sleep(0.02)

    def connect(self, user: Role | None = None, database: str | None = None, **options: Any) -> pymysql.Connection:
        """Return a connection of this process; each statement is committed on its own."""
        user = user or self.admin
        options = {"unix_socket": str(self.socket), "autocommit": True, "charset": "utf8mb4", **options}
        return mysql_driver.connect(user=user.name, password=user.password, database=database, **options)

    def sql(self, text: str, database: str = "", user: Role | None = None) -> str:
        """Run a script and return what it prints: a line for each row, columns divided by tabs."""
        options = ["--batch", "--skip-column-names", "--raw", "--binary-mode", f"--database={database}"]
        return self._client(user or self.admin, "mariadb", *options, data=text).removesuffix("\n")

    def create_database(self, name: str, owner: Role | None = None, charset: str = "utf8mb4") -> None:
        """Create an empty database in which the user ``owner`` may do everything."""
        self._execute(f"CREATE DATABASE {quote(name)} CHARACTER SET {charset}")
        self.grant("ALL", name, owner or self.owner)

    def drop_database(self, name: str) -> None:
        """Remove a database and all rights in it if it is there, whoever is connected to it."""
        for session in self._execute(f"SELECT id FROM information_schema.processlist WHERE db = {literal(name)}"):
            # Another may have ended by now.
            with suppress(pymysql.MySQLError):
                self._execute(f"KILL {session[0]}")
        rights = [("db", pattern(name)), *((f"{kind}_priv", name) for kind in ("tables", "columns", "procs"))]
        self._execute(
            # A session elsewhere may hold a lock here; by default a day is waited for it.
            f"SET STATEMENT lock_wait_timeout = 10 FOR DROP DATABASE IF EXISTS {quote(name)}",
            *(f"DELETE FROM mysql.{table} WHERE db = {literal(granted)}" for table, granted in rights),
            "FLUSH PRIVILEGES",
        )

    def grant(self, rights: str, name: str, user: Role) -> None:
        """Give a user rights in a whole database, like "SELECT, SHOW VIEW"."""
        self._execute(f"GRANT {rights} ON {quote(pattern(name))}.* TO {quote(user.name)}")

    def settings(self, name: str, user: Role | None = None) -> dict[str, Any]:
        """Return the entry of Django's DATABASES for a database."""
        user = user or self.owner
        return {
            "ENGINE": "django.db.backends.mysql",
            "NAME": name, "USER": user.name, "PASSWORD": user.password, "HOST": self.host, "PORT": str(self.port),
            "OPTIONS": {"charset": "utf8mb4"},
        }  # fmt: skip

    def dump(self, name: str, *args: str) -> str:
        """Return what this server's own mariadb-dump says of a database, the same for the same content."""
        options = ["--skip-dump-date", "--single-transaction", "--routines", "--events", "--triggers", "--hex-blob"]
        return self._client(self.admin, "mariadb-dump", *options, *args, "--", name)

    def digest(self, name: str) -> dict[str, tuple[int, str]]:
        """Return the number of rows and their digest for each table and sequence."""
        with closing(self.connect(database=name)) as connection:
            return mariadb_state.digest(connection, name)

    def state(self, name: str) -> tuple[dict[str, Any], dict[str, tuple[int, str]]]:
        """Return everything: how the database and what it holds are made, and a digest of each table's rows."""
        with closing(self.connect(database=name)) as connection:
            return mariadb_state.definitions(connection, name), mariadb_state.digest(connection, name)

    def _find(self, program: str, elsewhere: str) -> Path:
        """Return the path of a program from the folder that holds all of them."""
        beside = self.bin_dir / program
        return Path(self.bin_dir.name if beside.exists() else elsewhere, program)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(str(self.socket)) == 0

    def _signal(self, how: signal.Signals) -> None:
        assert self._process is not None, "the server does not run"
        self._process.send_signal(how)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._signal(how)
        # It may have been stopped.
        self.thaw()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _execute(self, *statements: str) -> list[Any]:
        """Execute statements and return the rows of the last one."""
        # Every test has a database: a connection of this process takes a part of the time of a client program.
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    def _client(self, user: Role, program: str, *args: str, data: str = "") -> str:
        options = {"user": user.name, "password": user.password, "socket": str(self.socket), "protocol": "socket"}
        options["default-character-set"] = "utf8mb4"
        lines = ["[client]", *(f"{name} = {option(value)}" for name, value in options.items())]
        # One for each call: they come from several threads.
        with tempfile.NamedTemporaryFile("w", dir=self.root, suffix=".cnf", encoding="utf-8") as file:
            file.write("\n".join([*lines, ""]))
            file.flush()
            # As bytes: what is no UTF-8 passes, and the ends of lines stay what they are.
            done = subprocess.run(
                [self.bin_dir / program, f"--defaults-file={file.name}", *args],
                input=data.encode(errors="surrogateescape"), capture_output=True, timeout=TIMEOUT, check=False,
                env=ENVIRONMENT,
            )  # fmt: skip
        if done.returncode:
            raise AssertionError(f"{program} exited with status {done.returncode}: {done.stderr.decode()}")
        return done.stdout.decode(errors="surrogateescape")


@contextmanager
def running(bin_dir: Path | None, requirement: str) -> Iterator[MariaDB]:
    """Start a server and remove it at the end."""
    assert bin_dir is not None, f'mark the test with requires("{requirement}")'
    server = MariaDB(bin_dir)
    try:
        server.start()
        yield server
    finally:
        server.stop()
