"""PyMySQL in the place of MySQLdb, which Django's engine imports: pure Python, so the tests need no compiler."""

from __future__ import annotations

from typing import Any

import pymysql


def install() -> None:
    """Have Django's engine find PyMySQL."""
    pymysql.connect = connect
    pymysql.install_as_MySQLdb()


def connect(*args: Any, **options: Any) -> pymysql.Connection:
    """Connect with a password of any characters: PyMySQL encodes it as Latin-1, servers compare UTF-8."""
    if isinstance(password := options.get("password"), str):
        options["password"] = password.encode()
    return pymysql.Connection(*args, **options)
