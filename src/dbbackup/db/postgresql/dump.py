"""The bytes of a dump on their way out."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import BinaryIO

from dbbackup.db.exceptions import DumpError
from dbbackup.db.postgresql.blockers import Watcher
from dbbackup.db.postgresql.session import Session
from dbbackup.exceptions import DBBackupError
from dbbackup.streams import StreamReader, pull

_TRAILER = re.compile(rb"\n-- PostgreSQL database dump complete\n--\n")
# Newer minor releases put a key around a dump, without which psql refuses it (CVE-2025-8714).
_KEY = re.compile(rb"\n\\restrict (\S+)\n")
# The title, the trailer and the key stand within this many bytes from the beginning and the end.
_EDGE = 512


class DumpReader(StreamReader):
    """Pass on what pg_dump writes, and give back what its session holds.

    ``check`` is called once pg_dump has its locks and its snapshot, and raises if they do not fit: at its first
    byte, because it writes nothing before, or ``late``, at its end, where a program of the user's writes too. With
    ``trailer``, its last words are required.
    """

    def __init__(
        self,
        program: BinaryIO,
        session: Session,
        watcher: Watcher,
        check: Callable[[], None],
        *,
        late: bool,
        trailer: bool,
    ) -> None:
        self._program = program
        self._session = session
        self._watcher = watcher
        self._check: Callable[[], None] | None = check
        self._late = late
        self._trailer = trailer
        self._head = b""
        self._tail = b""
        self._watcher.start()
        super().__init__(program)

    def _next_chunk(self) -> bytes:
        try:
            chunk = pull(self._program)
        except DBBackupError as exc:
            self._watcher.stop()
            if self._watcher.gave_up:
                raise self._watcher.error() from exc
            raise
        if self._check is not None and not (self._late and chunk):
            self._watcher.stop()
            self._check()
            self._check = None
        if self._trailer:
            if chunk:
                self._head += chunk[: _EDGE - len(self._head)]
                self._tail = (self._tail + chunk[-_EDGE:])[-_EDGE:]
            elif not self._is_whole():
                raise DumpError("pg_dump ended without its last line, so the dump is not whole.")
        return chunk

    def _is_whole(self) -> bool:
        trailer = _TRAILER.search(self._tail)
        key = _KEY.search(self._head)
        return trailer is not None and (
            key is None or b"\n\\unrestrict %b\n" % key[1] in self._tail[trailer.end() - 1 :]
        )

    def _release(self) -> None:
        try:
            super()._release()
        finally:
            self._watcher.stop()
            self._session.close()
