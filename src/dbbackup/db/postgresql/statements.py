"""Which statements of a plain dump go into a database."""

from __future__ import annotations

import re
from dataclasses import replace

from dbbackup.db.exceptions import RestoreError
from dbbackup.db.postgresql.entries import Entry
from dbbackup.db.postgresql.facts import TRANSACTION_TIMEOUT_SINCE, Name
from dbbackup.db.postgresql.names import unquoted
from dbbackup.db.postgresql.selection import PRIVILEGES, Selection

_SET = re.compile(rb"SET (\w+) ")
# The versions of PostgreSQL that came with settings that pg_dump sets.
_SINCE = {b"transaction_timeout": TRANSACTION_TIMEOUT_SINCE, b"default_table_access_method": 12}
_SESSION = re.compile(rb"SET |SELECT pg_catalog\.set_config\(")
_DROP = re.compile(rb"DROP (EXTENSION|SCHEMA) (?:IF EXISTS )?(.+);", re.DOTALL)
_NAME = rb'("(?:[^"]|"")*"|[^\s".;]+)'
_DROP_CONSTRAINT = re.compile(
    rb"ALTER (?:FOREIGN )?TABLE (?:IF EXISTS )?(?:ONLY )?%b\.%b DROP CONSTRAINT (?:IF EXISTS )?%b;" % ((_NAME,) * 3)
)
_OWNER = re.compile(rb"ALTER .+ OWNER TO (.+);", re.DOTALL)
# pg_dump writes these around large objects.
_OF_PG_DUMP = frozenset({b"BEGIN;", b"COMMIT;"})
# Within the transaction of a restore any other would commit a half of it.
_TRANSACTION = re.compile(
    rb"(?:BEGIN|START|COMMIT|END|ROLLBACK|ABORT|PREPARE\s+TRANSACTION|SAVEPOINT|RELEASE)\b", re.IGNORECASE
)


class Statements:
    """Decide on the statements of a plain dump, one after the other; an instance is what PlainFilter asks."""

    def __init__(self, selection: Selection, *, drops: bool, whole: bool) -> None:
        """Take what is wanted, whether to drop what the dump makes, and whether all is in one transaction."""
        self._selection = selection
        self._target = selection.target
        self._drops = drops
        self._whole = whole
        self.foreign_owners: set[str] = set()
        """The roles that nothing can be given to; what they own goes to the role of the restore."""
        self.left_out: set[Name] = set()
        """The tables of extensions whose rows the role may not write."""

    def __call__(self, entry: Entry | None, statement: bytes) -> bool:
        """Return whether a statement, which belongs to an entry or stands before all of them, is wanted."""
        if statement in _OF_PG_DUMP:
            return not self._whole
        if self._whole and _TRANSACTION.match(statement):
            shown = statement[:80].decode(errors="replace")
            raise RestoreError(f"The dump holds {shown!r}, which would end the transaction of the restore.")
        if found := _SET.match(statement):
            return self._target.major >= _SINCE.get(found[1], 0)
        if entry is None:
            return bool(_SESSION.match(statement)) or (self._drops and self._wants_drop(statement))
        if entry.kind == "SCHEMA":
            entry = replace(entry, definition=statement.decode(errors="replace"))
        if entry.kind in PRIVILEGES and not self._is_ours(entry.owner):
            return False
        table = self._selection.configuration(entry)
        if table is not None and not table.writable:
            self.left_out.add((entry.schema, entry.name))
        owner = _OWNER.fullmatch(statement)
        return self._selection.wants(entry) and (
            owner is None or self._is_ours(unquoted(owner[1].decode(errors="replace")))
        )

    def _wants_drop(self, statement: bytes) -> bool:
        if found := _DROP_CONSTRAINT.fullmatch(statement):
            # They go with the parent's, which pg_dump drops after them, and the server drops them in no other way.
            key = tuple(unquoted(name.decode(errors="replace")) for name in found.groups())
            return key not in self._target.inherited_keys
        found = _DROP.fullmatch(statement)
        if found is None:
            return True
        name = unquoted(found[2].decode(errors="replace"))
        if found[1] == b"EXTENSION":
            return name not in self._target.extensions
        return not self._selection.keeps_schema(name)

    def _is_ours(self, owner: str) -> bool:
        if not owner or owner in self._target.roles:
            return True
        self.foreign_owners.add(owner)
        return False
