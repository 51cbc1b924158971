"""A MongoDB server for one test run: real, on a free port, in a folder of its own, gone afterwards."""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGCONT, SIGSTOP, Signals
from typing import Any

from pymongo import MongoClient

from tests.mongodb_engine import ENGINE
from tests.servers import certificates, mongodb_state
from tests.servers.account import ENVIRONMENT, free_port
from tests.servers.initdb import Role

CERT_USER = "certuser"
MEMORY = Path("/dev/shm")
ROOM = 4 * 1024**3
PREFIX = "dbbackupmongodb-"

# A document that has expired is still content: what is compared must not change by itself.
CONFIGURATION = "[storage]\nttl_sweep_seconds = 0\n"


@dataclass(frozen=True)
class User(Role):
    """A login, and the database that knows it."""

    source: str = "admin"


class MongoDB:
    """A server that the interpreter ``python`` can run."""

    host = "127.0.0.1"
    # Every character that some file, address or shell treats in its own way. The server does not know names with
    # "=" or ",", which SCRAM escapes.
    admin = User(""" it's "the" \\ boss: #1 %41 @home/ü€ """, """ it's "the" \\ boss: #1 %41, @home/ü€= """)
    owner = User("öwn'er of: `$(x)` #100%@?&", """ öwn'er "of" C:\\new\\data = ${HOME}; #100%@?&€: `'[,]` """)
    reader = User("reader", "may look \\ only")
    local = User("local: @home/", "the user of: a@database/%2F", source="accounts-ü")

    _any = ("readWriteAnyDatabase", "dbAdminAnyDatabase")
    _roles = ((admin, ("root",)), (owner, _any), (reader, ("readAnyDatabase",)), (local, _any))

    def __init__(self, python: Path) -> None:
        self.python = python
        self._process: subprocess.Popen[bytes] | None = None
        self._made_by = os.getpid()

    def start(self) -> None:
        """Make the folder and the users, and start the server."""
        self.root = _new_folder()
        atexit.register(self.stop)
        certificates.write(self.root, CERT_USER)
        self.ca_file = self.root / "ca.crt"
        # The driver and the tools want both in one file.
        self.client_pem = self.root / "client.pem"
        self.client_pem.touch(0o600)
        self.client_pem.write_bytes((self.root / "client.crt").read_bytes() + (self.root / "client.key").read_bytes())
        configuration = self.root / "secantusd.toml"
        configuration.write_text(CONFIGURATION)
        # A test run that is killed cannot end its servers; the kernel does it then.
        tied = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        self.port = free_port()
        self._server: list[str | Path] = [
            # Isolated: what the caller's environment says of Python is for the caller's.
            *tied, self.python, "-I", "-m", "secantus", f"--config={configuration}", f"--host={self.host}",
            f"--port={self.port}", f"--storage-path={self.root / 'data'}", "--log-level=WARNING",
            # What a test wrote outlives a crash.
            "--sync-on-commit",
            # Whoever asks for the newest change of the whole server reads all of them.
            "--oplog-max-entries=5000",
        ]  # fmt: skip
        self._run()
        with MongoClient[dict[str, Any]](self.host, self.port) as client:
            for user, roles in self._roles:
                granted = [{"role": role, "db": "admin"} for role in roles]
                client[user.source].command("createUser", user.name, pwd=user.password, roles=granted)
        self.restart()

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
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

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
        self._signal(SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(SIGCONT)

    def restart(self, *options: str) -> None:
        """End the server if it runs, and start it with these options and the usual ones."""
        # Not in an orderly way, which takes it two seconds and would keep nothing more.
        self.crash()
        self._run("--auth", *options)

    @contextmanager
    def tls(self, *, client_certificates: bool = False) -> Iterator[dict[str, Any]]:
        """Restart the server with TLS, and without it at the end; return the options that a client then needs.

        Under ``client_certificates`` it refuses a client that has none.
        """
        files = {"cert": self.root / "server.crt", "key": self.root / "server.key", "ca": self.ca_file}
        required = ["--tls-require-client-cert"] if client_certificates else []
        try:
            self.restart(*(f"--tls-{kind}-file={path}" for kind, path in files.items()), *required)
            found = self._tls_options() if client_certificates else {"tls": True, "tlsCAFile": str(self.ca_file)}
            yield found
        finally:
            self.restart()

    def client(self, user: User | None = None, **options: Any) -> MongoClient[dict[str, Any]]:
        """Return a client of this process, by default the admin's, which the caller closes."""
        user = user or self.admin
        login = {"username": user.name, "password": user.password, "authSource": user.source}
        tls = self._tls_options() if self._speaks_tls else {}
        options = {**login, "serverSelectionTimeoutMS": 10_000, **tls, **options}
        return MongoClient(self.host, self.port, **options)

    def drop_database(self, name: str) -> None:
        """Remove a database and its users if it is there."""
        with self.client() as client:
            client[name].command("dropAllUsersFromDatabase")
            client.drop_database(name)

    def settings(self, name: str, user: User | None = None) -> dict[str, Any]:
        """Return the entry of Django's DATABASES for a database."""
        user = user or self.owner
        return {
            "ENGINE": ENGINE,
            "NAME": name, "USER": user.name, "PASSWORD": user.password, "HOST": self.host, "PORT": str(self.port),
            "OPTIONS": {"authSource": user.source},
        }  # fmt: skip

    def sessions(self, user: User) -> int:
        """Return how many connections have logged in as a user."""
        with self.client() as client:
            # "$all": those that do nothing at the moment as well.
            operations = client.admin.command("currentOp", {"$all": True})["inprog"]
        # The server divides the name and the database at the first "@", wherever that is.
        logins = [f"{login['user']}@{login['db']}" for found in operations for login in found.get("effectiveUsers", ())]
        return logins.count(f"{user.name}@{user.source}")

    def state(self, name: str) -> dict[str, dict[str, Any]]:
        """Return everything: how each collection is made, and a digest of its documents."""
        with self.client() as client:
            return mongodb_state.state(client[name])

    def _tls_options(self) -> dict[str, Any]:
        return {"tls": True, "tlsCAFile": str(self.ca_file), "tlsCertificateKeyFile": str(self.client_pem)}

    def _run(self, *options: str) -> None:
        self._speaks_tls = any(option.startswith("--tls") for option in options)
        with (self.root / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._server, *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.root, env=ENVIRONMENT,
                # A Ctrl+C in the terminal is for the tests, which then end the server.
                start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + 60
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError((self.root / "log").read_text())
            time.sleep(0.01)

    def _listens(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex((self.host, self.port)) == 0

    def _signal(self, how: Signals) -> None:
        assert self._process is not None, "the server does not run"
        self._process.send_signal(how)


def _new_folder() -> Path:
    """Return a folder for a server of this process, in memory where there is room: a test waits for every commit."""
    in_memory = MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= ROOM
    parent = MEMORY if in_memory else Path(tempfile.gettempdir())
    for folder in parent.glob(f"{PREFIX}*"):
        # What a test run left that was killed.
        with suppress(ValueError, OSError):
            if not Path("/proc", str(int(folder.name.split("-")[1]))).exists():
                shutil.rmtree(folder)
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=parent))


@contextmanager
def running(python: Path | None, requirement: str) -> Iterator[MongoDB]:
    """Start a server and remove it at the end."""
    assert python is not None, f'mark the test with requires("{requirement}")'
    server = MongoDB(python)
    try:
        server.start()
        yield server
    finally:
        server.stop()
