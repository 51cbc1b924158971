"""A SQLite database as SQL that the stock sqlite3 program and SqliteConnector load to the same bits."""

# ruff: noqa: S608 (every name and text that comes into SQL here is quoted)

from __future__ import annotations

import logging
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from dbbackup.db.exceptions import DumpError
from dbbackup.db.sqlite_connection import SqliteDatabase
from dbbackup.db.sqlite_integrity import IntegrityCheck
from dbbackup.db.sqlite_schema import (
    TABLE_LIST_VERSION,
    SchemaObject,
    find_tables,
    fold,
    quoted,
    schema_objects,
)
from dbbackup.db.sqlite_values import InsertWriter
from dbbackup.streams import StreamReader

logger = logging.getLogger("dbbackup")

HEADER = "-- DBBackup SQLite dump, format 1\n"
TRAILER = "-- DBBackup dump complete\n"
_CHUNK_SIZE = 256 * 1024
_STATEMENT_SIZE = 64 * 1024
_STATEMENT_ROWS = 500
"""Loading gains nothing from longer statements, and memory grows with them."""
_STATEMENT_VALUES = 10_000
# Declared types whose values are small; the memory that a batch of others takes is counted.
_NARROW_TYPE = re.compile("INT|REAL|FLOA|DOUB|DEC|NUM|BOOL|DATE|TIME", re.IGNORECASE)
_NAMES_PER_STATEMENT = 100
_MODULE = re.compile(r"\bUSING\s+\W?(\w+)", re.IGNORECASE)
# They show what is elsewhere in the database.
_VIEWING_MODULES = {"dbstat", "fts3aux", "fts4aux", "fts5vocab"}


