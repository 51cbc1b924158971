"""Look after a program that waits: for a lock, or for a server that is gone."""

from __future__ import annotations

import math
from typing import BinaryIO

from dbbackup.db.exceptions import ConnectorError, DatabaseLockedError
from dbbackup.db.mysql.errors import is_gone
from dbbackup.db.mysql.session import Session
from dbbackup.db.watching import ANSWER, Clock, Watcher
from dbbackup.streams import StreamReader, copy

_LIST = "FROM information_schema.PROCESSLIST WHERE DB = DATABASE() AND ID <> CONNECTION_ID()"
_READS = "INFO LIKE 'SELECT /*!40001 SQL_NO_CACHE%'"
_WAITS = "(STATE LIKE 'Waiting for%lock%' OR STATE LIKE 'Waiting for%flush%')"
# The dump programs' own statements. Other sessions of the account may ask SHOW and wait as well, but not while a dump
# reads a table.
_WAITING = (
    f"SELECT ID, STATE, TIME, COALESCE(INFO, '') {_LIST} AND {_WAITS} AND ({_READS} OR INFO LIKE 'SHOW %') "
    f"AND NOT EXISTS (SELECT 1 {_LIST} AND {_READS} AND NOT {_WAITS})"
)


def watcher(session: Session, program: BinaryIO, clock: Clock, *, for_locks: bool = False) -> Watcher:
    """Return what ends a program whose server does not answer, or that waits longer for a lock than it may."""

    def look(quiet: float) -> ConnectorError | None:
        waiting = session.ask(_WAITING if for_locks else "SELECT 1", seconds=ANSWER)
        if not for_locks or not waiting or quiet < session.lock_timeout:
            return None
        _, state, seconds, statement = waiting[0]
        return DatabaseLockedError(
            f"The dump waited {seconds} s in {statement[:80]!r} ({state}). Another session holds the table: "
            "see SHOW PROCESSLIST. DBBACKUP_LOCK_TIMEOUT says how long to wait."
        )

    return Watcher(program, clock, look, is_gone, first=session.lock_timeout if for_locks else math.inf)


def watched(session: Session, program: StreamReader, clock: Clock) -> None:
    """Read what a program prints to its end, as long as its server answers whenever the program is quiet."""
    with program, watcher(session, program, clock).watching():
        copy(program, lambda _: None)


def execute(session: Session, sql: str) -> None:
    """Run SQL that may take its time."""
    clock = Clock()
    clock.start()
    watched(session, session.run(sql), clock)
