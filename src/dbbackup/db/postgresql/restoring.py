"""A restore: what stands in its way, then the programs that do it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from dbbackup.db.exceptions import CommandConnectorError, DatabaseLockedError, RestoreError
from dbbackup.db.postgresql.blockers import Watcher, new_application
from dbbackup.db.postgresql.choices import Choices
from dbbackup.db.postgresql.contents import Contents
from dbbackup.db.postgresql.exact import empty_schemas, removals
from dbbackup.db.postgresql.extensions import Step, missing_beside, steps
from dbbackup.db.postgresql.facts import TARGET, Name, Target, written
from dbbackup.db.postgresql.names import quote_name
from dbbackup.db.postgresql.obstacles import check
from dbbackup.db.postgresql.pg_restore import Feed, PgRestore
from dbbackup.db.postgresql.plain import PlainFilter
from dbbackup.db.postgresql.selection import Selection, leftovers, makes_schema, tables_in
from dbbackup.db.postgresql.session import NO_LIMITS, Session
from dbbackup.db.postgresql.statements import Statements
from dbbackup.db.postgresql.tools import Tool
from dbbackup.exceptions import DBBackupError
from dbbackup.streams import IteratorReader, chunks


class Restorer:
    """Puts one dump into one database."""

    def __init__(self, session: Session, alias: str, contents: Contents, choices: Choices) -> None:
        """Ask the server what it has."""
        self._session = session
        self._alias = alias
        self._contents = contents
        self._choices = choices
        self._application = new_application()
        self._pg_restore: PgRestore | None = None
        self._look()

    def _look(self) -> None:
        """Ask the server what it has; everything after that goes by the last answer."""
        choices = self._choices
        self._said = self._session.ask({**TARGET, **(removals(choices.scope) if choices.exact else {})})
        self._target = Target.from_answers(self._said)
        crowded = set()
        if self._contents.archive and not choices.exact:
            others = leftovers(self._target, tables_in(self._contents.entries), ())
            crowded = {schema for schema, _ in others}
        self._selection = Selection(self._target, choices.schemas, frozenset(crowded))
        self._entries = [entry for entry in self._contents.entries if self._selection.wants(entry)]
        if archive := self._contents.archive:
            self._pg_restore = PgRestore(
                self._session,
                archive,
                self._entries,
                choices=choices,
                target=self._target,
                application=self._application,
            )

    @property
    def tools(self) -> dict[str, Tool]:
        """Return the programs that the restore takes, by their names."""
        tools = {"psql": self._session.psql}
        if self._pg_restore:
            tools["pg_restore"] = self._pg_restore.tool
        return tools

    def preflight(self) -> list[str]:
        """Return what should be known before the restore; raise RestoreError with all that makes it impossible."""
        return check(
            self._alias,
            self._contents,
            self._selection,
            self._choices,
            tools=self.tools,
            said=self._said,
            beyond_pg_restore=self._beyond_pg_restore,
        )

    def run(self, dump: BinaryIO, feed: Feed, notify: Callable[[str], None]) -> None:
        """Restore; raise the program's error with the state that it leaves, or DatabaseLockedError."""
        with self._watched(notify), self._extensions_made():
            if self._pg_restore is None:
                self._run_sql(dump, feed, notify)
            elif self._choices.jobs > 1:
                self._pg_restore.restore_parallel(dump, feed)
            elif self._choices.exact or self._beyond_pg_restore:
                self._run_sql(self._pg_restore.as_sql(dump), feed, notify)
            else:
                self._pg_restore.restore(dump, feed)

    def _run_sql(self, sql: BinaryIO, feed: Feed, notify: Callable[[str], None]) -> None:
        """Feed SQL to psql, all of it in one transaction that only a dump read to its end commits."""
        statements = Statements(self._selection, drops=self._choices.drops, whole=self._choices.whole)
        dump = PlainFilter(sql, statements)

        def script() -> Iterator[bytes]:
            # The dump says the same at its beginning, but that comes behind what is ours.
            yield f"SET client_encoding = 'UTF8';\n{NO_LIMITS}\nSET default_transaction_read_only = off;\n".encode()
            yield f"{self._session.set_role}\n".encode()
            yield b"BEGIN;\n" if self._choices.whole else b""
            yield self._preamble().encode()
            # Whatever the dump holds, psql runs no command of it.
            restricted, key = self._session.psql.knows_restrict, secrets.token_hex(16)
            yield f"\\restrict {key}\n".encode() if restricted else b""
            yield from chunks(dump)
            if not dump.complete:
                raise RestoreError("The dump lacks pg_dump's last line: it was cut.")
            yield f"\n\\unrestrict {key}\n".encode() if restricted else b"\n"
            yield b"COMMIT;\n" if self._choices.whole else b""

        args = self._session.psql_args(application=self._application)
        feed(args, IteratorReader(script(), dump), self._session.environment(), whole_input=True)
        if statements.foreign_owners:
            notify(
                f"Nothing can be given to {', '.join(sorted(statements.foreign_owners))}: what they owned now belongs "
                f"to {self._target.role}, without its privileges."
            )
        if statements.left_out:
            rows = ", ".join(map(written, sorted(statements.left_out)))
            notify(f"The rows of {rows}, of an extension, are left out: {self._target.role} may not write there.")

    def _preamble(self) -> str:
        """Return the SQL that goes before the dump, in the same transaction."""
        sql = empty_schemas(self._choices.scope) if self._choices.exact else ""
        if self._lacks_public:
            # As initdb makes it.
            everybody = "USAGE" if self._target.major >= 15 else "ALL"
            sql += f"CREATE SCHEMA public; GRANT {everybody} ON SCHEMA public TO PUBLIC;\n"
        for extension in missing_beside(self._contents.entries, self._choices.extensions):
            sql += f"CREATE EXTENSION IF NOT EXISTS {quote_name(extension)};\n"
        # The extension stays, and with it the user's rows in its tables, which the dump has as well.
        for schema, name in self._rows_of_extensions() if self._choices.drop else ():
            condition = self._target.configuration[schema, name].condition
            sql += f"DELETE FROM {quote_name(schema)}.{quote_name(name)} {condition};\n"
        return sql

    def _rows_of_extensions(self) -> list[Name]:
        """Return the tables of extensions whose rows the dump brings, of which those of the user are there already."""
        if self._contents.archive:
            return [(entry.schema, entry.name) for entry in self._entries if self._selection.configuration(entry)]
        # A plain dump does not say at its beginning, but one with an extension has its rows.
        dumped = {entry.name for entry in self._contents.entries if entry.kind == "EXTENSION"}
        tables = self._target.configuration.items()
        return [name for name, found in tables if found.writable and found.extension in dumped]

    @property
    def _beyond_pg_restore(self) -> list[str]:
        """Return why an archive must become SQL first: what pg_restore alone cannot do."""
        if self._pg_restore is None:
            return []
        inherited = {(schema, f"{table} {key}") for schema, table, key in self._target.inherited_keys}
        keys = {(entry.schema, entry.name) for entry in self._entries if entry.kind == "CONSTRAINT"}
        reasons = {
            f"pg_restore {self._pg_restore.tool} sets what a server of version {self._target.version} does not know": (
                self._pg_restore.speaks_past_server
            ),
            "keys of partitioned tables are dropped in another order": (
                self._choices.drops and not inherited.isdisjoint(keys)
            ),
            "rows of an extension's tables are replaced": bool(self._rows_of_extensions()),
            "the schema public has to be made first": self._lacks_public,
        }
        return [reason for reason, given in reasons.items() if given]

    @property
    def _lacks_public(self) -> bool:
        """Return whether the schema public is gone, which a dump of a whole database does not make."""
        made = any(entry.name == "public" and makes_schema(entry) for entry in self._entries)
        needed = any(entry.schema == "public" for entry in self._entries)
        return needed and not made and "public" not in self._target.schemas

    @contextmanager
    def _extensions_made(self) -> Iterator[None]:
        """Have the admin make what the role may not, and take it away again when the restore fails."""
        admin, made = self._choices.admin, list[Step]()
        try:
            if admin is not None:
                for step in steps(self._contents.entries, self._choices.extensions, self._target):
                    self._session.execute(step.do, admin)
                    made.append(step)
            if made:
                self._look()
            yield
        except BaseException:
            for step in reversed(made):
                # The first error is the one to tell.
                with suppress(DBBackupError):
                    self._session.execute(step.undo, admin)
            raise

    @contextmanager
    def _watched(self, notify: Callable[[str], None]) -> Iterator[None]:
        watcher = Watcher(
            self._session,
            self._application,
            operation="restore",
            deadline=self._choices.lock_timeout,
            notify=notify,
            admin=self._choices.admin,
            terminate=self._choices.terminate,
        )
        try:
            watcher.start()
            yield
            watcher.wait_for_end()
        except (DBBackupError, OSError) as exc:
            watcher.stop()
            if watcher.gave_up:
                raise DatabaseLockedError(f"{watcher.error()} {self._state}") from exc
            if (told := self._with_state(exc)) is not exc:
                raise told from exc
            raise
        except BaseException:
            # Ctrl-C ends the program here, but not what it waits for over there, with all its locks.
            watcher.end_operation()
            raise
        finally:
            watcher.stop()

    def _with_state(self, error: Exception) -> Exception:
        """Return an error that says what it leaves; one of the source that leaves nothing stays as it is."""
        told = f"{error}\n{self._state}"
        if isinstance(error, CommandConnectorError):
            return CommandConnectorError(told, returncode=error.returncode, stderr=error.stderr)
        return RestoreError(told) if isinstance(error, RestoreError) or not self._choices.whole else error

    @property
    def _state(self) -> str:
        """Return what a failed restore leaves."""
        if self._choices.whole:
            return "The database is as it was."
        return (
            f"Not in one transaction: database {self._alias!r} now has a part of the backup. "
            "Remove the cause and restore again, with --exact to begin from nothing."
        )
