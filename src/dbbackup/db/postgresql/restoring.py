"""A restore: what stands in its way, then the programs that do it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Protocol

from dbbackup.db.exceptions import CommandConnectorError, DatabaseLockedError, RestoreError
from dbbackup.db.postgresql.blockers import Watcher, new_application
from dbbackup.db.postgresql.choices import Choices
from dbbackup.db.postgresql.contents import Contents, required_major
from dbbackup.db.postgresql.exact import empty_schemas, removals
from dbbackup.db.postgresql.extensions import Step, missing_beside, steps
from dbbackup.db.postgresql.facts import TARGET, Name, Target, written
from dbbackup.db.postgresql.names import quote_name
from dbbackup.db.postgresql.obstacles import check, speaks_past
from dbbackup.db.postgresql.plain import PlainFilter
from dbbackup.db.postgresql.selection import OWNERS, Selection, foreign_owners, leftovers, tables_in
from dbbackup.db.postgresql.session import NO_LIMITS, Session
from dbbackup.db.postgresql.statements import Statements
from dbbackup.db.postgresql.tools import Tool, find_tool
from dbbackup.exceptions import DBBackupError, StreamError
from dbbackup.streams import IteratorReader, chunks, copy


class Feed(Protocol):
    """Runs the program that restores, between what RESTORE_PREFIX and RESTORE_SUFFIX say."""

    def __call__(
        self, args: Sequence[str], dump: BinaryIO | None, env: Mapping[str, str], *, whole_input: bool
    ) -> None:
        """Run it to its end; without ``whole_input`` it may leave some of the dump."""


class Restorer:
    """Puts one dump into one database."""

    def __init__(self, session: Session, alias: str, contents: Contents, choices: Choices) -> None:
        """Ask the server what it has."""
        self._session = session
        self._alias = alias
        self._contents = contents
        self._choices = choices
        self._application = new_application()
        self._look()

    def _look(self) -> None:
        """Ask the server what it has; everything after that goes by the last answer."""
        choices = self._choices
        self._said = self._session.ask({**TARGET, **OWNERS, **(removals(choices.scope) if choices.exact else {})})
        self._target = Target.from_answers(self._said)
        crowded = set()
        if self._contents.archive and not choices.exact:
            others = leftovers(self._target, tables_in(self._contents.entries), ())
            crowded = {schema for schema, _ in others}
        self._selection = Selection(
            self._target, choices.schemas, frozenset(self._said["schemas_of_others"]), frozenset(crowded)
        )
        self._entries = [entry for entry in self._contents.entries if self._selection.wants(entry)]

    @property
    def tools(self) -> dict[str, Tool]:
        """Return the programs that the restore takes, by their names."""
        found = {"pg_restore": self._pg_restore, "psql": self._session.psql}
        return {name: tool for name, tool in found.items() if tool is not None}

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
            if self._contents.archive is None:
                self._run_sql(dump, feed, notify)
            elif self._choices.jobs > 1:
                self._run_parallel(dump, feed)
            elif self._choices.exact or self._beyond_pg_restore:
                args = [self._pg_restore_path, "--file=-", *self._pg_restore_args(drop=self._choices.drop)]
                self._run_sql(self._session.start(args, dump), feed, notify)
            else:
                how = "--single-transaction" if self._choices.single_transaction else "--exit-on-error"
                args = [how, *self._connection, *self._pg_restore_args(drop=self._choices.drop)]
                feed([self._pg_restore_path, *args], dump, self._session.environment(), whole_input=not self._list)

    def _run_parallel(self, dump: BinaryIO, feed: Feed) -> None:
        """Restore from a file, because the workers all read it."""
        path = self._spooled(dump)
        # An exact restore with workers is one into an empty database, where nothing is to be dropped.
        drop = self._choices.drop and not self._choices.exact
        args = [f"--jobs={self._choices.jobs}", "--exit-on-error", *self._connection, *self._pg_restore_args(drop=drop)]
        feed([self._pg_restore_path, *args, str(path)], None, self._session.environment(), whole_input=True)

    def _spooled(self, dump: BinaryIO) -> Path:
        path = self._session.folder / "dump"

        def write(chunk: bytes) -> None:
            view = memoryview(chunk)
            try:
                while view:
                    view = view[file.write(view) :]
            except OSError as exc:
                raise StreamError(
                    f"Cannot write the dump to {path.parent}, where {self._choices.jobs} jobs read it: "
                    f"{exc.strerror or exc}. Make room there, or set DBBACKUP_TMP_DIR to another folder."
                ) from exc

        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=0) as file:
            copy(dump, write)
        return path

    def _run_sql(self, sql: BinaryIO, feed: Feed, notify: Callable[[str], None]) -> None:
        """Feed SQL to psql, all of it in one transaction that only a dump read to its end commits."""
        statements = Statements(
            self._selection, drops=self._choices.drop and not self._choices.exact, whole=self._choices.whole
        )
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
        writable = {name: found for name, found in self._target.configuration.items() if found.writable}
        if self._contents.archive:
            return [(entry.schema, entry.name) for entry in self._entries if self._selection.configuration(entry)]
        # A plain dump does not say at its beginning, but one with an extension has its rows.
        dumped = {entry.name for entry in self._contents.entries if entry.kind == "EXTENSION"}
        return [name for name, found in writable.items() if found.extension in dumped]

    @property
    def _beyond_pg_restore(self) -> list[str]:
        """Return why an archive must become SQL first: what pg_restore alone cannot do."""
        if self._contents.archive is None:
            return []
        inherited = {(schema, f"{table} {key}") for schema, table, key in self._target.inherited_keys}
        keys = {(entry.schema, entry.name) for entry in self._entries if entry.kind == "CONSTRAINT"}
        drops = self._choices.drop and not self._choices.exact
        reasons = {
            f"pg_restore {self._pg_restore} sets what a server of version {self._target.version} does not know": (
                speaks_past(self._pg_restore, self._target)
            ),
            "keys of partitioned tables are dropped in another order": drops and not inherited.isdisjoint(keys),
            "rows of an extension's tables are replaced": bool(self._rows_of_extensions()),
            "the schema public has to be made first": self._lacks_public,
        }
        return [reason for reason, given in reasons.items() if given]

    @property
    def _lacks_public(self) -> bool:
        """Return whether the schema public is gone, which a dump of a whole database does not make."""
        made = any(
            entry.kind == "SCHEMA"
            and entry.name == "public"
            and "CREATE SCHEMA" in (entry.definition or "CREATE SCHEMA")
            for entry in self._entries
        )
        needed = any(entry.schema == "public" for entry in self._entries)
        return needed and not made and "public" not in self._target.schemas

    @cached_property
    def _pg_restore(self) -> Tool | None:
        """Return the program for an archive: new enough to read it, and of the server's version where there is one."""
        if self._contents.archive is None:
            return None
        required = required_major(self._contents.archive)
        return find_tool(
            "pg_restore",
            self._choices.restore_cmd,
            # The lowest that will do is the nearest to the server.
            wanted=max(self._target.major, required),
            at_least=required,
            path=self._session.path,
        )

    @property
    def _pg_restore_path(self) -> str:
        assert self._pg_restore is not None
        return self._pg_restore.path

    @property
    def _connection(self) -> list[str]:
        return self._session.login.connection(self._application)

    def _pg_restore_args(self, *, drop: bool) -> list[str]:
        args = ["--clean", "--if-exists"] if drop and not self._choices.exact else []
        if foreign_owners(self._entries, self._target):
            args += ["--no-owner", "--no-privileges"]
        if self._choices.role:
            args.append(f"--role={self._choices.role}")
        if self._list:
            args.append(f"--use-list={self._list}")
        # What is chosen by a name that nothing has is a mistake, not nothing.
        strict = ["--strict-names"] if self._choices.selective else []
        return [*args, *strict, *self._choices.pg_options]

    @cached_property
    def _list(self) -> str:
        """Return the path of a list of the entries that are wanted, empty when all are."""
        if len(self._entries) == len(self._contents.entries):
            return ""
        path = self._session.folder / "entries"
        path.write_text("".join(f"{entry.id};\n" for entry in self._entries))
        return str(path)

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
        watcher.start()
        try:
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
