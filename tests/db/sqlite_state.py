"""Everything that can be seen of a SQLite database, to compare two of them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def state(path: Path | str, *, uri: bool = False) -> dict[str, Any]:
    """Return schema, rows with their types, bits and rowids, sequences, statistics and pragmas."""
    with closing(sqlite3.connect(path, uri=uri)) as connection:
        return state_of(connection)


def state_of(connection: sqlite3.Connection) -> dict[str, Any]:
    connection.text_factory = bytes
    try:
        return _state_of(connection)
    finally:
        connection.text_factory = str


def _state_of(connection: sqlite3.Connection) -> dict[str, Any]:
    schema = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name").fetchall()
    pragmas = ("user_version", "application_id", "encoding")
    return {
        "schema": schema,
        **{pragma: connection.execute(f"PRAGMA {pragma}").fetchone() for pragma in pragmas},
        "rows": {
            name: _rows(connection, name.decode())
            for kind, name, _, sql in schema
            if kind == b"table" and not sql[:20].upper().startswith(b"CREATE VIRTUAL TABLE")
        },
        "integrity": connection.execute("PRAGMA integrity_check").fetchall(),
    }


def _rows(connection: sqlite3.Connection, table: str) -> list[tuple[Any, ...]]:
    columns = [column[1].decode() for column in connection.execute(f"PRAGMA table_xinfo({quoted(table)})")]
    taken = {column.lower() for column in columns}
    rowid = next((name for name in ("rowid", "_rowid_", "oid") if name not in taken), None)
    # The + hides the declared type, for which Django's own connection has converters.
    seen = [f"typeof({quoted(column)}), +{quoted(column)}" for column in columns]
    order = ", ".join(str(number) for number in range(1, 1 + 2 * len(columns)))
    without_rowid = connection.execute("SELECT wr FROM pragma_table_list(?)", [table]).fetchone()[0]
    # The rowids of SQLite's own tables mean nothing.
    if rowid is None or without_rowid or table.startswith("sqlite_"):
        found = connection.execute(f"SELECT {', '.join(seen)} FROM {quoted(table)} ORDER BY {order}").fetchall()
    else:
        found = connection.execute(f"SELECT {rowid}, {', '.join(seen)} FROM {quoted(table)} ORDER BY 1").fetchall()
    return [tuple(_bits(value) for value in row) for row in found]


def _bits(value: object) -> object:
    # Tells 0.0 from -0.0, as no comparison does.
    return value.hex() if isinstance(value, float) else value
