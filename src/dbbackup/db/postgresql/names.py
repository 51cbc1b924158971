"""How names and texts are written in SQL and in connection strings."""

from __future__ import annotations

from collections.abc import Iterable


def quote_name(name: str) -> str:
    """Return a name as SQL writes it, whatever characters it has."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """Return a text as an SQL constant, whatever standard_conforming_strings says."""
    doubled = text.replace("'", "''")
    return f"'{doubled}'" if "\\" not in doubled else " E'" + doubled.replace("\\", "\\\\") + "'"


def quote_texts(texts: Iterable[str]) -> str:
    """Return texts as an SQL array."""
    return f"ARRAY[{', '.join(map(quote_text, texts))}]::text[]"


def quote_parameter(value: str) -> str:
    r"""Return a value as a libpq connection string writes it, where \ and ' are escaped."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def unquoted(written: str) -> str:
    """Return a name as it is, from how SQL writes it."""
    return written[1:-1].replace('""', '"') if written.startswith('"') else written
