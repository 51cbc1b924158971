"""How strings, names and comments of a dump end; the SQL mode has a say in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache

from dbbackup.db.exceptions import RestoreError

_PLAIN = rb"[^%(q)s]*+"
_ESCAPED = rb"[^%(q)s\\]*+(?:\\.[^%(q)s\\]*+)*+"
# The clients take an optimizer hint (/*+) for a comment as well.
_COMMENT = rb"/\*(?!M?!)(?:[^*]|\*(?!/))*+(?:\*/)?"
_LINE = rb"(?:\#|--(?=[\s\0]|\Z))[^\n]*+"

_SET = re.compile(rb"\s*+(?:/\*M?!\d*+\s*+)?SET\b", re.IGNORECASE)
_SQL_MODE = re.compile(rb"(?:(?<![@\w.])|@@(?:(?:session|local)\.)?)sql_mode\s*+:?=\s*+([^;]*+)", re.IGNORECASE)
_LITERAL = re.compile(rb"'[^']*+'|\"[^\"]*+\"")
# Modes that the server spells out with ANSI_QUOTES among what they consist of; a person does not.
_ANSI = re.compile(rb"\b(?:ANSI|ANSI_QUOTES|DB2|MAXDB|MSSQL|ORACLE|POSTGRESQL)\b", re.IGNORECASE)
_NO_ESCAPES = re.compile(rb"\bNO_BACKSLASH_ESCAPES\b", re.IGNORECASE)


@dataclass(frozen=True)
class Quoting:
    """What quotes and backslashes mean. Dumps set the mode of each routine before they create it."""

    ansi: bool = False
    """Double quotes are around names, in which a backslash is nothing special."""
    escapes: bool = True
    """A backslash in a string takes the next byte with it."""

    def after(self, statement: bytes) -> Quoting:
        """Return what holds behind a statement, which may have set the mode."""
        if not _SET.match(statement) or not (found := _SQL_MODE.search(statement)):
            return self
        # A variable gives back the mode from before, which is the one that the dump's head has set.
        literal = _LITERAL.match(found[1])
        mode = literal[0] if literal else b""
        return Quoting(ansi=bool(_ANSI.search(mode)), escapes=not _NO_ESCAPES.search(mode))

    def inside(self, quote: bytes) -> re.Pattern[bytes]:
        """Return a pattern of what goes on within quotes, up to the one that ends it or to half of an escape."""
        return _inside(self, quote)

    def skip(self, delimiter: bytes) -> re.Pattern[bytes]:
        """Return a pattern of everything up to what needs a closer look: see Lexer."""
        return _skip(self, delimiter)

    def hide(self, statement: bytes) -> bytes:
        """Return a statement as code alone, byte for byte in the same place.

        What is within quotes becomes underscores; comments, and what makes a version comment of code, become blanks.
        """
        return _hidden(self).sub(_hide, statement)


@cache
def _inside(quoting: Quoting, quote: bytes) -> re.Pattern[bytes]:
    return re.compile(_interior(quoting, quote), re.DOTALL)


def _interior(quoting: Quoting, quote: bytes) -> bytes:
    is_name = quote == b"`" or (quote == b'"' and quoting.ansi)
    return (_ESCAPED if quoting.escapes and not is_name else _PLAIN) % {b"q": quote}


# Possessive, so that nothing is looked at twice. What could open something counts only when the byte behind
# it is there.
@lru_cache
def _skip(quoting: Quoting, delimiter: bytes) -> re.Pattern[bytes]:
    special = {quote: quote + _interior(quoting, quote) + quote for quote in (b"'", b'"', b"`")}
    special |= {b"-": rb"-(?=[^-])", b"/": rb"/(?=[^*])"}
    # The clients look for the delimiter before anything else.
    first = delimiter[:1]
    special.pop(first, None)
    plain = rb"[^'\"`#/\\\-" + re.escape(first) + rb"]*+"
    choices = b"|".join(choice + plain for choice in special.values())
    return re.compile(plain + rb"(?:" + choices + rb")*+", re.DOTALL)


@cache
def _hidden(quoting: Quoting) -> re.Pattern[bytes]:
    quoted = b"|".join(quote + _doubled(quoting, quote) + quote for quote in (b"'", b'"', b"`"))
    return re.compile(quoted + rb"|/\*M?!\d*+|\*/(?!\*)|" + _COMMENT + rb"|" + _LINE, re.DOTALL)


def _doubled(quoting: Quoting, quote: bytes) -> bytes:
    interior = _interior(quoting, quote)
    return rb"%(i)s(?:%(q)s%(q)s%(i)s)*+" % {b"i": interior, b"q": quote}


def _hide(match: re.Match[bytes]) -> bytes:
    text = match[0]
    if text[:1] in {b"'", b'"', b"`"}:
        return text[:1] + b"_" * (len(text) - 2) + text[:1]
    return b" " * len(text)


def delimiter_of(line: bytes) -> bytes:
    """Return what a DELIMITER line makes the delimiter; RestoreError if the clients would not take it."""
    if len(line.split()) < 2 and not line.endswith(b"\n"):
        raise RestoreError("The dump was cut: it ends inside a line DELIMITER.")
    argument = (line.split(None, 1)[1:] or [b""])[0].strip()
    quote = argument[:1]
    if quote in {b"'", b'"', b"`"}:
        delimiter = argument[1:].partition(quote)[0]
    else:
        delimiter = (argument.split(None, 1) or [b""])[0]
    if not delimiter or b"\\" in delimiter:
        raise RestoreError("The dump holds a line DELIMITER that names no delimiter.")
    return delimiter
