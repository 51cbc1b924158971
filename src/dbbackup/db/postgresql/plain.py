"""A plain dump of pg_dump, statement by statement, so that some can be left out while it streams."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import BinaryIO

from dbbackup.db.exceptions import RestoreError
from dbbackup.db.postgresql.entries import Entry
from dbbackup.db.postgresql.lexer import Lexer, Part, RowScanner, end_of_rows, is_copy
from dbbackup.streams import StreamReader, pull

Keep = Callable[[Entry | None, bytes], bool]

_HEADERS = (b"-- Name: ", b"-- Data for Name: ", b"-- Statistics for Name: ")
_RESTRICT = re.compile(rb"\\(un)?restrict[ \t]+(\S+)\s*")
_TITLE = re.compile(rb"^-- PostgreSQL database dump\r?$", re.MULTILINE)
_TRAILER = b"-- PostgreSQL database dump complete"
# Small statements are handed on together.
_BATCH = 64 * 1024


class PlainFilter(StreamReader):
    r"""Pass on a plain dump without the statements that ``keep`` refuses.

    ``keep(entry, statement)`` is asked about every statement, from its first word to its semicolon; ``entry``
    is what the last comment above it names, None before the first. pg_dump puts what prepares an entry, such as
    SET default_tablespace, above that comment: it comes under the entry before. The rows that follow COPY share
    its fate. Everything between statements passes but \restrict and \unrestrict, which whoever runs psql says
    better. Memory holds one statement and one chunk. Raise RestoreError for any other command of psql, and when
    the dump ends within a statement or within rows.
    """

    def __init__(self, source: BinaryIO, keep: Keep) -> None:
        self._inner = source
        self._keep = keep
        self._lexer = Lexer(source)
        self._entry: Entry | None = None
        self._key = b""
        self._complete = False
        self._pieces = self._filtered()
        super().__init__(source)

    @property
    def complete(self) -> bool:
        r"""Whether pg_dump's last comment has been seen, and no statement or command after it but \unrestrict."""
        return self._complete and not self._key

    def _next_chunk(self) -> bytes:
        return next(filter(None, self._pieces), b"")

    def _filtered(self) -> Iterator[bytes]:
        data = self._lexer.data
        # What lies before it is kept and has been looked at.
        position = 0
        while position < len(data) or self._lexer.more():
            part, end = self._lexer.part(position)
            text = b"" if part is Part.BLANK else bytes(data[position:end])
            if part is Part.COMMAND:
                self._check(text)
                yield self._taken(position, drop=end - position)
                position = 0
            elif part is not Part.STATEMENT:
                self._note(text)
                position = end
            else:
                self._complete = False
                if kept := self._keep(self._entry, text):
                    position = end
                else:
                    yield self._taken(position, drop=end - position)
                    position = 0
                if is_copy(text):
                    position = yield from self._rows(position, kept=kept)
            if position >= _BATCH:
                yield self._taken(position)
                position = 0
        yield self._taken(position)

    def _rows(self, position: int, *, kept: bool) -> Generator[bytes, None, int]:
        """Pass or drop the rows of the statement that ends at ``position``; return where to go on."""
        rows = RowScanner()
        end = rows.end(self._lexer.data, self._lexer.start_of_rows(position))
        if end < 0:
            chunk = self._taken(len(self._lexer.data))
            while end < 0:
                if kept:
                    yield chunk
                if not (chunk := pull(self._inner)):
                    raise RestoreError("The dump ends in the middle of the rows of a table: it was cut.")
                end = rows.end(chunk)
            self._lexer.data += chunk
        if kept:
            return end
        self._taken(0, drop=end)
        return 0

    def _check(self, command: bytes) -> None:
        found = _RESTRICT.fullmatch(command)
        if found is None:
            shown = command[:80].decode(errors="replace").rstrip()
            raise RestoreError(f"The dump holds the psql command {shown}, which could lead out of its database.")
        if found[1]:
            if found[2] != self._key:
                raise RestoreError("The dump's \\unrestrict does not fit its \\restrict: it was cut or altered.")
            self._key = b""
        else:
            self._key = found[2]
            self._complete = False

    def _note(self, comment: bytes) -> None:
        if comment.rstrip() == _TRAILER:
            self._complete = True
        else:
            self._entry = _header(comment) or self._entry

    def _taken(self, size: int, *, drop: int = 0) -> bytes:
        """Return the first bytes at hand, and forget them and the ``drop`` next ones."""
        piece = bytes(self._lexer.data[:size])
        del self._lexer.data[: size + drop]
        return piece


def is_plain(head: bytes) -> bool:
    """Tell by its first bytes whether a dump is SQL by pg_dump."""
    return b"\0" not in head[:4096] and _TITLE.search(head[:4096]) is not None


def leading_entries(head: bytes) -> list[Entry]:
    """Return the entries that the first bytes of a dump name; it may be cut anywhere behind ``head``.

    The extensions among them have their definitions.
    """
    # A line without its newline may be half of one.
    lexer = Lexer(io.BytesIO(head[: head.rfind(b"\n") + 1]))
    entries: list[Entry] = []
    position = 0
    # Where ``head`` ends in the middle of something, no further entry is to be found.
    with suppress(RestoreError):
        while position < len(lexer.data) or lexer.more():
            part, end = lexer.part(position)
            text = bytes(lexer.data[position:end])
            if part is Part.COMMENT and (entry := _header(text)):
                entries.append(entry)
            if part is Part.STATEMENT and entries and entries[-1].kind == "EXTENSION":
                entries[-1] = replace(entries[-1], definition=text.decode(errors="surrogateescape"))
            if part is Part.STATEMENT and is_copy(text):
                end = _behind_rows(lexer, end)
            position = end
    return entries


def _behind_rows(lexer: Lexer, position: int) -> int:
    start = lexer.start_of_rows(position)
    while (end := end_of_rows(lexer.data, start)) < 0:
        if not lexer.more():
            return len(lexer.data)
    return end


def _header(comment: bytes) -> Entry | None:
    # Names may hold anything but a newline, "; Type: ACL" included: the last of each field is the true one.
    start = next((start for start in _HEADERS if comment.startswith(start)), None)
    if start is None:
        return None
    rest, _, owner = comment[len(start) :].rpartition(b"; Owner: ")
    rest, _, schema = rest.rpartition(b"; Schema: ")
    name, found, kind = rest.rpartition(b"; Type: ")
    if not found:
        return None
    owner = owner.partition(b"; Tablespace: ")[0]
    return Entry(kind=_text(kind), schema=_text(schema), name=name.decode(errors="surrogateescape"), owner=_text(owner))


def _text(field: bytes) -> str:
    # "-" stands for none. Dumps in other encodings hold other bytes; they survive this way.
    return "" if field == b"-" else field.decode(errors="surrogateescape")
