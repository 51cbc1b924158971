"""What a MariaDB database holds, to compare it before and after: a digest of every row, and how everything is made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pymysql

from tests.servers.mariadb_install import literal, quote

# Columns that SHOW CREATE prints besides the statement, and which a copy need not share.
_TIMES = {"Created", "Last_Altered"}


def digest(connection: pymysql.Connection, database: str) -> dict[str, tuple[int, str]]:
    """Return the number of rows and a sum of their MD5 for each table and sequence, in whatever order they are."""
    # What a timestamp shows depends on the session.
    _ask(connection, "SET time_zone = '+00:00'")
    return {table: _digest(connection, database, table, kind) for table, kind in _tables(connection, database)}


def definitions(connection: pymysql.Connection, database: str) -> dict[str, Any]:
    """Return the statements, with the settings they depend on, that make the database and everything in it."""
    here = literal(database)
    triggers = _ask(
        connection,
        "SELECT event_object_table, event_manipulation, action_timing, action_order, trigger_name"
        f" FROM information_schema.triggers WHERE trigger_schema = {here} ORDER BY 1, 2, 3, 4",
    )
    made: dict[str, Any] = {"DATABASE": _show(connection, "DATABASE", quote(database)), "TRIGGERS": triggers}
    for kind, name in [
        *((kind, name) for name, kind in _tables(connection, database)),
        *_ask(connection, f"SELECT 'VIEW', table_name FROM information_schema.views WHERE table_schema = {here}"),
        *(("TRIGGER", trigger[-1]) for trigger in triggers),
        *_ask(
            connection,
            f"SELECT routine_type, routine_name FROM information_schema.routines WHERE routine_schema = {here}",
        ),
        *_ask(connection, f"SELECT 'EVENT', event_name FROM information_schema.events WHERE event_schema = {here}"),
    ]:
        shown = "TABLE" if kind in {"BASE TABLE", "SYSTEM VERSIONED"} else kind
        made[f"{shown} {name}"] = _show(connection, shown, f"{quote(database)}.{quote(name)}")
    return made


def _tables(connection: pymysql.Connection, database: str) -> list[tuple[str, str]]:
    return _ask(
        connection,
        "SELECT table_name, table_type FROM information_schema.tables"
        f" WHERE table_schema = {literal(database)} AND table_type <> 'VIEW' ORDER BY table_name",
    )


def _digest(connection: pymysql.Connection, database: str, table: str, kind: str) -> tuple[int, str]:
    columns = _ask(
        connection,
        "SELECT column_name, data_type FROM information_schema.columns"
        f" WHERE table_schema = {literal(database)} AND table_name = {literal(table)} ORDER BY ordinal_position",
    )
    row = "MD5(CONCAT_WS(',', " + ", ".join(_expressions(columns)) + "))"
    halves = ", ".join(f"SUM(CAST(CONV(SUBSTR(h, {start}, 16), 16, 10) AS DECIMAL(60)))" for start in (1, 17))
    history = " FOR SYSTEM_TIME ALL" if kind == "SYSTEM VERSIONED" else ""
    source = f"{quote(database)}.{quote(table)}{history}"
    [(count, *sums)] = _ask(connection, f"SELECT COUNT(*), {halves} FROM (SELECT {row} AS h FROM {source}) AS hashed")
    return count, "-".join(f"{int(number or 0):x}" for number in sums)


def _expressions(columns: list[tuple[str, str]]) -> Iterator[str]:
    for name, kind in columns:
        column = quote(name)
        # As text a float has six digits, fewer than it holds.
        text = f"CAST({column} AS DOUBLE)" if kind == "float" else column
        yield f"IFNULL(MD5({text}), '')"
        if kind in {"enum", "set"}:
            # The empty text may stand for two values.
            yield f"IFNULL({column} + 0, '')"


def _show(connection: pymysql.Connection, kind: str, name: str) -> dict[str, Any]:
    with connection.cursor(pymysql.cursors.DictCursor) as cursor:
        cursor.execute(f"SHOW CREATE {kind} {name}")
        return {column: value for column, value in (cursor.fetchone() or {}).items() if column not in _TIMES}


def _ask(connection: pymysql.Connection, sql: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())
