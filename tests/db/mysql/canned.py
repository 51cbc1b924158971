"""A MySQL server that does not exist: its client's answers to everything that a backup and a restore ask."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.db.mysql.fake_tools import FakeTools, write_tools

PASSWORD = """ it's "my" \\ #1 %ü€ """
TABLE = "table\tt\tBASE TABLE\tInnoDB\t\t2026-01-02 03:04:05\t16384\n"
STATIC = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, LOCK TABLES, EXECUTE, CREATE VIEW, SHOW VIEW"
STATIC += ", CREATE ROUTINE, ALTER ROUTINE, EVENT, TRIGGER"

# The client of the stand-ins reads to its end before it answers, but this lock is held for as long as its input lasts.
_HOLDS_LOCKS = """#!/bin/bash
if [ "$1" = --no-defaults ]; then exec {client} "$@"; fi
IFS= read -r line
case "$line" in *31536000*) IFS= read -r line; echo 1; {cat} > /dev/null; exit;; esac
exec {client} "$@" < <(printf '%s\\n' "$line"; {cat})
"""


def server(version: str = "8.0.36", comment: str = "MySQL Community Server - GPL", **more: str) -> dict[str, str]:
    """Return the answers of a server with one table; ``more`` are others, by the beginning of the question."""
    return {
        "'server', VERSION": f"server\t{version}\t{comment}\towner@%\t67108864\t0\t0\t18446744073709551615\t0\tshop\n",
        "'engine', ENGINE": "engine\tInnoDB\n",
        "'table', TABLE_NAME": TABLE,
        "SHOW GRANTS": f"GRANT {STATIC} ON *.* TO `owner`@`%`\nGRANT SHOW_ROUTINE ON *.* TO `owner`@`%`\n",
        "'Ssl_cipher'": "Ssl_cipher\tTLS_AES_256_GCM_SHA384\n",
        "SELECT COLLATION_NAME FROM": "utf8mb4_0900_ai_ci\nutf8mb4_bin\n",
        r"SELECT COUNT\(\*\) FROM `t`": "1\n",
        **more,
    }


def programs(folder: Path, version: str = "8.0.36", answers: Mapping[str, str] | None = None) -> FakeTools:
    """Write the programs of a version, whose client stands for a server, into folders of ``folder``."""
    tools = write_tools(folder / "programs", version, answers=server() if answers is None else answers)
    front = folder / "front"
    front.mkdir()
    (front / "mysql").write_text(_HOLDS_LOCKS.format(client=shlex.quote(str(tools.client)), cat=shutil.which("cat")))
    (front / "mysql").chmod(0o755)
    (front / "mysqldump").symlink_to(tools.dump)
    # Its settings lie beside it, whichever way it is called.
    (front / "mysqldump.json").symlink_to(tools.dump.with_name("mysqldump.json"))
    return tools


def settings(folder: Path, **more: Any) -> dict[str, Any]:
    """Return the entry of DATABASES for that server, whose programs are on the PATH alone."""
    return {
        "ENGINE": "django.db.backends.mysql",
        "NAME": "shop", "USER": "owner", "PASSWORD": PASSWORD, "HOST": "db.invalid", "PORT": "3307",
        "OPTIONS": {"charset": "utf8mb4"},
        "ENV": {"PATH": f"{folder / 'front'}:/usr/bin-of-nobody"},
        **more,
    }  # fmt: skip
