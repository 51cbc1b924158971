"""Take everything out of a database."""

from __future__ import annotations

from collections.abc import Collection

from dbbackup.db.mysql.facts import Facts, find_facts
from dbbackup.db.mysql.names import quote_name
from dbbackup.db.mysql.session import Session
from dbbackup.db.mysql.watching import execute

# In the order in which they go. A view may have been made of a table and the other way round.
_KINDS = {"VIEW": "VIEW", "BASE TABLE": "TABLE", "SYSTEM VERSIONED": "TABLE", "SEQUENCE": "SEQUENCE"}


def empty(session: Session, *, keep: Collection[str] = ()) -> None:
    """Drop every object of the database but the tables to ``keep``, with what hangs on them."""
    facts = find_facts(session)
    if statements := dropping(facts, keep=keep):
        execute(session, ";\n".join(["SET SESSION foreign_key_checks = 0", *statements]))


def dropping(facts: Facts, *, keep: Collection[str] = ()) -> list[str]:
    """Return the statements that drop everything but the tables to ``keep``."""
    statements = [f"DROP EVENT IF EXISTS {quote_name(name)}" for name in facts.events]
    statements += [
        f"DROP {word} IF EXISTS {quote_name(name)}"
        for kind, word in _KINDS.items()
        for name in facts.kinds(kind)
        if name not in keep
    ]
    routines = [f"DROP {kind} IF EXISTS {quote_name(name)}" for kind, name in facts.routines if "PACKAGE" not in kind]
    # The body of a package goes with it.
    packages = [f"DROP PACKAGE IF EXISTS {quote_name(name)}" for kind, name in facts.routines if kind == "PACKAGE"]
    # Before MariaDB 11, that mode alone knows packages.
    return [*statements, *routines, *(["SET SESSION sql_mode = 'ORACLE'"] if packages else []), *packages]
