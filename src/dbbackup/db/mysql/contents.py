"""What a dump has in it, seen by reading all of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import BinaryIO

from dbbackup.db.exceptions import RestoreError
from dbbackup.db.kinds import kind_of
from dbbackup.db.mysql.lexer import HEAD, Lexer, Part, Piece
from dbbackup.db.mysql.names import described, quote_name
from dbbackup.db.mysql.statements import Statement
from dbbackup.db.mysql.views import CHECK_OPTION
from dbbackup.streams import chunks

_TITLE = re.compile(rb"^-- (MariaDB|MySQL) dump [\d.]++(?:-|\s++Distrib )([^\s,]++)", re.MULTILINE)
_SERVER = re.compile(rb"^-- Server version\s++(\S++)", re.MULTILINE)
_DATABASE = re.compile(rb"^-- Host: .*? Database: (.*?)\r?$", re.MULTILINE)
# What lies behind must be blank, and a comment of several lines does not end like this.
_TRAILER = re.compile(rb"(?:\A|\n)-- Dump completed(?: on [^\n*]*+)?\s*+\Z")
# The commands that the clients take at the beginning of a statement, where SQL has no such statement.
_CLIENT_COMMAND = re.compile(
    "CHARSET|CLEAR|CONNECT|COSTS|DELIMITER|EDIT|EGO|EXIT|GO|NOPAGER|NOTEE|NOWARNING|PAGER|PRINT|PROMPT|"
    "QUERY_ATTRIBUTES|QUIT|REHASH|RESETCONNECTION|SANDBOX|SOURCE|SSL_SESSION_DATA_PRINT|STATUS|SYSTEM|TEE|"
    "WARNINGS"
)
_INSERT_HEAD = re.compile(rb"(?:[^`(]|`[^`]*+`)*+")
# Rows may hold zero bytes; what stands above them may not.
_TEXT = 64
_ROUTINES = {"FUNCTION", "PROCEDURE", "PACKAGE", "PACKAGE BODY"}
_SESSION = "the session"


@dataclass
class Contents:
    """What a dump creates when it is loaded, and what else it does.

    Objects are described as "view `v`". What a dump drops again, such as the stand-ins of views, is not among them.
    """

    flavour: str = ""
    """Whose tool has written it: MariaDB, MySQL or, if it does not say, neither."""
    tool_version: str = ""
    server_version: str = ""
    database: str = ""
    """What the dump's head says it is of."""
    has_header: bool = False
    complete: bool = False
    """Whether the last thing in it is the comment that tells its end."""
    sandboxed: bool = False
    tables: set[str] = field(default_factory=set)
    views: set[str] = field(default_factory=set)
    sets_replication: bool = False
    """Whether it sets the server's place in the replication, or what the server logs for that."""
    checks_views: bool = False
    """Whether there is a view WITH CHECK OPTION."""
    sequences: set[str] = field(default_factory=set)
    routines: set[tuple[str, str]] = field(default_factory=set)
    """Types (FUNCTION, PROCEDURE, PACKAGE, PACKAGE BODY) and names."""
    triggers: dict[str, str] = field(default_factory=dict)
    """Their names, and their tables."""
    events: set[str] = field(default_factory=set)
    definers: dict[str, list[str]] = field(default_factory=dict)
    """As they are written, with their objects."""
    collations: dict[str, list[str]] = field(default_factory=dict)
    """In lower case, with the objects that need them; "the session" for what is set for no object."""
    other_databases: list[str] = field(default_factory=list)
    """Statements that name a database, and so may reach into another one than it is loaded into."""
    names_itself: bool = False
    """Whether its own database stands before the name of a trigger, as somebody has created it."""
    altered_databases: set[str] = field(default_factory=set)
    largest: int = 0
    """The bytes of its longest statement."""
    problems: list[str] = field(default_factory=list)


def scan(dump: BinaryIO) -> Contents:
    """Read a dump to its end and return what it has; RestoreError if it was cut."""
    lexer = Lexer()
    survey = _Survey()
    for chunk in chunks(dump):
        for piece in lexer.feed(chunk):
            survey.take(piece)
    for piece in lexer.finish():
        survey.take(piece)
    return survey.result(lexer.commands)


