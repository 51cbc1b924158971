"""Where in a plain dump its comments, statements and rows end: as psql sees it, in time linear in their length."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import BinaryIO

from dbbackup.db.exceptions import RestoreError
from dbbackup.streams import pull

# Strings are read as with standard_conforming_strings on; where it was off, pg_dump doubled their backslashes,
# and they end in the same place.
# Everything up to what opens or closes something, ends the statement, or may be incomplete: a word, and what
# could open something, count only when the byte behind them is there. Possessive, so that nothing is looked
# at twice. A word takes the "$" in it, so that what is left over opens a dollar-quoted string.
_SKIP = re.compile(
    rb"""(?:
        [^\w\x80-\xff'"$;()/-]++ | [0-9]++ | '[^']*+' | "[^"]*+"
        | (?!e'|(?:begin|case|end)(?![\w$\x80-\xff]))[a-z_\x80-\xff][\w$\x80-\xff]*+(?=[^\w$\x80-\xff])
        | \$(?=[0-9]|(?:[a-z_\x80-\xff][\w\x80-\xff]*+)?[^\w$\x80-\xff])
        | -(?=[^-]) | /(?=[^*])
    )*+""",
    re.VERBOSE | re.IGNORECASE,
)
_TOKEN = re.compile(
    rb"""(?P<end>;) | (?P<open>\() | (?P<close>\)) | (?P<quote>['"]) | (?P<escape>e') | (?P<line>--) | (?P<comment>/\*)
        | (?P<dollar>\$(?:[a-z_\x80-\xff][\w\x80-\xff]*+)?\$)
        | (?P<begin>begin(?=[^\w$\x80-\xff])) | (?P<case>case(?=[^\w$\x80-\xff]))
        | (?P<finish>end(?=[^\w$\x80-\xff]))""",
    re.VERBOSE | re.IGNORECASE,
)
_ESCAPED = re.compile(rb"(?:[^'\\]++|\\[\s\S]|'')*+")
_COMMENT = re.compile(rb"/\*|\*/")
# psql lets a carriage return end a comment, not a command.
_COMMENT_END = re.compile(rb"[\r\n]")
_COMMAND_END = re.compile(rb"\n")
_SPACE = re.compile(rb"\s*+")
# psql looks for BEGIN ATOMIC … END in these only.
_FUNCTION = re.compile(rb"CREATE\s+(?:OR\s+REPLACE\s+)?(?:FUNCTION|PROCEDURE)\b", re.IGNORECASE)
_COPY = re.compile(rb"COPY\b", re.IGNORECASE)
_QUOTED = re.compile(rb"""'[^']*+'|"[^"]*+"|--[^\r\n]*+|/\*.*?\*/""", re.DOTALL)
_FROM_STDIN = re.compile(rb"\bFROM\s+STDIN\b", re.IGNORECASE)

_LAST_ROW = b"\n\\."
# Of the rows that have passed, what can be the first part of the line that ends them.
_TAIL = 4


class Part(Enum):
    """What a plain dump consists of."""

    BLANK = auto()
    COMMENT = auto()
    """From "--" to the end of its line, or between "/*" and "*/"."""
    COMMAND = auto()
    """A line for psql itself: \\connect, \\restrict, \\unrestrict."""
    STATEMENT = auto()


class Lexer:
    """The bytes of a dump that are at hand in ``data``; whoever has used some of them deletes them."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self.data = bytearray()

    def more(self) -> bool:
        """Have more bytes at hand; False at the end of the dump."""
        chunk = pull(self._source)
        self.data += chunk
        return bool(chunk)

    def part(self, start: int) -> tuple[Part, int]:
        """Return what begins at ``start``, where at least one byte is, and where it ends.

        Raise RestoreError if it has no end.
        """
        while len(self.data) - start < 2 and self.more():
            pass
        head = bytes(self.data[start : start + 2])
        if head[:1].isspace():
            return Part.BLANK, _end(_SPACE, self.data, start)
        if head == b"--":
            return Part.COMMENT, self._end_of_line(start, _COMMENT_END)
        if head == b"/*":
            return Part.COMMENT, self._end_of_comment(start)
        if head[:1] == b"\\":
            return Part.COMMAND, self._end_of_line(start, _COMMAND_END)
        return Part.STATEMENT, self._end_of_statement(start)

    def start_of_rows(self, position: int) -> int:
        """Return where the line ends that a COPY statement is on: its rows begin with that line's newline."""
        return self._behind(b"\n", position) - 1

    def _end_of_statement(self, start: int) -> int:
        position, parentheses, blocks = start, 0, 0
        while True:
            position = _end(_SKIP, self.data, position)
            kind, end = self._token(position)
            if kind == "end" and not parentheses and not blocks:
                return end
            if kind == "open":
                parentheses += 1
            elif kind == "close":
                parentheses = max(0, parentheses - 1)
            elif kind in {"begin", "case", "finish"} and not parentheses and _FUNCTION.match(self.data, start):
                blocks = _nested(blocks, kind)
            position = end

    def _token(self, position: int) -> tuple[str, int]:
        """Return the name and the end of what _SKIP stopped at."""
        while (match := _TOKEN.match(self.data, position)) is None:
            # Only what may go on in the next chunk is no token.
            self._need_more()
            if (end := _end(_SKIP, self.data, position)) > position:
                return "", end
        kind, text, end = match.lastgroup or "", match.group(), match.end()
        # A match holds on to the buffer, which could not grow.
        del match
        if kind in {"quote", "dollar"}:
            # A doubled quote is the end of one string and the beginning of the next.
            end = self._behind(text, end)
        elif kind == "escape":
            end = self._end_of_escaped(end)
        elif kind == "line":
            end = self._end_of_line(end, _COMMENT_END)
        elif kind == "comment":
            end = self._end_of_comment(position)
        return kind, end

    def _end_of_escaped(self, position: int) -> int:
        while True:
            position = _end(_ESCAPED, self.data, position)
            # A last byte alone may be half of an escape or of a doubled quote.
            if position + 1 < len(self.data):
                return position + 1
            self._need_more()

    def _end_of_comment(self, position: int) -> int:
        depth = 0
        while True:
            match = _COMMENT.search(self.data, position)
            if match is None:
                position = max(position, len(self.data) - 1)
                self._need_more()
                continue
            depth += 1 if match.group() == b"/*" else -1
            position = match.end()
            if not depth:
                return position

    def _end_of_line(self, position: int, pattern: re.Pattern[bytes]) -> int:
        """Return where the line ends, without its newline: at the end of the dump, if there is none."""
        while (match := pattern.search(self.data, position)) is None:
            position = len(self.data)
            if not self.more():
                return position
        return match.start()

    def _behind(self, closer: bytes, position: int) -> int:
        while (end := self.data.find(closer, position)) < 0:
            position = max(position, len(self.data) - len(closer) + 1)
            self._need_more()
        return end + len(closer)

    def _need_more(self) -> None:
        if not self.more():
            raise RestoreError("The dump ends in the middle of a statement: it was cut.")


class RowScanner:
    """Finds the end of the rows that follow a COPY statement, chunk by chunk."""

    def __init__(self) -> None:
        self._tail = b""

    def end(self, chunk: bytes | bytearray, start: int = 0) -> int:
        """Return where in ``chunk`` the rows end, behind the newline of their last line; -1 if they do not.

        What comes first of all is the newline of the statement.
        """
        seam = self._tail + bytes(chunk[start : start + _TAIL])
        if (end := end_of_rows(seam)) >= 0:
            return start + end - len(self._tail)
        if (end := end_of_rows(chunk, start)) >= 0:
            return end
        self._tail = (self._tail + bytes(chunk[max(start, len(chunk) - _TAIL) :]))[-_TAIL:]
        return -1


def end_of_rows(data: bytes | bytearray, position: int = 0) -> int:
    """Return where in ``data`` the line ends that ends rows; -1 if it is not there."""
    while (position := data.find(_LAST_ROW, position)) >= 0:
        position += len(_LAST_ROW)
        for newline in (b"\n", b"\r\n"):
            if data.startswith(newline, position):
                return position + len(newline)
    return -1


def is_copy(statement: bytes) -> bool:
    """Tell whether rows follow a statement."""
    return bool(_COPY.match(statement) and _FROM_STDIN.search(_QUOTED.sub(b" ", statement)))


def _nested(blocks: int, kind: str) -> int:
    """Return how many ENDs a function lacks after a word: CASE has one of its own."""
    if kind == "finish":
        return max(0, blocks - 1)
    return blocks + 1 if blocks or kind == "begin" else 0


def _end(pattern: re.Pattern[bytes], data: bytearray, position: int) -> int:
    match = pattern.match(data, position)
    return match.end() if match else position
