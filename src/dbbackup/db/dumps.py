"""A dump on its way out of the program that makes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from dbbackup.db.watching import Clock, Watcher
from dbbackup.streams import StreamReader, pull


class WatchedDump(StreamReader):
    """Pass on what a dump program writes; ``release`` is called at the end, however that comes.

    ``watch`` gives the watcher that ends the program when its server is gone.
    """

    def __init__(
        self,
        program: BinaryIO,
        watch: Callable[[BinaryIO, Clock], Watcher],
        *,
        release: Callable[[], None] = lambda: None,
    ) -> None:
        self._program = program
        self._watch = watch
        self._give_back = release
        self._clock = Clock()
        self._watcher: Watcher | None = None
        super().__init__(program)

    def _passed(self, chunk: bytes) -> None:
        """Look at bytes that go out."""

    def _ended(self) -> None:
        """Raise if what went out is no whole dump, or not of one moment."""

    def _next_chunk(self) -> bytes:
        if self._watcher is None:
            # Not before: an interrupt of the constructor would leave a thread that nobody ends.
            self._watcher = self._watch(self._program, self._clock)
            self._watcher.start()
        self._clock.start()
        try:
            chunk = pull(self._program)
        except Exception as exc:
            self._watcher.stop()
            if self._watcher.error is not None:
                raise self._watcher.error from exc
            raise
        finally:
            self._clock.stop()
        if chunk:
            self._passed(chunk)
        else:
            self._watcher.stop()
            self._ended()
        return chunk

    def _release(self) -> None:
        try:
            super()._release()
        finally:
            if self._watcher is not None:
                self._watcher.stop()
            self._give_back()
