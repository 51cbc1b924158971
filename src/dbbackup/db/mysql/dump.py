"""The bytes of a dump on their way out."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import BinaryIO

from dbbackup.db.exceptions import DumpError
from dbbackup.db.mysql.session import Session
from dbbackup.db.mysql.watching import Clock, Watcher
from dbbackup.streams import StreamReader, pull

TRAILER = re.compile(rb"(?:^|\n)-- Dump completed(?: on [^\n]*)?\n?\s*\Z")
_EDGE = 256


class DumpReader(StreamReader):
    """Pass on what the dump program writes, and call ``release`` at the end, however that comes.

    ``check`` is called at the end, and raises if the dump is not of one moment. With ``trailer``, the program's last
    words are required.
    """

    def __init__(
        self,
        program: BinaryIO,
        session: Session,
        check: Callable[[], None] = lambda: None,
        *,
        release: Callable[[], None] = lambda: None,
        trailer: bool = True,
    ) -> None:
        self._program = program
        self._session = session
        self._check = check
        self._give_back = release
        self._trailer = trailer
        self._tail = b""
        self._clock = Clock()
        self._watcher: Watcher | None = None
        super().__init__(program)

    def _next_chunk(self) -> bytes:
        if self._watcher is None:
            # Not before: an interrupt of the constructor would leave a thread that nobody ends.
            self._watcher = Watcher(self._session, self._program, self._clock, for_locks=True)
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
            self._tail = (self._tail + chunk[-_EDGE:])[-_EDGE:]
            return chunk
        self._watcher.stop()
        if self._trailer and not TRAILER.search(self._tail):
            raise DumpError(
                "The dump program ended without its last line, so the dump is not whole. "
                "(--compact and --skip-comments, in an option file or DUMP_SUFFIX, take that line away.)"
            )
        self._check()
        return b""

    def _release(self) -> None:
        try:
            super()._release()
        finally:
            if self._watcher is not None:
                self._watcher.stop()
            self._give_back()
