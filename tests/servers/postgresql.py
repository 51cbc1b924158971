"""A PostgreSQL server for one test run: real, on a free port, in a folder of its own, gone afterwards."""

from __future__ import annotations

import atexit
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from tests.servers import certificates, initdb
from tests.servers.account import ENVIRONMENT, Account, free_port
from tests.servers.initdb import CERT_USER, Role

__all__ = ["CERT_USER", "Cluster", "Role", "literal", "quote", "running"]

TIMEOUT = 300
DIGEST = Path(__file__).with_name("digest.sql")


class Cluster:
    """A server from the programs in ``bin_dir``."""

    host = "127.0.0.1"
    # Every character that some file, address or shell treats in its own way.
    admin = Role("admin", """ it's "the" \\ boss: #1 %41 @home/ü€ """)
    owner = Role("owner", """öwn'er "of" C:\\data = ${HOME}; 100%@#?&: """)
    other = Role("other", "no friend of: the 'owner'")
    readonly = Role("readonly", "may look \\ only")

    def __init__(self, bin_dir: Path) -> None:
        self.bin_dir = bin_dir
        printed = subprocess.run([bin_dir / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
        self.version = int(re.findall(r"\d+", printed)[0])
        self._process: subprocess.Popen[bytes] | None = None
        self._made_by = os.getpid()

    def start(self) -> None:
        """Make the cluster and its roles, and start the server."""
        # Directly in /tmp: the path of a socket is at most 107 bytes long.
        self.root = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        atexit.register(self.stop)
        self.root.chmod(0o755)
        self.socket_dir = self.root / "s"
        self.ca_file = self.root / "ca.crt"
        self.client_cert = self.root / "client.crt"
        self.client_key = self.root / "client.key"
        data = self.root / "data"
        certificates.write(self.root, CERT_USER)
        for folder in (self.socket_dir, data):
            folder.mkdir()
        account = Account("postgres")
        # The certificates as well: a strict umask would keep them from the server.
        account.give(self.socket_dir, data, self.ca_file, self.root / "server.crt", self.root / "server.key")
        bin_dir = account.reachable(self.bin_dir, self.root)
        self._server: list[str | Path] = [*account.command, bin_dir / "postgres", "-D", data]
        self.port = free_port()
        initdb.initialize(account, bin_dir, self.root, self.port, self.admin)
        self.restart()
        for role, right in [(self.owner, "CREATEDB"), (self.other, ""), (self.readonly, "")]:
            self.psql(f"CREATE ROLE {quote(role.name)} LOGIN {right} PASSWORD {literal(role.password)}")
        self.psql(f"CREATE ROLE {CERT_USER} LOGIN")

    def stop(self) -> None:
        """End the server and remove everything it had."""
        # A forked child inherits what is to be done at exit, but the server is not its own.
        if os.getpid() != self._made_by:
            return
        atexit.unregister(self.stop)
        self.crash()
        shutil.rmtree(self.root, ignore_errors=True)

    def crash(self) -> None:
        """End the server as ``pg_ctl stop -m immediate`` does: the next start has to recover."""
        self._end(signal.SIGQUIT)

    def restart(self) -> None:
        """Start the server; end it first in an orderly way if it runs."""
        self._end(signal.SIGINT)
        with (self.root / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._server, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.root, env=ENVIRONMENT,
                # A Ctrl+C in the terminal is for the tests, which then end the server.
                start_new_session=True,
            )  # fmt: skip
        ready: list[str | Path] = [self.bin_dir / "pg_isready", "-q", "-h", self.socket_dir, "-p", str(self.port)]
        deadline = time.monotonic() + 60
        while subprocess.run(ready, check=False, env=ENVIRONMENT).returncode:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError((self.root / "log").read_text())
            time.sleep(0.02)

    def psql(self, sql: str, database: str = "postgres", role: Role | None = None) -> str:
        """Run a script and return what it prints: a line for each row, columns divided by ``|``."""
        options = ["-XAtqw", "-v", "ON_ERROR_STOP=1"]
        return self._client(database, role or self.admin, "psql", *options, data=sql).removesuffix("\n")

    def create_database(self, name: str, owner: Role | None = None) -> None:
        """Create an empty database, of the role ``owner`` unless told otherwise."""
        self._execute(f"CREATE DATABASE {quote(name)} OWNER {quote((owner or self.owner).name)} TEMPLATE template0")

    def drop_database(self, name: str) -> None:
        """Remove a database if it is there, whoever is connected to it."""
        self._execute(f"DROP DATABASE IF EXISTS {quote(name)} WITH (FORCE)")

    def settings(self, name: str, role: Role | None = None) -> dict[str, Any]:
        """Return the entry of Django's DATABASES for a database; without TLS, which doubles the time to connect."""
        role = role or self.owner
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": name, "USER": role.name, "PASSWORD": role.password, "HOST": self.host, "PORT": str(self.port),
            "OPTIONS": {"sslmode": "disable"},
        }  # fmt: skip

    def dump(self, name: str, *args: str) -> str:
        """Return what this server's own pg_dump says of a database, the same for the same content."""
        printed = self._client(name, self.admin, "pg_dump", "--no-password", *args)
        # A key drawn at random for each dump.
        return re.sub(r"^\\(un)?restrict .*\n", "", printed, flags=re.MULTILINE)

    def digest(self, name: str) -> dict[str, tuple[int, str]]:
        """Return the number of rows and their MD5 for each table and materialized view that is no extension's."""
        rows = [json.loads(line) for line in self.psql(DIGEST.read_text(), name).split("\n") if line]
        return {table: (count, md5) for table, count, md5 in rows}

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _execute(self, sql: str) -> None:
        # Every test has a database: a connection of this process takes a third of the time of a psql.
        with psycopg.connect(
            host=str(self.socket_dir), port=self.port, dbname="postgres", autocommit=True,
            user=self.admin.name, password=self.admin.password,
            # A test may have set PGOPTIONS.
            options="-c client_min_messages=warning",
        ) as connection:  # fmt: skip
            connection.execute(sql.encode())

    def _client(self, database: str, role: Role, program: str, *args: str, data: str = "") -> str:
        # The database as a variable: an argument with "=" in it would be taken for a connection string.
        login = {"PGHOST": str(self.socket_dir), "PGPORT": str(self.port), "PGDATABASE": database}
        secret = {"PGUSER": role.name, "PGPASSWORD": role.password, "PGCLIENTENCODING": "UTF8"}
        done = subprocess.run(
            [self.bin_dir / program, *args],
            input=data, capture_output=True, encoding="utf-8", timeout=TIMEOUT, check=False,
            env={**ENVIRONMENT, **login, **secret},
        )  # fmt: skip
        if done.returncode:
            raise AssertionError(f"{program} exited with status {done.returncode}: {done.stderr}")
        return done.stdout


@contextmanager
def running(bin_dir: Path | None, requirement: str) -> Iterator[Cluster]:
    """Start a server and remove it at the end."""
    assert bin_dir is not None, f'mark the test with requires("{requirement}")'
    cluster = Cluster(bin_dir)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def quote(name: str) -> str:
    """Return a name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"
