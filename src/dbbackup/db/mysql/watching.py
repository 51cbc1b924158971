"""Look after a program that waits: for a lock, or for a server that is gone."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from dbbackup.db.exceptions import ConnectorError, DatabaseLockedError
from dbbackup.db.mysql.errors import NoAnswer, is_gone
from dbbackup.db.mysql.session import Session
from dbbackup.streams import StreamReader, cancel, copy, pull

QUIET = 15.0
"""Seconds without a byte after which the server is asked whether it is still there."""
ANSWER = 15.0
"""Seconds that it has to answer, each time."""
_LOOKS = 2
"""Unanswered questions, after which it counts as gone."""
_TICK = 0.5

_LIST = "FROM information_schema.PROCESSLIST WHERE DB = DATABASE() AND ID <> CONNECTION_ID()"
_READS = "INFO LIKE 'SELECT /*!40001 SQL_NO_CACHE%'"
_WAITS = "(STATE LIKE 'Waiting for%lock%' OR STATE LIKE 'Waiting for%flush%')"
# The dump programs' own statements. Other sessions of the account may ask SHOW and wait as well, but not while a dump
# reads a table.
_WAITING = (
    f"SELECT ID, STATE, TIME, COALESCE(INFO, '') {_LIST} AND {_WAITS} AND ({_READS} OR INFO LIKE 'SHOW %') "
    f"AND NOT EXISTS (SELECT 1 {_LIST} AND {_READS} AND NOT {_WAITS})"
)


class Clock:
    """Knows for how long a program has moved no byte."""

    def __init__(self) -> None:
        self._since: float | None = None

    def start(self) -> None:
        """Count from now on."""
        self._since = time.monotonic()

    def stop(self) -> None:
        """Do not count: somebody else is waited for."""
        self._since = None

    def quiet(self) -> float:
        """Return the seconds since it was started, 0 if it is stopped."""
        since = self._since
        return 0.0 if since is None else time.monotonic() - since


class Ticking(StreamReader):
    """Pass on what a program is fed, and keep the clock: it runs while the program works on a chunk."""

    def __init__(self, source: BinaryIO, clock: Clock) -> None:
        self._clock = clock
        super().__init__(source)

    def _next_chunk(self) -> bytes:
        assert self._source is not None
        self._clock.stop()
        try:
            return pull(self._source)
        finally:
            self._clock.start()


class Watcher:
    """A thread that ends a program whose server does not answer, or that waits longer for a lock than it may."""

    def __init__(self, session: Session, program: BinaryIO, clock: Clock, *, for_locks: bool = False) -> None:
        self._session = session
        self._program = program
        self._clock = clock
        self._for_locks = for_locks
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dbbackup-watcher", daemon=True)
        self._started = False
        self.error: ConnectorError | None = None

    def start(self) -> None:
        """Begin to watch. To be called once."""
        self._started = True
        self._thread.start()

    def stop(self) -> None:
        """Stop watching. Stopping again does nothing."""
        self._ended.set()
        if self._started and self._thread.is_alive():
            self._thread.join()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch for the length of a block; what the watcher found goes before what came of it."""
        self.start()
        try:
            yield
        except Exception as exc:
            self.stop()
            if self.error is not None:
                raise self.error from exc
            raise
        finally:
            self.stop()

    def _run(self) -> None:
        first = min(QUIET, self._session.lock_timeout) if self._for_locks else QUIET
        due, unanswered = first, 0
        while not self._ended.wait(_TICK):
            quiet = self._clock.quiet()
            if quiet < first:
                due, unanswered = first, 0
            elif quiet >= due:
                try:
                    self._look(quiet)
                except ConnectorError as exc:
                    # An error is an answer too.
                    unanswered = unanswered + 1 if is_gone(exc) else 0
                    if unanswered == _LOOKS:
                        self._give_up(NoAnswer(f"The server has not answered for {quiet:.0f} s: {exc}"))
                else:
                    unanswered = 0
                if not unanswered:
                    due = quiet + first
            if self.error is not None:
                return

    def _look(self, quiet: float) -> None:
        waiting = self._session.ask(_WAITING if self._for_locks else "SELECT 1", seconds=ANSWER)
        if self._for_locks and waiting and quiet >= self._session.lock_timeout:
            _, state, seconds, statement = waiting[0]
            self._give_up(
                DatabaseLockedError(
                    f"The dump waited {seconds} s in {statement[:80]!r} ({state}). Another session holds the table: "
                    "see SHOW PROCESSLIST. DBBACKUP_LOCK_TIMEOUT says how long to wait."
                )
            )

    def _give_up(self, error: ConnectorError) -> None:
        self.error = error
        cancel(self._program, force=True)


def watched(session: Session, program: StreamReader, clock: Clock) -> None:
    """Read what a program prints to its end, as long as its server answers whenever the program is quiet."""
    with program, Watcher(session, program, clock).watching():
        copy(program, lambda _: None)


def execute(session: Session, sql: str) -> None:
    """Run SQL that may take its time."""
    clock = Clock()
    clock.start()
    watched(session, session.run(sql), clock)
