"""Where in a dump its statements, rows and comments end: as the clients see it, in time linear in their length."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from dbbackup.db.exceptions import RestoreError
from dbbackup.db.mysql.quoting import Quoting, delimiter_of

# What decides how a statement is read; bounded, so that it is at hand or the dump is at its end.
_HEAD = re.compile(rb"(?P<version>/\*M?!(?P<digits>\d{0,6}+)\s{0,20}+)?(?P<word>[\w$\x80-\xff]{0,16}+)")
_SPACE = re.compile(rb"\s*+")
_LINE_END = re.compile(rb"[ \t]{0,8}+\r?+\n?+")
_COMMENT = re.compile(rb"(?P<line>#|--(?=[\s\0]|\Z))|/\*(?!M?!)")
# Where a statement could begin, the clients take a comment without a blank.
_COMMENT_BETWEEN = re.compile(rb"(?P<line>#|--)|/\*(?!M?!)")
# The first bytes of what may become one of these.
_HALF_COMMENT = re.compile(rb"(?:--?|/(?:\*M?)?)\Z")
# An INSERT's first piece has this much of it, or all.
HEAD = 512
_LONGEST_HALF = len(b"/*M!")
_BOM = b"\xef\xbb\xbf"
_QUOTES = {b"'", b'"', b"`"}
# What max_allowed_packet can be at most; no server takes a longer statement.
_LONGEST = 1024 * 1024 * 1024
# Neither values nor comments.
_SHOWN = re.compile(
    rb"\s*+\w*+(?:`[^`]*`|(?!\b(?:VALUES|SELECT|SET|AS)\b|--|/\*)[^'\"(;`#])*",
    re.IGNORECASE,
)
_VERSION = re.compile(rb"/\*M?!\d*|\*/")


class Part(Enum):
    """What a dump consists of."""

    SPACE = auto()
    """Blank lines and comments between statements."""
    SANDBOX = auto()
    r"""The line /*M!999999\- …*/ that newer tools begin with."""
    DELIMITER = auto()
    """A DELIMITER line, for the client itself."""
    STATEMENT = auto()
    """Any statement but INSERT and REPLACE, with its delimiter."""
    DATA = auto()
    """A part of an INSERT or REPLACE, which ends with its delimiter."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of a dump."""

    text: bytes
    part: Part
    is_last: bool
    """Whether a statement ends here; always so but within DATA."""
    quoting: Quoting
    """How a statement is to be read."""

    @property
    def is_data(self) -> bool:
        """Whether these are rows."""
        return self.part is Part.DATA


