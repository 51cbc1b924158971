"""Take everything out of a database."""

from __future__ import annotations

from collections.abc import Collection

from dbbackup.db.exceptions import CommandConnectorError, DatabaseLockedError
from dbbackup.db.mysql.errors import is_gone, is_locked
from dbbackup.db.mysql.facts import Facts, find_facts
from dbbackup.db.mysql.names import quote_name
from dbbackup.db.mysql.session import Session
from dbbackup.db.mysql.watching import execute

_KINDS = {"VIEW": "VIEW", "SEQUENCE": "SEQUENCE", "BASE TABLE": "TABLE", "SYSTEM VERSIONED": "TABLE"}
# A view may have been made of a table and the other way round; a package's body goes with it.
_ORDER = ("VIEW", "BASE TABLE", "SYSTEM VERSIONED", "SEQUENCE")


def check_locks(session: Session) -> None:
    """Raise DatabaseLockedError if another session has a table in use, as an open transaction that has read it does.

    It would hold up a restore halfway, and putting back what was there before as well.
    """
    if not (tables := find_facts(session).base_tables):
        return
    wanted = ", ".join(f"{quote_name(name)} WRITE" for name in tables)
    try:
        execute(session, f"LOCK TABLES {wanted};\nUNLOCK TABLES")
    except CommandConnectorError as exc:
        # Others come of triggers that are broken, and of rights that only they need.
        if is_locked(exc):
            raise DatabaseLockedError(f"{exc}\nNothing was changed.") from exc
        if is_gone(exc):
            raise


def empty(session: Session, *, keep: Collection[str] = ()) -> None:
    """Drop every object of the database but the tables to ``keep``, with what hangs on them."""
    facts = find_facts(session)
    if statements := dropping(facts, keep=keep):
        execute(session, ";\n".join(["SET SESSION foreign_key_checks = 0", *statements]))


def dropping(facts: Facts, *, keep: Collection[str] = ()) -> list[str]:
    """Return the statements that drop everything but the tables to ``keep``."""
    statements = [f"DROP EVENT IF EXISTS {quote_name(name)}" for name in facts.events]
    statements += [
        f"DROP {_KINDS[kind]} IF EXISTS {quote_name(name)}"
        for kind in _ORDER
        for name in facts.kinds(kind)
        if name not in keep
    ]
    routines = [f"DROP {kind} IF EXISTS {quote_name(name)}" for kind, name in facts.routines if "PACKAGE" not in kind]
    packages = [f"DROP PACKAGE IF EXISTS {quote_name(name)}" for kind, name in facts.routines if kind == "PACKAGE"]
    # Before MariaDB 11, that mode alone knows packages.
    return [*statements, *routines, *(["SET SESSION sql_mode = 'ORACLE'"] if packages else []), *packages]
