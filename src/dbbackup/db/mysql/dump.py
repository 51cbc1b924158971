"""The bytes of a dump on their way out."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from dbbackup.db.dumps import WatchedDump
from dbbackup.db.exceptions import DumpError
from dbbackup.db.mysql.contents import is_end
from dbbackup.db.mysql.session import Session
from dbbackup.db.mysql.watching import watcher

_EDGE = 256


class DumpReader(WatchedDump):
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
        self._check = check
        self._trailer = trailer
        self._tail = b""
        super().__init__(program, lambda what, clock: watcher(session, what, clock, for_locks=True), release=release)

    def _passed(self, chunk: bytes) -> None:
        self._tail = (self._tail + chunk[-_EDGE:])[-_EDGE:]

    def _ended(self) -> None:
        if self._trailer and not is_end(self._tail):
            raise DumpError(
                "The dump program ended without its last line, so the dump is not whole. "
                "(--compact and --skip-comments, in an option file or DUMP_SUFFIX, take that line away.)"
            )
        self._check()
