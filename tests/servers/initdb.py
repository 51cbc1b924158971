"""The files of a new PostgreSQL cluster: who may log in how, and settings that make tests fast."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.servers.account import ENVIRONMENT, Account, addresses

CERT_USER = "certuser"

CONFIGURATION = """
listen_addresses = '{addresses}'
port = {port}
unix_socket_directories = '{root}/s'
ssl = on
ssl_ca_file = '{root}/ca.crt'
ssl_cert_file = '{root}/server.crt'
ssl_key_file = '{root}/server.key'
password_encryption = 'scram-sha-256'
fsync = off
full_page_writes = off
"""

AUTHENTICATION = f"""
hostssl all {CERT_USER} all          cert
local   all all                      scram-sha-256
host    all all         127.0.0.1/32 scram-sha-256
host    all all         ::1/128      scram-sha-256
"""


@dataclass(frozen=True)
class Role:
    """A login."""

    name: str
    password: str


def initialize(account: Account, bin_dir: Path, root: Path, port: int, admin: Role) -> None:
    """Fill the folder ``data`` of ``root``."""
    data = root / "data"
    password = root / "password"
    password.touch(0o600)
    password.write_text(admin.password, encoding="utf-8")
    account.give(password)
    options = ["--encoding=UTF8", "--locale=C.UTF-8", "--auth=scram-sha-256", "--no-sync", "--no-instructions"]
    initdb: list[str | Path] = [bin_dir / "initdb", "-D", data, "-U", admin.name, "--pwfile", password, *options]
    subprocess.run([*account.command, *initdb], cwd=root, env=ENVIRONMENT, stdout=subprocess.DEVNULL, check=True)
    password.unlink()
    with (data / "postgresql.conf").open("a") as file:
        file.write(CONFIGURATION.format(addresses=",".join(addresses()), port=port, root=root))
    (data / "pg_hba.conf").write_text(AUTHENTICATION)
