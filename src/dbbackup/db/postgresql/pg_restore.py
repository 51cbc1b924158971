"""pg_restore for one archive: which program, and how it is run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Protocol

from dbbackup.db.postgresql.archive import Archive
from dbbackup.db.postgresql.choices import Choices
from dbbackup.db.postgresql.contents import required_major
from dbbackup.db.postgresql.entries import Entry
from dbbackup.db.postgresql.facts import TRANSACTION_TIMEOUT_SINCE, Target
from dbbackup.db.postgresql.selection import foreign_owners
from dbbackup.db.postgresql.session import Session
from dbbackup.db.postgresql.tools import Tool, find_tool
from dbbackup.exceptions import StreamError
from dbbackup.streams import copy


class Feed(Protocol):
    """Runs the program that restores, between what RESTORE_PREFIX and RESTORE_SUFFIX say."""

    def __call__(
        self, args: Sequence[str], dump: BinaryIO | None, env: Mapping[str, str], *, whole_input: bool
    ) -> None:
        """Run it to its end; without ``whole_input`` it may leave some of the dump."""


class PgRestore:
    """Restores those ``entries`` of an archive that are wanted in a target."""

    def __init__(
        self,
        session: Session,
        archive: Archive,
        entries: Sequence[Entry],
        *,
        choices: Choices,
        target: Target,
        application: str,
    ) -> None:
        """Take the name that its connections bear as ``application``."""
        self._session = session
        self._archive = archive
        self._entries = entries
        self._choices = choices
        self._target = target
        self._application = application

    @cached_property
    def tool(self) -> Tool:
        """Return the program: new enough to read the archive, and of the server's version where there is one."""
        required = required_major(self._archive)
        return find_tool(
            "pg_restore",
            self._choices.restore_cmd,
            # The lowest that will do is the nearest to the server.
            wanted=max(self._target.major, required),
            at_least=required,
            path=self._session.path,
        )

    @property
    def speaks_past_server(self) -> bool:
        """Return whether the program says something to the server that it would not understand."""
        return self._target.major < TRANSACTION_TIMEOUT_SINCE <= self.tool.major

    def restore(self, dump: BinaryIO, feed: Feed) -> None:
        """Restore as the dump comes, over one connection."""
        how = "--single-transaction" if self._choices.single_transaction else "--exit-on-error"
        args = [self.tool.path, how, *self._connection, *self._args()]
        feed(args, dump, self._session.environment(), whole_input=not self._list)

    def restore_parallel(self, dump: BinaryIO, feed: Feed) -> None:
        """Restore from a file, because the workers all read it."""
        path = self._spooled(dump)
        args = [self.tool.path, f"--jobs={self._choices.jobs}", "--exit-on-error", *self._connection, *self._args()]
        feed([*args, str(path)], None, self._session.environment(), whole_input=True)

    def as_sql(self, dump: BinaryIO) -> BinaryIO:
        """Return the archive as SQL."""
        return self._session.start([self.tool.path, "--file=-", *self._args()], dump)

    @property
    def _connection(self) -> list[str]:
        return self._session.login.connection(self._application)

    def _args(self) -> list[str]:
        args = ["--clean", "--if-exists"] if self._choices.drops else []
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
        if len(self._entries) == len(self._archive.entries):
            return ""
        path = self._session.folder / "entries"
        path.write_text("".join(f"{entry.id};\n" for entry in self._entries))
        return str(path)

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
