"""What a statement of a SQL dump is, and whether a dump may hold it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dbbackup.db.exceptions import RestoreError
from dbbackup.db.sqlite_files import MAGIC
from dbbackup.db.sqlite_schema import fold
from dbbackup.db.sqlite_splitter import excerpt

_SPACE = r"(?:\s|--[^\n]*+(?:\n|\Z)|/\*(?:[^*]|\*(?=[^/]))*+\*/)"
_NAME = r"""(?:"(?:[^"]|"")*+"|'(?:[^']|'')*+'|`(?:[^`]|``)*+`|\[[^\]]*+\]|[^\s"'`\[;(.,/-]++)"""
_KEYWORD = re.compile(rf"{_SPACE}*+(\w*)")
_CREATE = re.compile(
    rf"{_SPACE}*+CREATE{_SPACE}++(?:UNIQUE{_SPACE}++|VIRTUAL{_SPACE}++)?(TABLE|INDEX|TRIGGER|VIEW)\b{_SPACE}*+"
    rf"(IF{_SPACE}++NOT{_SPACE}++EXISTS\b{_SPACE}*+)?(?:(?:main|\"main\"){_SPACE}*+\.{_SPACE}*+)?({_NAME})(?!{_SPACE}*+\.)",
    re.IGNORECASE,
)
_PRAGMA = re.compile(rf"{_SPACE}*+PRAGMA{_SPACE}++(\w+)\s*+(?:=\s*+|\()\s*+([\w'\"+-]+)\s*+\)?\s*+;", re.IGNORECASE)

_BLANK = re.compile(_SPACE.encode() + rb"*+")
_FOREIGN = re.compile(rb"--\s+(?:PostgreSQL|MySQL|MariaDB)\b|/\*M?!", re.IGNORECASE)
_FIRST = re.compile(
    rb"(?:BEGIN|PRAGMA|CREATE|INSERT|REPLACE|DELETE|DROP|UPDATE|ANALYZE|COMMIT|END)\b",
    re.IGNORECASE,
)

_ROWS = {"INSERT", "REPLACE", "DELETE", "UPDATE", "ANALYZE", "DROP"}
_OPENING = {"BEGIN", "COMMIT", "END"}
# Set for every load anyway.
_LOADING_PRAGMAS = {"foreign_keys", "ignore_check_constraints"}
_PRELUDE_PRAGMAS = {"page_size", "auto_vacuum", "encoding"}
_VALUE_PRAGMAS = {"user_version", "application_id"}


@dataclass(frozen=True)
class Statement:
    """One statement of a dump that may be run."""

    sql: str
    kind: str
    """"rows", "create", "transaction", "loading", "prelude", "value", or "comment"."""
    word: str = ""
    """The keyword in capitals, or the name of the pragma in small letters."""
    argument: str = ""
    """The name of what is created, or the value of the pragma, without quotes."""
    if_not_exists: bool = False

    @property
    def key(self) -> tuple[bool, str]:
        """Return what a created object has as SchemaObject.key."""
        return self.word == "TRIGGER", fold(self.argument)


def parse_statement(text: bytes) -> Statement:
    """Return what a statement is; raise RestoreError for one that no dump of a database needs.

    A dump may come from anywhere. What reaches beyond the database that is restored (ATTACH, VACUUM
    INTO, load_extension() in a SELECT) or around its rules (PRAGMA writable_schema) is not run.
    """
    try:
        sql = text.decode()
    except UnicodeDecodeError as exc:
        raise RestoreError(f"The dump is not UTF-8 in: {excerpt(text)}") from exc
    match = _KEYWORD.match(sql)
    word = match[1].upper() if match else ""
    if word in _ROWS:
        return Statement(sql, "rows", word)
    if word == "CREATE" and (created := _CREATE.match(sql)):
        kind, if_not_exists, name = created.groups()
        return Statement(sql, "create", kind.upper(), _unquoted(name), if_not_exists is not None)
    if word in _OPENING:
        return Statement(sql, "transaction", word)
    if word == "PRAGMA" and (pragma := _PRAGMA.match(sql)):
        return _parse_pragma(sql, pragma[1].lower(), _unquoted(pragma[2]))
    if not word and (match is None or match.end() == len(sql) or sql[match.end() :].strip() == ";"):
        return Statement(sql, "comment")
    raise _refusal(text)


def _parse_pragma(sql: str, name: str, value: str) -> Statement:
    for kind, names in (
        ("loading", _LOADING_PRAGMAS),
        ("prelude", _PRELUDE_PRAGMAS),
        ("value", _VALUE_PRAGMAS),
    ):
        if name in names:
            return Statement(sql, kind, name, value)
    raise _refusal(sql.encode())


def _refusal(text: bytes) -> RestoreError:
    return RestoreError(f"The dump holds a statement that is not restored, because no dump needs it: {excerpt(text)}")


def why_foreign(head: bytes) -> str | None:
    """Return why these first bytes are not of a SQL dump for SQLite, or None."""
    if not head:
        return "The dump is empty."
    if head.startswith(MAGIC):
        return "This is a SQLite database file, which SqliteBackupConnector restores, not SqliteConnector."
    blank = _BLANK.match(head)
    comments, rest = (head[: blank.end()], head[blank.end() :]) if blank else (b"", head)
    if b"\0" in head or _FOREIGN.search(comments) or (rest and not _FIRST.match(rest)):
        return f"This is not a SQL dump for SQLite. It begins with: {excerpt(head[:200])}."
    return None


def _unquoted(name: str) -> str:
    closer = {"[": "]"}.get(name[0], name[0])
    if closer not in "\"'`]" or len(name) == 1:
        return name
    inner = name[1:-1]
    return inner if closer == "]" else inner.replace(closer * 2, closer)
