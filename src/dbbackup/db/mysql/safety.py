"""The safety dump of a database: what it is called, what it needs of the server, how it is loaded by hand."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import BinaryIO

from dbbackup.db import safety
from dbbackup.db.mysql.login import Login
from dbbackup.db.safety import SafetyDump
from dbbackup.streams import StreamReader, pull

_FILE = "safety.sql.gz"


def new_safety_dump(login: Login, directory: Path | None) -> SafetyDump:
    """Return the place for a dump of this login's database."""
    return SafetyDump(_key(login), directory, _FILE)


def left_behind(login: Login, directory: Path | None) -> list[Path]:
    """Return the safety dumps of this login's database whose restore was killed; the unfinished ones are removed."""
    return safety.left_behind(_key(login), directory, _FILE)


class Measured(StreamReader):
    """Pass a dump on, and keep the length of its largest statement."""

    def __init__(self, dump: BinaryIO) -> None:
        self.largest = 0
        self._open_bytes = 0
        self._ended = False
        self._inner = dump
        super().__init__(dump)

    def _next_chunk(self) -> bytes:
        chunk = pull(self._inner)
        if chunk:
            self._measure(chunk)
        return chunk

    def _measure(self, chunk: bytes) -> None:
        """Note the largest statement, and the bytes of the one that the chunk ends in."""
        if chunk.startswith(b"\n") and self._ended:
            self._open_bytes = 0
        self._ended = chunk.endswith(b";")
        first = chunk.find(b";\n")
        if first < 0:
            self._open_bytes += len(chunk)
            self.largest = max(self.largest, self._open_bytes)
            return
        position = first + 2
        self.largest = max(self.largest, self._open_bytes + position)
        while (end := chunk.find(b";\n", position) + 2) > 1:
            self.largest = max(self.largest, end - position)
            position = end
        self._open_bytes = len(chunk) - position


def by_hand(path: Path, client: str, login: Login) -> str:
    """Return the shell line that loads a safety dump."""
    return f"gzip -dc {shlex.quote(str(path))} | {loading(client, login)}"


def loading(client: str, login: Login) -> str:
    """Return the shell command that loads SQL, and asks for the password."""
    # Without comments the client would cut off events and triggers that have some.
    return f"{client} --binary-mode --comments --max-allowed-packet=1G {login.by_hand()}"


def _key(login: Login) -> tuple[str, ...]:
    return (login.host, login.port, login.socket, login.database)