class Lexer:
    """Take a dump in chunks of any size; give it back in pieces that add up to it.

    Memory holds two chunks, and the statement at hand unless it is INSERT or REPLACE.
    """

    def __init__(self) -> None:
        self.commands: set[bytes] = set()
        r"""Commands for the client, such as \!, that stand outside of strings."""
        self._data = b""
        # All before the position has been looked at, all before the start has been handed on or is held.
        self._start = self._position = 0
        self._held: list[bytes] = []
        self._held_size = 0
        self._part = Part.SPACE
        # The beginning of the INSERT or REPLACE that pieces have been handed on of.
        self._head = b""
        self._delimiter = b";"
        self._quoting = Quoting()
        # The quote that is open, or "#", "/*".
        self._open = b""
        self._at_line_start = self._at_beginning = True
        self._final = False

    def feed(self, chunk: bytes) -> Iterator[Piece]:
        """Yield the pieces that this chunk completes. To be exhausted before the next call."""
        rest = self._data[self._start :]
        self._data = rest + chunk if rest else chunk
        self._position -= self._start
        self._start = 0
        while following := self._scan():
            if text := self._taken():
                yield Piece(text, self._part, is_last=True, quoting=self._quoting)
            self._enter(following, text)
        if self._part is not Part.DATA or (not self._head and self._size < HEAD):
            self._hold()
        elif text := self._taken():
            self._head = self._head or text[:HEAD]
            yield Piece(text, Part.DATA, is_last=False, quoting=self._quoting)

    def finish(self) -> Iterator[Piece]:
        """Yield what is left; RestoreError if the dump ends where it cannot end."""
        self._final = True
        yield from self.feed(b"")
        if self._open or self._part is not Part.SPACE:
            raise RestoreError(f"The dump was cut: it ends inside {self._whereabouts()}.")
        if self._delimiter != b";":
            shown = self._delimiter.decode(errors="replace")
            raise RestoreError(f"The dump was cut: it ends before the delimiter {shown} has been changed back.")
        if text := self._taken():
            yield Piece(text, Part.SPACE, is_last=True, quoting=self._quoting)

    @property
    def _size(self) -> int:
        return self._held_size + self._position - self._start

    def _taken(self) -> bytes:
        """Return all that has been looked at, and forget it."""
        if not self._held:
            start, self._start = self._start, self._position
            return self._data[start : self._position]
        self._hold()
        text = self._held[0] if len(self._held) == 1 else b"".join(self._held)
        self._held.clear()
        self._held_size = 0
        return text

    def _hold(self) -> None:
        if self._position > self._start:
            self._held.append(self._data[self._start : self._position])
            self._held_size += self._position - self._start
            self._start = self._position
        if self._held_size > _LONGEST:
            raise RestoreError(f"The dump holds a statement longer than any server takes: {_excerpt(self._held[0])}")

    def _enter(self, part: Part, text: bytes) -> None:
        """Leave the part that ``text`` ends."""
        if self._part is Part.DELIMITER:
            self._delimiter = delimiter_of(text)
        elif self._part is Part.STATEMENT:
            self._quoting = self._quoting.after(text)
        if self._part is not Part.SPACE:
            self._at_line_start = text.endswith(b"\n")
        self._head = b""
        self._part = part

    # Each of these moves the position, and returns what follows when its part ends there; None if it may go on.

    def _scan(self) -> Part | None:
        if self._part is Part.SPACE:
            return self._scan_space()
        if self._part is Part.DELIMITER:
            return self._scan_line()
        if self._part is Part.SANDBOX:
            return self._scan_sandbox()
        return self._scan_statement()

    def _scan_space(self) -> Part | None:
        while not self._open or self._close():
            self._skip_space()
            if self._position == len(self._data) or self._is_half():
                return None
            if self._data.startswith(self._delimiter, self._position) or not self._open_comment(_COMMENT_BETWEEN):
                return self._beginning()
        return None

    def _skip_space(self) -> None:
        if self._at_beginning and self._data.startswith(_BOM, self._position):
            self._position += len(_BOM)
        end = _end(_SPACE, self._data, self._position)
        self._at_line_start = self._at_line_start or b"\n" in self._data[self._position : end]
        self._position = end

    def _beginning(self) -> Part | None:
        """Return what begins at the position."""
        head = _HEAD.match(self._data, self._position)
        assert head is not None
        behind = self._data[head.end() : head.end() + 2]
        if len(behind) < 2 and not self._final:
            return None
        self._at_beginning = False
        word = head["word"].upper()
        if head["digits"] == b"999999" and behind == b"\\-":
            self._open = b"/*"
            return Part.SANDBOX
        if word == b"DELIMITER" and not head["version"] and self._at_line_start:
            return Part.DELIMITER
        return Part.DATA if word in {b"INSERT", b"REPLACE"} else Part.STATEMENT

    def _scan_line(self) -> Part | None:
        end = self._data.find(b"\n", self._position) + 1
        self._position = end or len(self._data)
        return Part.SPACE if end or self._final else None

    def _scan_sandbox(self) -> Part | None:
        if self._open and not self._close():
            return None
        end = _end(_LINE_END, self._data, self._position)
        if end == len(self._data) and self._data[end - 1 :] != b"\n" and not self._final:
            return None
        self._position = end
        return Part.SPACE

    def _scan_statement(self) -> Part | None:
        skip = self._quoting.skip(self._delimiter)
        while not self._open or self._close():
            self._position = _end(skip, self._data, self._position)
            if self._data.startswith(self._delimiter, self._position):
                self._position += len(self._delimiter)
                return Part.SPACE
            if self._position == len(self._data) or self._is_half() or not self._pass_token():
                return None
        return None

    def _pass_token(self) -> bool:
        """Move behind what the skipping stopped at; False if it needs the next chunk."""
        token = self._data[self._position : self._position + 2]
        if token[:1] in _QUOTES:
            self._open = token[:1]
            self._position += 1
        elif token[:1] == b"\\":
            if len(token) < 2:
                return False
            # \N stands for NULL; of anything else the clients take two bytes, a quote among them.
            if token != b"\\N":
                self.commands.add(token)
            self._position += 2
        elif not self._open_comment(_COMMENT):
            self._position += 1
        return True

    def _open_comment(self, pattern: re.Pattern[bytes]) -> bool:
        found = pattern.match(self._data, self._position)
        if found:
            self._open = b"#" if found["line"] else b"/*"
            self._position = found.end()
        return bool(found)

    def _close(self) -> bool:
        """Move behind the end of what is open; False if it is not there yet."""
        if self._open in _QUOTES:
            self._position = _end(self._quoting.inside(self._open), self._data, self._position)
            ended = self._data.startswith(self._open, self._position)
            self._position += ended
        elif self._open == b"#":
            end = self._data.find(b"\n", self._position) + 1
            self._position = end or len(self._data)
            self._at_line_start = True
            ended = bool(end) or self._final
        else:
            end = self._data.find(b"*/", self._position) + 2
            ended = end > 1
            # A "*" may be the first half of the end.
            self._position = end if ended else max(self._position, len(self._data) - 1)
            self._at_line_start = False
        if ended:
            self._open = b""
        return ended

    def _is_half(self) -> bool:
        """Tell whether the next chunk decides what the position is at."""
        if self._final or len(self._data) - self._position >= max(len(self._delimiter), _LONGEST_HALF):
            return False
        rest = self._data[self._position : self._position + max(len(self._delimiter), len(_BOM))]
        if _HALF_COMMENT.match(self._data, self._position) or _is_first_half(rest, self._delimiter):
            return True
        return self._at_beginning and _is_first_half(rest, _BOM)

    def _whereabouts(self) -> str:
        kind = "a string" if self._open in {b"'", b'"'} else {b"`": "a name", b"/*": "a comment"}.get(self._open, "")
        if self._part in {Part.SPACE, Part.SANDBOX}:
            return kind
        statement = f"the statement {_excerpt(self._head or self._taken())}"
        return f"{kind} of {statement}" if kind else statement


def _is_first_half(rest: bytes, of: bytes) -> bool:
    return len(rest) < len(of) and of.startswith(rest)


def _end(pattern: re.Pattern[bytes], data: bytes, position: int) -> int:
    match = pattern.match(data, position)
    return match.end() if match else position


def _excerpt(statement: bytes) -> str:
    """Return the beginning of a statement on one line, without values."""
    head = _VERSION.sub(b"", statement[:HEAD])
    shown = head[: _end(_SHOWN, head, 0)].decode(errors="replace")
    return " ".join(shown.split())[:80]
