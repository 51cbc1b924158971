"""The table of contents of a custom-format archive, read from its first bytes.

The layout is that of PostgreSQL's src/bin/pg_dump: ReadHead(), ReadToc(), ReadInt() and ReadStr() in
pg_backup_archiver.c, _ReadExtraToc() in pg_backup_custom.c.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dbbackup.db.exceptions import RestoreError
from dbbackup.db.postgresql.entries import Entry

_MAGIC = b"PGDMP"
# 9.0 wrote the oldest of these. What a newer minor version adds shows up as damage, if it moves anything.
_OLDEST = (1, 12)
_ACCESS_METHOD_SINCE = (1, 14)
_ALGORITHM_BYTE_SINCE = (1, 15)
_RELKIND_SINCE = (1, 16)
_CUSTOM = 1

_FIRST_PEEK = 64 * 1024
# No definition comes near it, and a damaged length must not bring the whole dump into memory.
_LONGEST_STRING = 64 * 1024 * 1024


@dataclass(frozen=True)
class Archive:
    """What an archive says of itself before its data."""

    version: tuple[int, int]
    """Of the format: (1, 14)."""
    server: str
    """The version of the server that was dumped, in its own words."""
    tool: str
    """The version of the pg_dump that wrote it."""
    database: str
    """The name of the database that was dumped."""
    entries: tuple[Entry, ...]
    """What is in it, in its order."""
    size: int
    """The bytes that all this takes: the data begin behind them."""


def is_archive(head: bytes) -> bool:
    """Tell by its first bytes whether a dump is an archive of pg_dump."""
    return head.startswith(_MAGIC)


def read_archive(peek: Callable[[int], bytes]) -> Archive:
    """Read the table of contents of a custom-format archive.

    ``peek(size)`` returns the first ``size`` bytes of it, fewer only when it is shorter. Raise RestoreError
    for what is cut, damaged, or in another format.
    """
    return _Reader(peek).archive()


class _Reader:
    def __init__(self, peek: Callable[[int], bytes]) -> None:
        self._peek = peek
        self._data = b""
        self._position = 0
        self._version = (0, 0)
        # Bytes of a whole number and of an offset into the file.
        self._int_size = self._offset_size = 0

    def archive(self) -> Archive:
        self._read_format()
        # When it was made: second to year, and whether in summer time.
        for _ in range(7):
            self._int()
        database, server, tool = self._text(), self._text(), self._text()
        count = self._int()
        _check(server != "" and tool != "" and count >= 0)
        entries = tuple(self._entry() for _ in range(count))
        return Archive(self._version, server, tool, database, entries, self._position)

    def _read_format(self) -> None:
        if not is_archive(self._take(len(_MAGIC))):
            raise RestoreError("The dump is not an archive of pg_dump.")
        major, minor, _revision, self._int_size, self._offset_size, form = self._take(6)
        self._version = (major, minor)
        if self._version < _OLDEST or major > _OLDEST[0]:
            raise RestoreError(
                f"The archive has version {major}.{minor} of its format; versions 1.12 and later ones of 1 can be read."
            )
        if form != _CUSTOM:
            raise RestoreError("The archive is not in pg_dump's custom format. Dump with --format=custom.")
        _check(0 < self._int_size <= 8 and 0 < self._offset_size <= 8)
        self._take(1 if self._version >= _ALGORITHM_BYTE_SINCE else 1 + self._int_size)

    def _entry(self) -> Entry:
        number, has_data = self._int(), self._int()
        _check(number > 0 and has_data in {0, 1})
        # The object's place in the system catalogs.
        _check(_is_number(self._string()) and _is_number(self._string()))
        name, kind = self._text(), self._text()
        section = self._int()
        _check(kind != "" and 1 <= section <= 4)
        definition = self._text()
        # How to drop it, and how to copy its rows.
        self._string()
        self._string()
        schema = self._text()
        # Tablespace and access method.
        self._string()
        if self._version >= _ACCESS_METHOD_SINCE:
            self._string()
        if self._version >= _RELKIND_SINCE:
            self._int()
        owner = self._text()
        with_oids = self._string()
        _check(with_oids in {b"true", b"false"})
        while (dependency := self._string()) is not None:
            _check(_is_number(dependency))
        # Whether and where it has data.
        _check(1 <= self._take(1 + self._offset_size)[0] <= 3)
        return Entry(kind=kind, schema=schema, name=name, owner=owner, id=number, definition=definition)

    def _text(self) -> str:
        # Archives of databases in other encodings hold other bytes; they survive this way.
        return (self._string() or b"").decode(errors="surrogateescape")

    def _string(self) -> bytes | None:
        length = self._int()
        if length == -1:
            return None
        _check(0 <= length <= _LONGEST_STRING)
        string = self._take(length)
        _check(b"\0" not in string)
        return string

    def _int(self) -> int:
        raw = self._take(1 + self._int_size)
        value = int.from_bytes(raw[1:], "little")
        return -value if raw[0] else value

    def _take(self, size: int) -> bytes:
        end = self._position + size
        if end > len(self._data):
            self._data = self._peek(max(end, 2 * len(self._data), _FIRST_PEEK))
            if end > len(self._data):
                raise RestoreError("The dump ends in its table of contents: it was cut.")
        piece = self._data[self._position : end]
        self._position = end
        return piece


def _is_number(string: bytes | None) -> bool:
    return string is not None and string.isdigit()


def _check(plausible: bool) -> None:
    if not plausible:
        raise RestoreError(
            "The dump's table of contents is damaged, or in a newer version of the format than can be read."
        )
