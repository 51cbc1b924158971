"""Locks: one restore of a database at a time, whichever machine it runs on, and no table that others hold."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dbbackup.db.exceptions import CommandConnectorError, ConnectorError, DatabaseLockedError
from dbbackup.db.mysql.errors import is_gone, is_locked
from dbbackup.db.mysql.facts import find_facts
from dbbackup.db.mysql.names import lock_name, quote_name, quote_text
from dbbackup.db.mysql.session import ANSWER_TIME, Session, answering
from dbbackup.db.mysql.watching import execute
from dbbackup.streams import StreamReader


class _Held(StreamReader):
    """SQL whose end does not come until it is wanted: the connection that reads it stays open."""

    def __init__(self, sql: str) -> None:
        self._sql = sql.encode()
        self._wanted = threading.Event()
        super().__init__()

    def cancel(self, *, force: bool = False) -> None:
        """Let the end come."""
        self._wanted.set()
        super().cancel(force=force)

    def _next_chunk(self) -> bytes:
        if self._sql:
            sql, self._sql = self._sql, b""
            return sql
        self._wanted.wait()
        return b""


@contextmanager
def restore_lock(session: Session, notify: Callable[[str], None]) -> Iterator[None]:
    """Hold the server's lock on restores of the database; DatabaseLockedError if somebody else has it.

    Where the server has no such locks, as in some clusters, say so and go on.
    """
    name = quote_text(lock_name(session.login.database))
    waiting = _Held(f"SET SESSION wait_timeout = 31536000;\nSELECT GET_LOCK({name}, 0);\n")
    with session.start(session.client_args(), waiting) as holding:
        try:
            with answering(holding, ANSWER_TIME):
                answer = holding.readline().strip()
        except ConnectorError as exc:
            notify(f"The server gives no lock against a second restore at the same time: {exc}")
            answer = b"1"
        if answer != b"1":
            raise DatabaseLockedError(
                f"Another restore of database {session.login.database!r} is under way on this server. "
                "Nothing was changed."
            )
        yield
        holding.cancel(force=True)


def check_locks(session: Session) -> None:
    """Raise DatabaseLockedError if another session has a table in use, as an open transaction that has read it does.

    It would hold up a restore halfway, and putting back what was there before as well.
    """
    if not (tables := find_facts(session).base_tables):
        return
    wanted = ", ".join(f"{quote_name(name)} WRITE" for name in tables)
    try:
        execute(session, f"LOCK TABLES {wanted};\nUNLOCK TABLES")
    except CommandConnectorError as exc:
        # Others come of triggers that are broken, and of rights that only they need.
        if is_locked(exc):
            raise DatabaseLockedError(f"{exc}\nNothing was changed.") from exc
        if is_gone(exc):
            raise