class SqlDump:
    """The statements that make a database again, from a connection to a snapshot of it."""

    def __init__(self, connection: sqlite3.Connection, exclude: Sequence[str], where: str) -> None:
        if sqlite3.sqlite_version_info < TABLE_LIST_VERSION:
            raise DumpError(
                f"SqliteConnector needs SQLite 3.37 or newer, this is {sqlite3.sqlite_version}. "
                "Use dbbackup.db.sqlite.SqliteBackupConnector."
            )
        self._connection = connection
        self._objects = schema_objects(connection)
        self._excluded = {table.name for table in find_tables(self._objects, exclude, where)}
        self._encoding = self._pragma("encoding")

    def statements(self) -> Iterator[bytes]:
        """Yield the dump, all but its trailer."""
        yield HEADER.encode()
        yield from self._prelude()
        for table in self._of("table"):
            yield self._create(table)
            if not self._is_excluded(table):
                yield from self._rows(table)
        for table in self._of("virtual"):
            self._check_module(table)
            yield self._create(table)
        # The CREATE of a virtual table made its shadows, with first rows of their own. Their rows are all that
        # the virtual table is: with an index as it was, nothing is to be indexed again, and a table without
        # content comes back too.
        for table in self._of("shadow"):
            if not self._is_excluded(table):
                yield _line(f"DELETE FROM {quoted(table.name)};")
                yield from self._rows(table)
        yield from self._sequences()
        for item in self._of("index", "trigger", "view"):
            yield self._create(item)
        yield from self._statistics()
        for pragma in ("user_version", "application_id"):
            yield _line(f"PRAGMA {pragma}={self._pragma(pragma)};")
        yield b"COMMIT;\n"

    def _prelude(self) -> Iterator[bytes]:
        # What only an empty database takes on; loading into another leaves these as they are there.
        for pragma in ("page_size", "auto_vacuum"):
            yield _line(f"PRAGMA {pragma}={self._pragma(pragma)};")
        yield _line(f"PRAGMA encoding='{self._encoding}';")
        # Rows are loaded as they are; whether they keep to the rules was decided when they were made.
        yield b"PRAGMA foreign_keys=OFF;\nPRAGMA ignore_check_constraints=ON;\nBEGIN TRANSACTION;\n"

    def _create(self, item: SchemaObject) -> bytes:
        sql = item.sql
        if self._is_excluded(item):
            # Its rows, if the target has any, are to stay.
            sql = re.sub(
                r"CREATE (VIRTUAL TABLE|TABLE|UNIQUE INDEX|INDEX|TRIGGER) ",
                r"CREATE \1 IF NOT EXISTS ",
                sql,
                count=1,
                flags=re.IGNORECASE,
            )
        # The text of a view may end in a comment.
        ends = (";", "\n;", "*/;")
        return _line(sql + next(end for end in ends if sqlite3.complete_statement(sql + end)))

    def _check_module(self, table: SchemaObject) -> None:
        """Raise if the module of a virtual table is not there; warn if what it holds may be elsewhere."""
        self._query(f"SELECT * FROM {quoted(table.name)} LIMIT 0")
        module = _MODULE.search(table.sql)
        has_shadows = any(shadow.table == table.name for shadow in self._of("shadow"))
        if module and fold(module[1]) not in _VIEWING_MODULES and not has_shadows:
            logger.warning(
                "Virtual table %r of module %s is dumped as its CREATE statement only.",
                table.name,
                module[1],
            )

    def _rows(self, table: SchemaObject) -> Iterator[bytes]:
        described = self._query(f"PRAGMA main.table_xinfo({quoted(table.name)})")
        # Others are generated.
        types = {quoted(name): kind for _, name, kind, *_, hidden in described if hidden == 0}
        if rowid := self._rowid(table.name, described):
            types = {rowid: "INTEGER", **types}
        # An index that covers all columns would give the rows in its own order, which loads slower.
        yield from self._inserts(quoted(table.name), types, f"{quoted(table.name)} NOT INDEXED")

    def _rowid(self, table: str, described: list[tuple[Any, ...]]) -> str | None:
        """Return the name under which to dump the rowid; None if there is none, or a column is the rowid."""
        ((without_rowid,),) = self._query(f"SELECT wr FROM pragma_table_list({_text(table)}) WHERE schema = 'main'")
        has_key = any(key for *_, key, _ in described)
        origins = {origin for _, _, _, origin, _ in self._query(f"PRAGMA main.index_list({quoted(table)})")}
        # A primary key without an index of its own is the rowid.
        if without_rowid or (has_key and "pk" not in origins):
            return None
        taken = {fold(name) for _, name, *_ in described}
        return next((name for name in ("rowid", "_rowid_", "oid") if name not in taken), None)

    def _inserts(self, table: str, types: Mapping[str, str], source: str) -> Iterator[bytes]:
        writer = InsertWriter(f"{table}({','.join(types)})", self._encoding)
        for rows in self._batches(types, source):
            yield from writer.statements(rows)

    def _batches(self, types: Mapping[str, str], source: str) -> Iterator[list[tuple[Any, ...]]]:
        """Yield rows in lists that stay small however large the rows are, texts as bytearray."""
        limit = max(1, min(_STATEMENT_ROWS, _STATEMENT_VALUES // len(types)))
        wide = [index for index, kind in enumerate(types.values()) if not _NARROW_TYPE.search(kind)]
        small = self._longest_row([list(types)[index] for index in wide], source) * limit <= _STATEMENT_SIZE * 16
        # Tells texts from blobs, at less cost than typeof(), and does not mind what is not UTF-8.
        self._connection.text_factory = bytearray
        try:
            rows = self._connection.execute(f"SELECT {','.join(types)} FROM {source}")
            # To measure each row takes longer than to fetch it.
            yield from iter(partial(rows.fetchmany, limit), []) if small else _measured(rows, wide, limit)
        finally:
            self._connection.text_factory = str

    def _longest_row(self, columns: Sequence[str], source: str) -> int:
        """Return the most bytes that these columns have in a row."""
        lengths = [f"coalesce(length(CAST({column} AS BLOB)), 0)" for column in columns]
        return self._query(f"SELECT max({' + '.join(lengths)}) FROM {source}")[0][0] or 0 if lengths else 0

    def _sequences(self) -> Iterator[bytes]:
        """Yield what the AUTOINCREMENT counters need: rows that loading the tables made, or did not make."""
        if not self._exists("sqlite_sequence"):
            return
        if not any("AUTOINCREMENT" in item.sql.upper() for item in self._of("table")):
            # It outlives the last table that needed it.
            helper = max([item.name for item in self._objects], key=len, default="") + "_sequence"
            yield _line(f"CREATE TABLE {quoted(helper)}(id INTEGER PRIMARY KEY AUTOINCREMENT);")
            yield _line(f"DROP TABLE {quoted(helper)};")
        yield from self._bookkeeping("sqlite_sequence", {"name": "TEXT", "seq": "INTEGER"})
        for name, sequence in self._query("SELECT name, quote(seq) FROM sqlite_sequence"):
            if name in self._excluded:
                row, kept = (
                    f"{_text(name)},{sequence}",
                    f"SELECT 1 FROM sqlite_sequence WHERE name={_text(name)}",
                )
                yield _line(f"INSERT INTO sqlite_sequence(name,seq) SELECT {row} WHERE NOT EXISTS({kept});")

    def _statistics(self) -> Iterator[bytes]:
        # The samples in sqlite_stat4 are left to the next ANALYZE: not every SQLite has the table.
        if self._exists("sqlite_stat1"):
            yield b"ANALYZE sqlite_master;\n"
            yield from self._bookkeeping("sqlite_stat1", {"tbl": "TEXT", "idx": "TEXT", "stat": "TEXT"})

    def _bookkeeping(self, table: str, columns: Mapping[str, str]) -> Iterator[bytes]:
        """Yield statements that replace the rows about the dumped tables in one of SQLite's own."""
        key = next(iter(columns))
        names = [name for (name,) in self._query(f"SELECT DISTINCT {key} FROM {table}")]
        dumped = [_text(name) for name in names if isinstance(name, str) and name not in self._excluded]
        parts = [
            ",".join(dumped[first : first + _NAMES_PER_STATEMENT])
            for first in range(0, len(dumped), _NAMES_PER_STATEMENT)
        ]
        for part in parts:
            yield _line(f"DELETE FROM {table} WHERE {key} IN ({part});")
        for part in parts:
            yield from self._inserts(table, columns, f"{table} WHERE {key} IN ({part}) ORDER BY rowid")

    def _is_excluded(self, item: SchemaObject) -> bool:
        return item.kind != "view" and item.table in self._excluded

    def _of(self, *kinds: str) -> list[SchemaObject]:
        return [item for item in self._objects if item.kind in kinds]

    def _exists(self, name: str) -> bool:
        return bool(self._query(f"SELECT 1 FROM sqlite_master WHERE name = {_text(name)}"))

    def _pragma(self, name: str) -> str:
        return str(self._query(f"PRAGMA main.{name}")[0][0])

    def _query(self, sql: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql).fetchall()


def _measured(rows: Iterable[tuple[Any, ...]], wide: Sequence[int], limit: int) -> Iterator[list[tuple[Any, ...]]]:
    """Yield rows in lists of at most ``limit``, each ended by the row that makes it too large."""
    batch: list[tuple[Any, ...]] = []
    size = 0
    for row in rows:
        batch.append(row)
        for index in wide:
            if isinstance(value := row[index], (bytes, bytearray)):
                size += len(value)
        if size >= _STATEMENT_SIZE or len(batch) == limit:
            yield batch
            batch = []
            size = 0
    if batch:
        yield batch


class SqlReader(StreamReader):
    """The dump of a snapshot as a stream; it ends with the trailer only if the snapshot is sound."""

    def __init__(
        self,
        database: SqliteDatabase,
        connection: sqlite3.Connection,
        check: IntegrityCheck,
        dump: SqlDump,
    ) -> None:
        self._database = database
        self._connection = connection
        self._check = check
        self._statements = self._all(dump)
        super().__init__()

    def _all(self, dump: SqlDump) -> Iterator[bytes]:
        yield from dump.statements()
        self._check.finish()
        yield TRAILER.encode()

    def _next_chunk(self) -> bytes:
        pieces: list[bytes] = []
        size = 0
        with self._database.errors(DumpError, "dump"):
            while size < _CHUNK_SIZE and (piece := next(self._statements, b"")):
                pieces.append(piece)
                size += len(piece)
        return b"".join(pieces)

    def cancel(self, *, force: bool = False) -> None:
        """Stop what the next chunk waits for."""
        self._connection.interrupt()
        self._check.cancel()
        super().cancel(force=force)

    def _release(self) -> None:
        self._check.close()
        self._connection.close()


def _line(statement: str) -> bytes:
    return statement.encode() + b"\n"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
