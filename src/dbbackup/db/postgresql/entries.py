"""What a dump consists of, in pg_dump's own words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One object of a dump, as its table of contents or the comment above it names it."""

    kind: str
    """What it is: "TABLE", "TABLE DATA", "SCHEMA", "EXTENSION", "COMMENT", "ACL" and so on."""
    schema: str
    """The schema it is in; empty for what is in none, schemas themselves among them."""
    name: str
    """Its tag; of a COMMENT or an ACL, the kind and name of its object: "EXTENSION hstore"."""
    owner: str
    """The role that owns it; empty where none does."""
    id: int = 0
    """Its number in an archive; 0 in a plain dump."""
    definition: str = ""
    """The SQL that makes it; in a plain dump only that of an extension."""
