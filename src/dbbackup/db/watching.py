"""Look after a program that waits: for a lock, or for a server that is gone."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from dbbackup.db.exceptions import ConnectorError
from dbbackup.streams import StreamReader, cancel, pull

QUIET = 15.0
"""Seconds without a byte after which the server is asked whether it is still there."""
ANSWER = 15.0
"""Seconds that it has to answer, each time."""
_LOOKS = 2
"""Unanswered questions, after which it counts as gone."""
_TICK = 0.5


class NoAnswer(ConnectorError):
    """The server did not answer within the time it had."""


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
    """A thread that ends a program whose server does not answer, or for another reason that a look at it gives.

    ``look`` takes the seconds without a byte, asks the server, which has ANSWER seconds for that, and returns the
    error to end the program with, if any. ``is_gone`` tells of an error that it raised whether the server did not
    answer. A program is looked after when it was quiet for ``first`` seconds, QUIET at most.
    """

    def __init__(
        self,
        program: BinaryIO,
        clock: Clock,
        look: Callable[[float], ConnectorError | None],
        is_gone: Callable[[BaseException], bool],
        *,
        first: float = math.inf,
    ) -> None:
        self._program = program
        self._clock = clock
        self._look = look
        self._is_gone = is_gone
        self._first = first
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dbbackup-watcher", daemon=True)
        self.error: ConnectorError | None = None

    def start(self) -> None:
        """Begin to watch. To be called once."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching. Stopping again does nothing."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch for the length of a block; what the watcher found goes before what came of it."""
        try:
            self.start()
            yield
        except Exception as exc:
            self.stop()
            if self.error is not None:
                raise self.error from exc
            raise
        finally:
            self.stop()

    def _run(self) -> None:
        first = min(QUIET, self._first)
        due, unanswered = first, 0
        while not self._ended.wait(_TICK):
            quiet = self._clock.quiet()
            if quiet < first:
                due, unanswered = first, 0
            elif quiet >= due:
                try:
                    self.error = self._look(quiet)
                except ConnectorError as exc:
                    # An error is an answer too.
                    unanswered = unanswered + 1 if self._is_gone(exc) else 0
                    if unanswered == _LOOKS:
                        self.error = NoAnswer(f"The server has not answered for {quiet:.0f} s: {exc}")
                else:
                    unanswered = 0
                if not unanswered:
                    due = quiet + first
            if self.error is not None:
                cancel(self._program, force=True)
                return
