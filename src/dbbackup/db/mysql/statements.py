"""What a statement of a dump does, and to what."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from dbbackup.db.mysql.quoting import Quoting

# These read a statement as Quoting.hide() shows it: within quotes there are only underscores.
_NAME = rb"(?:`_*+`|\"_*+\"|'_*+'|[\w$\x80-\xff]++)"
_QUALIFIED = rb"(?:(?P<database>" + _NAME + rb")\s*+\.\s*+)?(?P<name>" + _NAME + rb")"
_HOST = rb"(?:`_*+`|\"_*+\"|'_*+'|[\w$%.\x80-\xff-]++)"
_USER = rb"(?:CURRENT_(?:USER|ROLE)\b(?:\s*+\(\s*+\))?|" + _NAME + rb"(?:\s*+@\s*+" + _HOST + rb")?)"
_DEFINER = rb"(?:(?P<definer>DEFINER\s*+=\s*+(?P<user>" + _USER + rb"))\s*+)?"
_KIND = rb"(?P<kind>TABLE|VIEW|SEQUENCE|FUNCTION|PROCEDURE|PACKAGE\s++BODY|PACKAGE|TRIGGER|EVENT|DATABASE|SCHEMA)\b\s*+"
_HEADS = tuple(
    re.compile(rb"\s*+(?P<verb>" + head + _QUALIFIED, re.IGNORECASE)
    for head in (
        rb"CREATE)\s++(?:OR\s++REPLACE\s++)?(?:TEMPORARY\s++)?(?:ALGORITHM\s*+=\s*+\w++\s++)?"
        + _DEFINER
        + rb"(?:SQL\s++SECURITY\s++\w++\s++)?(?:AGGREGATE\s++)?"
        + _KIND
        + rb"(?:IF\s++NOT\s++EXISTS\s++)?",
        rb"DROP)\s++(?:TEMPORARY\s++)?" + _KIND + rb"(?:IF\s++EXISTS\s++)?",
        # ALTER DATABASE without a name is about the one in use.
        rb"ALTER)\s++" + _KIND + rb"(?!(?:DEFAULT|CHARACTER|CHARSET|COLLATE|ENCRYPTION|READ|COMMENT)\b)"
        rb"(?:IF\s++EXISTS\s++)?",
        rb"INSERT|REPLACE)\s++(?:(?:LOW_PRIORITY|DELAYED|HIGH_PRIORITY|IGNORE|INTO)\s++)*+",
        rb"USE)\b\s*+",
    )
)
_FURTHER = re.compile(rb"\s*+,\s*+" + _QUALIFIED)
_ON_TABLE = re.compile(rb"\s*+(?:BEFORE|AFTER)\s++\w++\s++ON\s++" + _QUALIFIED, re.IGNORECASE)
# As mysqldump writes it where the server has GTIDs on.
_REPLICATION = re.compile(rb"\s*+SET\s++@@(?:GLOBAL\.GTID_PURGED|SESSION\.SQL_LOG_BIN)\b", re.IGNORECASE)
_WORD = re.compile(rb"\s*+([A-Za-z_]*+)")
_COLLATION = re.compile(
    rb"(?<![\w$@.])(?:COLLATE\b\s*+=?|(?P<setting>(?:@@(?:\w++\.)?)?collation_(?:connection|database|server)\s*+:?=))"
    rb"\s*+(?P<name>" + _NAME + rb")",
    re.IGNORECASE,
)


class Name(NamedTuple):
    """What a statement calls an object."""

    database: str
    name: str


class Collation(NamedTuple):
    """Where a statement names a collation."""

    name: str
    start: int
    end: int
    is_setting: bool
    """Whether it becomes the session's collation_connection or the like."""


class Statement:
    """A statement, and what its first words say.

    ``verb`` is CREATE, DROP, ALTER, INSERT, REPLACE or USE, and empty for any other; ``kind`` is what it is done to.
    """

    def __init__(self, text: bytes, quoting: Quoting) -> None:
        self.text = text
        self.code = quoting.hide(text)
        self.first_word = _WORD.match(self.code)[1].upper().decode()  # type: ignore[index]  # it matches anything
        self._found = next(filter(None, (head.match(self.code) for head in _HEADS)), None)
        self.verb = self.first_word if self._found else ""
        self.kind = " ".join(self._group("kind").upper().split()).replace("SCHEMA", "DATABASE")

    @property
    def names(self) -> Iterator[Name]:
        """The objects; DROP may have several."""
        found = self._found
        while found:
            yield self._name(found)
            found = _FURTHER.match(self.code, found.end()) if self.verb == "DROP" else None

    @property
    def name_span(self) -> tuple[int, int]:
        """Where the first object's name begins and ends."""
        return self._found.span("name") if self._found else (0, 0)

    @property
    def table(self) -> str:
        """What a trigger is on."""
        found = self._on_table
        return self._name(found).name if found else ""

    @property
    def qualifiers(self) -> Iterator[tuple[str, int, int]]:
        """The databases that stand before the object's name and before that of a trigger's table, and where."""
        for found in (self._found, self._on_table):
            if found and "name" in found.re.groupindex and (database := self._name(found).database):
                yield database, found.start("database"), found.start("name")

    @property
    def _on_table(self) -> re.Match[bytes] | None:
        return _ON_TABLE.match(self.code, self._found.end()) if self._found and self.kind == "TRIGGER" else None

    @property
    def definer(self) -> str:
        """Who the object is to belong to, as it is written."""
        return self._group("user")

    @property
    def definer_span(self) -> tuple[int, int]:
        """Where the clause DEFINER begins and ends."""
        return self._found.span("definer") if self.definer and self._found else (0, 0)

    @property
    def sets_replication(self) -> bool:
        """Whether it is about the server's replication."""
        return _REPLICATION.match(self.code) is not None

    def collations(self) -> Iterator[Collation]:
        """Yield every collation that is named outside of strings and comments."""
        for found in _COLLATION.finditer(self.code):
            start, end = found.span("name")
            name = _unquoted(self.text[start:end]).lower()
            if name != "default":
                yield Collation(name, start, end, is_setting=bool(found["setting"]))

    def _group(self, name: str) -> str:
        if self._found is None or name not in self._found.re.groupindex or self._found[name] is None:
            return ""
        start, end = self._found.span(name)
        return _decoded(self.text[start:end])

    def _name(self, found: re.Match[bytes]) -> Name:
        database, name = found.span("database"), found.span("name")
        return Name(
            _unquoted(self.text[slice(*database)]) if database[1] > 0 else "", _unquoted(self.text[slice(*name)])
        )


def _unquoted(name: bytes) -> str:
    quote = name[:1]
    if quote in {b"`", b'"', b"'"}:
        name = name[1:-1].replace(quote * 2, quote)
    return _decoded(name)


def _decoded(text: bytes) -> str:
    # Dumps in other encodings hold other bytes; they survive this way.
    return text.decode(errors="surrogateescape")
