"""The proof that the structure of a SQLite database is sound."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

from dbbackup.db.exceptions import ConnectorError, DumpError
from dbbackup.db.sqlite_connection import SqliteDatabase

_INTERRUPT_PAUSE = 0.05


def first_problem(connection: sqlite3.Connection, *, tables_only: bool = False) -> str | None:
    """Return the first thing that is wrong with the structure of a database, if anything is.

    With ``tables_only``, at a tenth of the cost, indexes are not compared with their tables.
    """
    # A CHECK constraint may fail for rows that are older than it; that is no damage.
    connection.execute("PRAGMA ignore_check_constraints = ON")
    try:
        (found,) = connection.execute(f"PRAGMA {'quick' if tables_only else 'integrity'}_check(1)").fetchone()
    except sqlite3.DatabaseError as exc:
        if exc.sqlite_errorcode & 0xFF not in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            raise
        found = str(exc)
    finally:
        connection.execute("PRAGMA ignore_check_constraints = OFF")
    return None if found == "ok" else " ".join(found.removeprefix("*** in database main ***").split())


class IntegrityCheck(threading.Thread):
    """The check of a snapshot, on its own thread while the bytes are on their way.

    SQLite does it outside of Python's lock, so that on a second core it costs next to no time.
    """

    def __init__(self, database: SqliteDatabase, path: Path, *, tables_only: bool = False) -> None:
        super().__init__(name=f"integrity check of {database.alias}", daemon=True)
        self._database = database
        self._tables_only = tables_only
        self._connection = database.connect_to(str(path))
        self._problem: str | None = None
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Check; what comes of it is told by finish()."""
        try:
            self._problem = first_problem(self._connection, tables_only=self._tables_only)
        except BaseException as exc:  # noqa: BLE001 raised by finish()
            self._error = exc

    def finish(self) -> None:
        """Wait for the end of the check and raise DumpError if the database is damaged."""
        self.join()
        with self._database.errors(DumpError, "check"):
            if self._error is not None:
                raise self._error
        if self._problem is not None:
            raise damaged(DumpError, self._database, self._problem)

    def cancel(self) -> None:
        """Make the check end soon, with an error."""
        self._connection.interrupt()

    def close(self) -> None:
        """Stop the check if it is still running. Closing again does nothing."""
        while self.is_alive():
            # Again, in case the check had not begun.
            self.cancel()
            self.join(_INTERRUPT_PAUSE)
        self._connection.close()


def damaged(error: type[ConnectorError], database: SqliteDatabase, problem: str) -> ConnectorError:
    """Return the error for a database that did not pass its check."""
    return error(
        f"Database {database.alias!r} ({database.name}) is damaged: {problem}. "
        "See https://www.sqlite.org/recovery.html; the last good backup is untouched."
    )