class _Survey:
    def __init__(self) -> None:
        self._contents = Contents()
        # In the order of their first appearance.
        self._elsewhere: dict[str, None] = {}
        self._problems: dict[str, None] = {}
        # Set for the object that is created next.
        self._settings: list[str] = []
        # Of the INSERT that goes on.
        self._size = 0
        self._in_head = True
        self._insert_head = b""

    def take(self, piece: Piece) -> None:
        contents = self._contents
        if piece.part is Part.SPACE:
            if self._in_head:
                self._read_header(piece.text)
            contents.complete = is_end(piece.text)
            return
        contents.complete = False
        if piece.part is Part.SANDBOX:
            contents.sandboxed = True
            return
        self._in_head = False
        if piece.part is Part.DELIMITER:
            return
        if not piece.is_data:
            self._read(Statement(piece.text, piece.quoting))
        elif not self._size:
            self._read_insert(piece)
        self._size += len(piece.text)
        if piece.is_last:
            contents.largest = max(contents.largest, self._size)
            self._size = 0

    def result(self, commands: set[bytes]) -> Contents:
        self._belong_to(_SESSION)
        contents = self._contents
        contents.other_databases = list(self._elsewhere)
        contents.problems = list(self._problems)
        for command in sorted(commands):
            shown = command.decode(errors="backslashreplace")
            contents.problems.append(f"It holds {shown} outside of a string, a command for the client.")
        return contents

    def _read_header(self, comments: bytes) -> None:
        contents = self._contents
        if title := _TITLE.search(comments):
            contents.has_header = True
            contents.tool_version = title[2].decode(errors="replace")
            # MariaDB's tool has called itself MySQL's for a long time.
            contents.flavour = "MariaDB" if b"MariaDB" in title[0] else "MySQL"
        if server := _SERVER.search(comments):
            contents.server_version = server[1].decode(errors="replace")
        if database := _DATABASE.search(comments):
            contents.database = database[1].decode(errors="surrogateescape")

    def _read_insert(self, piece: Piece) -> None:
        # One after the other they go into the same table.
        head = _INSERT_HEAD.match(piece.text[:HEAD])
        if head and head[0] != self._insert_head:
            self._insert_head = head[0]
            self._note_databases(Statement(piece.text[:HEAD], piece.quoting))

    def _read(self, statement: Statement) -> None:
        self._contents.sets_replication = self._contents.sets_replication or statement.sets_replication
        if _CLIENT_COMMAND.fullmatch(statement.first_word):
            self._problems[f"It holds {statement.first_word}, a command for the client."] = None
        self._note_databases(statement)
        names = [name.name for name in statement.names]
        if statement.verb == "CREATE":
            self._create(statement, names[0])
        elif statement.verb == "DROP":
            for name in names:
                self._drop(statement.kind, name)
        elif statement.verb == "ALTER" and statement.kind == "DATABASE":
            self._contents.altered_databases.add(names[0])
        self._note_collations(statement)

    def _note_databases(self, statement: Statement) -> None:
        for name in statement.names:
            if statement.verb == "USE" or (statement.kind == "DATABASE" and statement.verb in {"CREATE", "DROP"}):
                shown = f"{statement.verb} {statement.kind} {quote_name(name.name)}"
            elif name.database and name.database == self._contents.database and statement.kind == "TRIGGER":
                self._contents.names_itself = True
                continue
            elif name.database:
                what = statement.kind or "INTO"
                shown = f"{statement.verb} {what} {quote_name(name.database)}.{quote_name(name.name)}"
            else:
                continue
            self._elsewhere[" ".join(shown.split())] = None

    def _create(self, statement: Statement, name: str) -> None:
        contents, kind = self._contents, statement.kind
        if kind == "VIEW":
            contents.tables.discard(name)
            contents.checks_views = contents.checks_views or CHECK_OPTION.search(statement.text) is not None
        if kind in _ROUTINES:
            contents.routines.add((kind, name))
        elif kind == "TRIGGER":
            contents.triggers[name] = statement.table
        elif (names := self._names(kind)) is not None:
            names.add(name)
        if statement.definer:
            contents.definers.setdefault(statement.definer, []).append(described(kind, name))

    def _drop(self, kind: str, name: str) -> None:
        self._contents.routines.discard((kind, name))
        if kind == "TRIGGER":
            self._contents.triggers.pop(name, None)
        elif (names := self._names(kind)) is not None:
            names.discard(name)

    def _names(self, kind: str) -> set[str] | None:
        contents = self._contents
        kinds = {"TABLE": contents.tables, "VIEW": contents.views, "SEQUENCE": contents.sequences}
        return (kinds | {"EVENT": contents.events}).get(kind)

    def _note_collations(self, statement: Statement) -> None:
        owner = _SESSION
        if statement.kind and (name := next(statement.names, None)):
            owner = described(statement.kind, name.name)
        if statement.verb == "CREATE" and statement.kind not in {"TABLE", "SEQUENCE", "DATABASE"}:
            self._belong_to(owner)
        for collation in statement.collations():
            if collation.is_setting:
                self._belong_to(_SESSION)
                self._settings = [collation.name]
            else:
                self._needs(collation.name, owner)

    def _belong_to(self, owner: str) -> None:
        for collation in self._settings:
            self._needs(collation, owner)
        self._settings = []

    def _needs(self, collation: str, owner: str) -> None:
        owners = self._contents.collations.setdefault(collation, [])
        if owner not in owners[-1:]:
            owners.append(owner)


def is_end(text: bytes) -> bool:
    """Return whether a text ends in the comment with which the dump programs end."""
    return _TRAILER.search(text) is not None


def check_head(head: bytes) -> None:
    """Raise RestoreError if a dump that begins like this is not SQL for these servers."""
    if not head:
        raise RestoreError("The dump is empty.")
    found = kind_of(head)
    if not found and b"\0" in head[:_TEXT]:
        found = "not text"
    if found:
        raise RestoreError(
            f"This is no dump of MySQL or MariaDB: it is {found}. Where a DUMP_SUFFIX has changed it, a RESTORE_PREFIX "
            'has to change it back ("gunzip |").'
        )
