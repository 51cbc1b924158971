"""The files of a new MariaDB server: its settings, which make tests fast, and who may log in."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.servers.account import ENVIRONMENT, Account, addresses
from tests.servers.initdb import Role

CERT_USER = "certuser"

# At each commit the log is written but not synchronized: what is lost is lost with the machine, not with the server.
CONFIGURATION = """
[mariadbd]
basedir = {basedir}
datadir = {root}/data
tmpdir = {root}/t
socket = {root}/s/s
pid_file = {root}/data/pid
bind_address = {addresses}
skip_name_resolve
ssl_ca = {root}/ca.crt
ssl_cert = {root}/server.crt
ssl_key = {root}/server.key
character_set_server = utf8mb4
event_scheduler = ON
performance_schema = OFF
sync_frm = OFF
innodb_flush_log_at_trx_commit = 2
innodb_doublewrite = OFF
innodb_log_file_size = 16M
innodb_buffer_pool_size = 128M
innodb_use_native_aio = OFF
"""


def initialize(account: Account, basedir: Path, script: Path, root: Path) -> None:
    """Write the settings and fill the folder ``data`` of ``root``; root may log in at the socket, nobody else."""
    (root / "my.cnf").write_text(CONFIGURATION.format(basedir=basedir, root=root, addresses=",".join(addresses())))
    account.give(root / "my.cnf")
    options = ["--auth-root-authentication-method=normal", "--skip-test-db"]
    subprocess.run(
        [*account.command, script, f"--defaults-file={root}/my.cnf", *options],
        cwd=root, env=ENVIRONMENT, stdout=subprocess.DEVNULL, check=True,
    )  # fmt: skip


def users(admin: Role, *ordinary: Role) -> list[str]:
    """Return the statements that make the users and remove those of the installation."""
    statements = [f"CREATE USER {literal(role.name)} IDENTIFIED BY {literal(role.password)}" for role in ordinary]
    return [
        f"GRANT ALL ON *.* TO {literal(admin.name)} IDENTIFIED BY {literal(admin.password)} WITH GRANT OPTION",
        *statements,
        f"CREATE USER {CERT_USER} REQUIRE SUBJECT '/CN={CERT_USER}'",
        # Last, as they are what this session's rights are.
        "DELETE FROM mysql.global_priv WHERE user IN ('root', '')",
        "DELETE FROM mysql.proxies_priv",
        "FLUSH PRIVILEGES",
    ]


def quote(name: str) -> str:
    """Return a name as SQL writes it."""
    return "`" + name.replace("`", "``") + "`"


def literal(text: str) -> str:
    """Return a text as SQL writes it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def pattern(name: str) -> str:
    """Return a database as rights name it, where some characters stand for others."""
    return name.replace("\\", "\\\\").replace("_", "\\_").replace("%", "\\%")


def option(text: str) -> str:
    """Return a value as files of options write it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
