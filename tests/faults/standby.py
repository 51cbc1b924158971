"""A hot standby of a cluster, which follows it and never waits for who reads."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.account import ENVIRONMENT, Account, free_port
from tests.servers.postgresql import Cluster, Role, literal, quote

TIMEOUT = 30
REPLICA = Role("replica", "follows")

CONFIGURATION = """
port = {port}
unix_socket_directories = '{root}/s'
primary_conninfo = 'host=127.0.0.1 port={primary} user={user} password={password}'
max_standby_streaming_delay = 0
hot_standby_feedback = off
wal_receiver_status_interval = 1
"""


class Standby(Cluster):
    """A server that copies ``primary``, with the same roles and databases."""

    def __init__(self, primary: Cluster) -> None:
        super().__init__(primary.bin_dir)
        self.primary = primary

    def start(self) -> None:
        """Copy the primary and start to follow it."""
        self.root = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        self.root.chmod(0o755)
        self.socket_dir = self.root / "s"
        self.socket_dir.mkdir()
        account = Account("postgres")
        account.give(self.root, self.socket_dir)
        self._allow()
        self._copy(account)
        self.port = free_port()
        with (self.root / "data/postgresql.conf").open("a") as file:
            content = {"port": self.port, "root": self.root, "primary": self.primary.port}
            file.write(CONFIGURATION.format(**content, user=REPLICA.name, password=REPLICA.password))
        self._server = [*account.command, self.bin_dir / "postgres", "-D", self.root / "data"]
        self.restart()

    def catch_up(self) -> None:
        """Wait until everything that the primary has written is here."""
        self._wait("pg_last_wal_replay_lsn()")

    def meet_conflict(self) -> None:
        """Wait until what the primary has written is here, or held up by somebody who reads."""
        self._wait("pg_last_wal_receive_lsn()")
        before, now = "", self.psql("SELECT pg_last_wal_replay_lsn()")
        while now != before:
            time.sleep(0.5)
            before, now = now, self.psql("SELECT pg_last_wal_replay_lsn()")

    def _wait(self, position: str) -> None:
        written = self.primary.psql("SELECT pg_current_wal_flush_lsn()")
        deadline = time.monotonic() + TIMEOUT
        while self.psql(f"SELECT {position} >= '{written}'") != "t":
            assert time.monotonic() < deadline, (self.root / "log").read_text()
            time.sleep(0.05)

    def _allow(self) -> None:
        rights = f"REPLICATION LOGIN PASSWORD {literal(REPLICA.password)}"
        self.primary.psql(f"CREATE ROLE {quote(REPLICA.name)} {rights}")
        with (self.primary.root / "data/pg_hba.conf").open("a") as file:
            file.write(f"host replication {REPLICA.name} 127.0.0.1/32 scram-sha-256\n")
        self.primary.psql("SELECT pg_reload_conf()")

    def _copy(self, account: Account) -> None:
        login: list[str | Path] = ["-h", self.host, "-p", str(self.primary.port), "-U", REPLICA.name]
        options: list[str | Path] = [
            "-D",
            self.root / "data",
            "--checkpoint=fast",
            "--no-sync",
            "--write-recovery-conf",
        ]
        subprocess.run(
            [*account.command, self.bin_dir / "pg_basebackup", *login, *options],
            env={**ENVIRONMENT, "PGPASSWORD": REPLICA.password}, cwd=self.root, check=True, timeout=TIMEOUT,
        )  # fmt: skip


@contextmanager
def following(primary: Cluster) -> Iterator[Standby]:
    """Start a standby and remove it at the end."""
    standby = Standby(primary)
    try:
        standby.start()
        yield standby
    finally:
        assert os.getpid() == standby._made_by
        standby.crash()
        shutil.rmtree(standby.root, ignore_errors=True)
