"""How names and texts are written in SQL."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

_ESCAPES = {"n": "\n", "t": "\t", "0": "\0", "\\": "\\"}


def quote_name(name: str) -> str:
    """Return a name as SQL writes it, whatever characters it has."""
    return "`" + name.replace("`", "``") + "`"


def described(kind: str, name: str) -> str:
    """Return an object for people, from how information_schema calls its kind."""
    word = "table" if kind in {"BASE TABLE", "SYSTEM VERSIONED"} else kind.lower()
    return f"{word} {quote_name(name)}"


def quote_text(text: str) -> str:
    """Return a text as an SQL constant; sql_mode must not have NO_BACKSLASH_ESCAPES."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def quote_scope(database: str) -> str:
    """Return everything in a database as a GRANT writes it, where % and _ stand for any characters."""
    return quote_name(re.sub(r"([\\%_])", r"\\\1", database)) + ".*"


def quote_account(account: str) -> str:
    """Return an account as a GRANT writes it, from how CURRENT_USER() does."""
    user, _, host = account.rpartition("@")
    return f"{quote_text(user)}@{quote_text(host)}"


def lock_name(database: str) -> str:
    """Return the name of the lock that a restore of a database holds."""
    # A name has at most 64 characters, and is the whole server's. Some servers take no notice of case.
    return f"dbbackup restore {hashlib.sha256(database.lower().encode(errors='surrogateescape')).hexdigest()[:32]}"


def rows(printed: str) -> Iterator[list[str]]:
    """Yield the columns of each line that a client printed in its batch mode; NULL is the word."""
    for line in printed.split("\n"):
        if line:
            yield [_unescaped(column) for column in line.split("\t")]


def _unescaped(column: str) -> str:
    return re.sub(r"\\([nt0\\])", lambda found: _ESCAPES[found[1]], column) if "\\" in column else column
