"""Views that are checked: loaded in an order that the servers take."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from dbbackup.db.mysql.lexer import Lexer, Part, Piece
from dbbackup.streams import StreamReader, pull

# As the dump programs write it, behind the view.
CHECK_OPTION = re.compile(rb"/\*!50002 WITH (?:CASCADED|LOCAL) CHECK OPTION \*/(?=;\s*\Z)")
_VIEW = re.compile(rb"\s*(/\*!50001 CREATE) ALGORITHM=")
# What holds for the views that follow.
_SETTING = re.compile(
    rb"\s*/\*!50001 SET (character_set_client|character_set_results|collation_connection) += \w+ \*/;"
)


class CheckedViews(StreamReader):
    """Pass on a dump in which every view WITH CHECK OPTION comes a second time, at the end; the first time without.

    The dump programs write views by their names, and a view cannot be checked as long as what it builds on is still
    the stand-in of a view (error 1368).
    """

    def __init__(self, dump: BinaryIO) -> None:
        self._inner = dump
        self._settings: dict[bytes, bytes] = {}
        self._again: list[bytes] = []
        self._pieces = self._passed()
        super().__init__(dump)

    def _next_chunk(self) -> bytes:
        return next(filter(None, self._pieces), b"")

    def _passed(self) -> Iterator[bytes]:
        lexer = Lexer()
        while chunk := pull(self._inner):
            yield b"".join(map(self._first, lexer.feed(chunk)))
        yield b"".join(map(self._first, lexer.finish()))
        yield b"\n".join([*self._again, b""])

    def _first(self, piece: Piece) -> bytes:
        """Return a piece as it comes in its place, and keep in mind what comes again."""
        text = piece.text
        if piece.part is not Part.STATEMENT:
            return text
        if setting := _SETTING.match(text):
            self._settings[setting[1]] = text
        elif (found := CHECK_OPTION.search(text)) and (view := _VIEW.match(text)):
            again = text[: view.end(1)] + b" OR REPLACE" + text[view.end(1) :]
            self._again += [*self._settings.values(), again]
            return text[: found.start()] + text[found.end() :]
        return text
