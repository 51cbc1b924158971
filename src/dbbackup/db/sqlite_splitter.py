"""SQL as a stream of statements, split as SQLite splits it, in time linear in its length."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from dbbackup.db.exceptions import RestoreError
from dbbackup.streams import chunks

# Everything up to a ";" or to a string, quoted name or comment that is not complete yet. Possessive, so
# that nothing is ever looked at twice.
_TOKENS = re.compile(
    rb"""(?:
        [^'"`\[;/-]++ | '[^']*+' | "[^"]*+" | `[^`]*+` | \[[^\]]*+\]
        | --[^\n]*+\n | /\*(?:[^*]|\*(?=[^/]))*+\*/ | -(?=[^-]) | /(?=[^*])
    )*+""",
    re.VERBOSE,
)
_CLOSERS = {b"'": b"'", b'"': b'"', b"`": b"`", b"[": b"]", b"--": b"\n", b"/*": b"*/"}
_SPACE = rb"(?:\s|--[^\n]*+(?:\n|\Z)|/\*(?:[^*]|\*(?=[^/]))*+\*/)"
_BLANK = _SPACE + rb"*+"
_ONLY_BLANK = re.compile(_BLANK)
_TRIGGER = re.compile(
    rb"%(b)bCREATE%(s)b++(?:TEMP(?:ORARY)?%(s)b++)?TRIGGER\b" % {b"b": _BLANK, b"s": _SPACE},
    re.IGNORECASE,
)
_END = re.compile(_BLANK + rb"END" + _BLANK + rb";", re.IGNORECASE)


def split_statements(dump: BinaryIO) -> Iterator[bytes]:
    """Yield every statement with its semicolon and what stands before it, then the comments at the end.

    Memory holds one statement and one chunk. Raise RestoreError if the last statement has no end.
    """
    splitter = _Splitter()
    for chunk in chunks(dump):
        yield from splitter.feed(chunk)
    yield splitter.finish()


class _Splitter:
    def __init__(self) -> None:
        self._buffer = bytearray()
        # Offsets in the buffer: of the statement, of its last part between semicolons, of what is
        # still to be looked at.
        self._start = self._part = self._position = 0
        self._closer = b""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the statements that this chunk completes."""
        del self._buffer[: self._start]
        self._part -= self._start
        self._position -= self._start
        self._start = 0
        self._buffer += chunk
        while self._reach_semicolon():
            if not self._is_in_trigger():
                yield bytes(self._buffer[self._start : self._position])
                self._start = self._position
            self._part = self._position

    def finish(self) -> bytes:
        """Return the comments after the last statement."""
        rest = bytes(self._buffer[self._start :])
        if not _ONLY_BLANK.fullmatch(rest):
            raise RestoreError(f"The dump ends in the middle of a statement: {excerpt(rest)}")
        return rest

    def _reach_semicolon(self) -> bool:
        """Move behind the next semicolon; False if it is not in the buffer yet."""
        while self._close():
            match = _TOKENS.match(self._buffer, self._position)
            self._position = match.end() if match else self._position
            opener = bytes(self._buffer[self._position : self._position + 1])
            if opener in {b"-", b"/"}:
                opener = bytes(self._buffer[self._position : self._position + 2])
            if opener == b";":
                self._position += 1
                return True
            if opener not in _CLOSERS:
                # Nothing more, or the first half of what may open a comment.
                return False
            self._position += len(opener)
            self._closer = _CLOSERS[opener]
        return False

    def _close(self) -> bool:
        """Move behind the end of the string, name or comment that is open; False if it is not there yet."""
        if not self._closer:
            return True
        end = self._buffer.find(self._closer, self._position)
        if end < 0:
            # A "*" may be the first half of the end of a comment.
            self._position = max(self._position, len(self._buffer) - len(self._closer) + 1)
            return False
        self._position = end + len(self._closer)
        self._closer = b""
        return True

    def _is_in_trigger(self) -> bool:
        """Tell whether the semicolon ends a statement within CREATE TRIGGER, whose own end is "; END;"."""
        if not _TRIGGER.match(self._buffer, self._start):
            return False
        return not _END.fullmatch(self._buffer, self._part, self._position)


def excerpt(statement: bytes) -> str:
    """Return the beginning of a statement on one line, without the values of its rows."""
    shown = re.split(rb"\bVALUES\b", statement[:1000].strip(), maxsplit=1, flags=re.IGNORECASE)[0]
    text = " ".join(shown.decode(errors="replace").split())
    return text if len(text) <= 80 and len(statement) <= 1000 else f"{text[:80]} …"
