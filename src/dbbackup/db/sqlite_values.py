"""Rows of SQLite as the text of SQL: what is written here is read back to the same bits."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import NoneType
from typing import Any

from dbbackup.db.exceptions import DumpError

# SQLite reads a decimal fraction with the processor's long double where there is one, and rounds a second
# time to a double: of texts with 6 places about one in 5,000 comes out one bit off. With up to 4 places
# both roundings agree, because 5**4 is less than 2**10, the ratio of the two precisions.
_PLAIN_STEP = 100.0
_MILLION = 1e6
# Below it, a number times a million is an integer that a double holds exactly.
_DECIMAL_LIMIT = 1e8
# Adding and subtracting 1.5 * 2**52 rounds a double to an integer, without making an integer of it.
_ROUNDER = 6755399441055744.0
# Below it, every integer is a double.
_INTEGER_LIMIT = 2**53
# The largest power of two that is a 64-bit integer.
_SHIFT = 62
_STATEMENT_EXPRESSIONS = 100
"""SQLite takes time quadratic in the number of expressions of a statement: at 100 it is noise."""


def real_literal(value: float) -> bytes:
    """Return SQL that every build of SQLite evaluates to exactly this number.

    Where the decimal text is not safe, it is an integer divided by another: both are exact, and a division
    is rounded once, everywhere alike.
    """
    if -_DECIMAL_LIMIT < value < _DECIMAL_LIMIT:
        millionths = value * _MILLION + _ROUNDER - _ROUNDER
        if millionths / _MILLION == value:
            return b"%d/1e6" % millionths if millionths % _PLAIN_STEP else repr(value).encode()
    elif math.isinf(value):
        return b"9e999" if value > 0 else b"-9e999"
    numerator, denominator = value.as_integer_ratio()
    if abs(numerator) <= _INTEGER_LIMIT and denominator <= 1 << _SHIFT:
        return b"%d.0/%d" % (numerator, denominator) if denominator > 1 else b"%d.0" % numerator
    return _scaled_integer(value).encode()


def _scaled_integer(value: float) -> str:
    """Return an odd integer of at most 53 bits, multiplied or divided by powers of two one after another."""
    mantissa, exponent = math.frexp(value)
    integer = int(mantissa * _INTEGER_LIMIT)
    zeros = (integer & -integer).bit_length() - 1
    exponent += zeros - 53
    operator = "/" if exponent < 0 else "*"
    steps = [min(_SHIFT, abs(exponent) - done) for done in range(0, abs(exponent), _SHIFT)]
    return f"{integer >> zeros}.0" + "".join(f"{operator}{1 << step}" for step in steps)


def text_literal(text: bytearray, encoding: str) -> bytes:
    """Return SQL for a text of a database in this encoding; ``text`` is in UTF-8 in any case."""
    if b"\0" not in text and b"\r" not in text and _is_utf8(text):
        return b"'" + bytes(text).replace(b"'", b"''") + b"'"
    stored = bytes(text)
    if encoding != "UTF-8":
        try:
            # SQLite gives half of a surrogate pair as three bytes.
            stored = stored.decode("utf-8", "surrogatepass").encode(encoding, "surrogatepass")
        except UnicodeDecodeError as exc:
            raise DumpError("A text is not valid UTF-16 and cannot be written as SQL.") from exc
    # In a literal, a NUL would end the statement, the sqlite3 program drops a carriage return at the end of a
    # line, and Python passes nothing on that is not UTF-8.
    return b"CAST(X'%b' AS TEXT)" % stored.hex().encode()


def blob_literal(blob: bytes) -> bytes:
    """Return SQL for a blob."""
    return b"X'%b'" % blob.hex().encode()


class InsertWriter:
    """Rows of one table as INSERT statements.

    ``into`` names the table and its columns, ``encoding`` is that of the database.
    """

    def __init__(self, into: str, encoding: str) -> None:
        self._into = into.encode()
        self._literals: dict[type, Callable[[Any], bytes]] = {
            int: b"%d".__mod__,
            float: real_literal,
            bytes: blob_literal,
            bytearray: partial(text_literal, encoding=encoding),
            NoneType: lambda _: b"NULL",
        }

    def statements(self, rows: Sequence[tuple[Any, ...]]) -> Iterator[bytes]:
        """Yield statements for these rows, in which texts are bytearray and blobs are bytes."""
        formats: list[bytes] = []
        columns: list[Sequence[Any]] = []
        expressions = 0
        for column in zip(*rows, strict=True):
            form, literals, count = self._column(column)
            formats.append(form)
            columns.append(literals)
            expressions += count
        template = b"(" + b",".join(formats) + b")"
        lines = [template % row for row in zip(*columns, strict=True)]
        step = max(1, len(lines) * _STATEMENT_EXPRESSIONS // max(expressions, _STATEMENT_EXPRESSIONS))
        for first in range(0, len(lines), step):
            yield b"INSERT INTO %b VALUES\n%b;\n" % (self._into, b",\n".join(lines[first : first + step]))

    def _column(self, column: Sequence[Any]) -> tuple[bytes, Sequence[Any], int]:
        """Return how to format the values of a column, the values, and how many of them are expressions."""
        kinds = set(map(type, column))
        if kinds == {int}:
            return b"%d", column, 0
        if kinds == {bytearray}:
            # All at once, which takes a third of the time.
            joined = b"\0".join(column)
            if joined.count(b"\0") == len(column) - 1 and b"\r" not in joined and _is_utf8(joined):
                return b"'%b'", joined.replace(b"'", b"''").split(b"\0"), 0
        if kinds == {int, NoneType}:
            return b"%b", [b"NULL" if value is None else b"%d" % value for value in column], 0
        literal = self._literals
        literals = [literal[type(value)](value) for value in column]
        return b"%b", literals, b"".join(literals).count(b"/") if float in kinds else 0


def _is_utf8(text: bytes | bytearray) -> bool:
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
