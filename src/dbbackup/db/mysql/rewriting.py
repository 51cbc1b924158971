"""A dump with other definers, collations or database names than it was written with."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import BinaryIO

from dbbackup.db.mysql.lexer import Lexer, Part, Piece
from dbbackup.db.mysql.names import quote_name
from dbbackup.db.mysql.statements import Statement
from dbbackup.streams import IteratorReader, PeekableReader, StreamReader, chunks, pull

_SANDBOX = re.compile(rb"(?:\xef\xbb\xbf)?\s*+(/\*M?!999999\\-(?:[^*]|\*(?!/))*+\*/[ \t]*+\r?+\n?+)")
# More than that line has ever had.
_FIRST = 1024
_BLANK = re.compile(rb"[ \t]*+")
# What the head of a dump sets, and how far it goes.
_MODE, _LENIENT_MODE = b"SQL_MODE='NO_AUTO_VALUE_ON_ZERO'", b"SQL_MODE='NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'"
_HEADER = 2048


@dataclass(frozen=True)
class Changes:
    """What is to be different."""

    drop_sandbox: bool = False
    strip_definer: bool = False
    collations: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case, and what to say instead; both of the same character set, which is not changed."""
    database: str | None = None
    """What ALTER DATABASE is to name."""

    source: str | None = None
    """The database whose name goes where it qualifies that of an object."""

    drop_replication: bool = False
    """Whether statements go that only an administrator may run, and that are about the server, not the database."""

    @property
    def in_statements(self) -> bool:
        """Whether statements have to be looked at."""
        return (
            self.strip_definer
            or self.drop_replication
            or bool(self.collations)
            or {self.database, self.source} != {None}
        )


class Rewriter(StreamReader):
    """Pass on a dump with changes in what defines its objects, never in their bodies' strings or in rows.

    Raise RestoreError where the dump was cut, unless its first line is all that changes.
    """

    def __init__(self, dump: BinaryIO, changes: Changes) -> None:
        self._inner = dump
        self._changes = changes
        self._pieces = self._rewritten() if changes.in_statements else self._plain()
        super().__init__(dump)

    def _next_chunk(self) -> bytes:
        return next(filter(None, self._pieces), b"")

    def _plain(self) -> Iterator[bytes]:
        head = b""
        while self._changes.drop_sandbox and len(head) < _FIRST and (chunk := pull(self._inner)):
            head += chunk
        if self._changes.drop_sandbox and (found := _SANDBOX.match(head)):
            head = head[: found.start(1)] + head[found.end(1) :]
        yield head
        while chunk := pull(self._inner):
            yield chunk

    def _rewritten(self) -> Iterator[bytes]:
        lexer = Lexer()
        while chunk := pull(self._inner):
            # Small statements are handed on together.
            yield b"".join(map(self._changed, lexer.feed(chunk)))
        yield b"".join(map(self._changed, lexer.finish()))

    def _changed(self, piece: Piece) -> bytes:
        if piece.part is Part.SANDBOX and self._changes.drop_sandbox:
            return b""
        if piece.part is not Part.STATEMENT:
            return piece.text
        return rewrite(Statement(piece.text, piece.quoting), self._changes)


def rewrite(statement: Statement, changes: Changes) -> bytes:
    """Return the text of a statement with changes."""
    if changes.drop_replication and statement.sets_replication:
        return b""
    # Where, and what to put there.
    edits: list[tuple[int, int, bytes]] = []
    if changes.strip_definer and statement.definer:
        start, end = statement.definer_span
        blank = _BLANK.match(statement.text, end)
        edits.append((start, blank.end() if blank else end, b""))
    if changes.database is not None and (statement.verb, statement.kind) == ("ALTER", "DATABASE"):
        edits.append((*statement.name_span, quote_name(changes.database).encode(errors="surrogateescape")))
    if changes.source is not None and statement.verb == "CREATE":
        edits += [(start, end, b"") for database, start, end in statement.qualifiers if database == changes.source]
    if changes.collations:
        edits.extend(
            (found.start, found.end, changes.collations[found.name].encode())
            for found in statement.collations()
            if found.name in changes.collations
        )
    text = statement.text
    # From the end, so that what is before stays where it is.
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def with_lenient_dates(dump: BinaryIO) -> BinaryIO:
    """Let dates such as 2020-02-31, which a column may hold, pass through the mode that dumps set."""
    readable = PeekableReader(dump)
    head = readable.peek(_HEADER)
    readable.read(len(head))
    return IteratorReader(chain([head.replace(_MODE, _LENIENT_MODE, 1)], chunks(readable)), readable)
