"""Any rows in any tables come back, to the bit, through SqliteConnector and through the stock program."""

from __future__ import annotations

import io
import sqlite3
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbbackup.db.sqlite import SqliteConnector
from tests.db.conftest import MakeDatabase
from tests.db.sqlite_state import quoted, state
from tests.requirements import requires

NAMES = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\0") | st.sampled_from("\"'`[];-\n "),
    min_size=1,
    max_size=8,
).filter(lambda name: not name.lower().startswith("sqlite_"))
TEXTS = st.text(st.characters(blacklist_categories=["Cs"]) | st.sampled_from("';\0\n\")")) | st.just("');\n")
VALUES = (
    st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.sampled_from([0.0, -0.0, 1.0, 1e15, 2.0**53, 0.1, 1 / 3])
    | TEXTS
    | st.binary(max_size=50)
)
TYPES = st.sampled_from(["", "INTEGER", "TEXT", "REAL", "NUMERIC", "BLOB", "decimal", "datetime", "varchar(10)"])


@st.composite
def tables(draw: st.DrawFn) -> dict[str, Any]:
    folded = lambda names: len({name.lower() for name in names}) == len(names)  # noqa: E731
    columns = draw(st.lists(NAMES, min_size=1, max_size=4).filter(folded))
    types = draw(st.lists(TYPES, min_size=len(columns), max_size=len(columns)))
    rows = draw(st.lists(st.tuples(*[VALUES] * len(columns)), max_size=6))
    rowids = draw(st.lists(st.integers(-(2**63), 2**63 - 2), min_size=len(rows), max_size=len(rows), unique=True))
    return {"columns": columns, "types": types, "rows": rows, "rowids": rowids}


def _make(path: Path, content: dict[str, dict[str, Any]]) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 7")
        for name, table in content.items():
            columns = [quoted(column) for column in table["columns"]]
            described = zip(columns, table["types"], strict=True)
            connection.execute(f"CREATE TABLE {quoted(name)}({', '.join(' '.join(pair) for pair in described)})")
            taken = {column.lower() for column in table["columns"]}
            rowid = next(alias for alias in ("rowid", "_rowid_", "oid", None) if alias not in taken)
            names = ", ".join([rowid, *columns] if rowid else columns)
            for key, row in zip(table["rowids"], table["rows"], strict=True):
                values = (key, *row) if rowid else row
                marks = ", ".join("?" * len(values))
                connection.execute(f"INSERT INTO {quoted(name)}({names}) VALUES({marks})", values)
        connection.commit()


CONTENT = st.dictionaries(NAMES, tables(), min_size=1, max_size=3).filter(
    lambda content: len({name.lower() for name in content}) == len(content)
)


@requires("sqlite3")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=CONTENT, old=CONTENT)
def test_any_rows_in_any_tables_come_back(make_database: MakeDatabase, content: Any, old: Any):
    with tempfile.TemporaryDirectory() as folder:
        source = make_database(setting=Path(folder) / "source")
        target = make_database(setting=Path(folder) / "target")
        _make(Path(folder) / "source", content)
        _make(Path(folder) / "target", old)
        before = state(Path(folder) / "source")
        dump = source.dump(SqliteConnector)
        target.connector(SqliteConnector, EXACT=True).restore_dump(io.BytesIO(dump))
        assert state(Path(folder) / "target") == before
        by_hand = Path(folder) / "by-hand"
        subprocess.run(["sqlite3", "-bail", by_hand], input=dump, check=True)
        assert state(by_hand) == before
