"""MongoDB by its own tools: mongodump and mongorestore."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from types import MappingProxyType
from typing import Any, BinaryIO

from dbbackup.db.base import BaseCommandDBConnector
from dbbackup.db.mongodb.archive import Archive
from dbbackup.db.mongodb.by_hand import by_hand, careful, pattern
from dbbackup.db.mongodb.dumping import DumpPlan, DumpReader, plan_dump
from dbbackup.db.mongodb.errors import ServerError, advice, is_transient, last_words
from dbbackup.db.mongodb.facts import count_documents, find_facts
from dbbackup.db.mongodb.locking import DatabaseLock
from dbbackup.db.mongodb.login import Login
from dbbackup.db.mongodb.obstacles import Choices
from dbbackup.db.mongodb.reading import check_head, read_dump
from dbbackup.db.mongodb.restoring import Programs, Restorer
from dbbackup.db.mongodb.session import Session
from dbbackup.db.mongodb.tools import Tool
from dbbackup.db.running import with_shell
from dbbackup.streams import IteratorReader, PeekableReader, ProgramReader, StreamReader, chunks, spool

_PIPED = "piped"
"""Among the limits of a dump: that a program of the user's has changed it."""
_OPLOG = "oplog"


class MongoDumpConnector(BaseCommandDBConnector):
    """Dump to an archive with mongodump, restore it with mongorestore."""

    accepts_stream = True
    reads_twice = True

    dump_cmd = "mongodump"
    restore_cmd = "mongorestore"
    auth_source: str = ""
    """The database that the user was made in; by default admin, else the database itself."""
    client: dict[str, Any] = {}
    """The connection in the form that djongo has for it; HOST, PORT, USER and PASSWORD go before it."""
    object_check: bool = True
    """Whether every document is validated before it is inserted."""
    drop: bool = True
    """Whether a restore replaces the collections that it brings; otherwise it adds documents to them."""
    oplog: bool = False
    """Whether the whole server is dumped, as of one moment, and restored likewise."""
    allow_empty: bool = False
    """Whether a database without collections may be dumped."""
    exact: bool = False
    """Whether a restore also removes collections that the backup has not."""
    safety_dump: bool = True
    """Whether a restore first dumps what is there, and puts that back if it fails."""

    _plan: DumpPlan | None = None
    _excluded: tuple[str, ...] = ()
    _archive: Archive | None = None
    # What a session found out of the server, and of the account.
    _found: Mapping[str, str] = MappingProxyType({})
    _bypasses: bool = False

    # Dump.

    def preflight_dump(self) -> Sequence[str]:
        """Return warnings; raise an error with every reason why the dump would fail or lack something."""
        with self._lock(alone=False), self._session("dump") as session:
            self._plan = plan = plan_dump(
                session,
                self.alias,
                given=self._given("dump_cmd"),
                path=self._path("dump"),
                exclude=self.exclude,
                oplog=bool(self.oplog),
                allow_empty=bool(self.allow_empty),
            )
            self._remember(plan.tool)
            self._server = plan.facts.version
            self._excluded = plan.excluded
            self._found = session.found
            self._bypasses = plan.facts.account.may_bypass_validation(session.login.database)
        return ()

    def _create_dump(self) -> BinaryIO:
        if self._plan is None:
            self.preflight_dump()
        plan, self._plan = self._plan, None
        assert plan is not None
        with ExitStack() as held:
            held.enter_context(self._lock(alone=False))
            session = held.enter_context(closing(self._new_session("dump")))
            # What a user's own pipe makes of an archive is the user's.
            archive = None if self.is_rewritten else Archive()
            program = self._dump_program(session, plan, by_user=True)
            return DumpReader(program, session, plan, release=held.pop_all().close, archive=archive)

    def limits(self) -> dict[str, Any]:
        """Return the collections that the dump has not, whether it is one of the whole server, and whether changed."""
        found: dict[str, Any] = {"exclude": list(self._excluded)} if self._excluded else {}
        return found | ({_OPLOG: True} if self.oplog else {}) | ({_PIPED: True} if self.is_rewritten else {})

    # Restore.

    def check_dump(self, head: bytes) -> None:
        """Raise RestoreError if a dump that begins like this is no archive."""
        if not self.is_piped and not self._is_overridden:
            check_head(head)

    def inspect_dump(self, dump: PeekableReader) -> None:
        """Read the archive to its end and keep in mind what it has."""
        if not self._is_overridden:
            self._archive = self._read(dump)

    def preflight_restore(self) -> Sequence[str]:
        """Return what should be known; raise RestoreError with all that makes the restore impossible."""
        if self._archive is None:
            return ()
        with self._session("restore") as session:
            restorer = self._restorer(session, self._archive)
            warnings = restorer.preflight()
            self._remember(*restorer.tools)
        return warnings

    def _restore_dump(self, dump: BinaryIO) -> None:
        if self._archive is None:
            with spool(dump, self.temporary_folder) as file:
                self._archive = self._read(file)
                file.seek(0)
                self._restore_dump(file)
            return
        archive, self._archive = self._archive, None
        with self._lock(alone=True), self._session("restore") as session:
            restorer = self._restorer(session, archive)
            restorer.preflight()
            restorer.run(self.unpiped(dump), self.notify)

    def _restorer(self, session: Session, archive: Archive) -> Restorer:
        return Restorer(
            session,
            self.alias,
            archive,
            Choices(
                exact=bool(self.exact),
                drop=bool(self.drop),
                objcheck=bool(self.object_check),
                safety_dump=bool(self.safety_dump),
                oplog=bool(self.oplog),
                excluded=tuple(self.dump_limits.get("exclude", ())),
            ),
            programs=Programs(
                lambda where, plan: DumpReader(
                    self._dump_program(where, plan, by_user=False), where, plan, archive=Archive()
                ),
                self._load,
                dump_cmd=self._given("dump_cmd"),
                restore_cmd=self._given("restore_cmd"),
                path=self._path("restore"),
            ),
            directory=self.temporary_folder,
        )

    def _dump_program(self, session: Session, plan: DumpPlan, *, by_user: bool) -> StreamReader:
        args = [plan.tool.path, *session.config_args(), *plan.arguments(session.login.database)]
        prefix, suffix = (self.dump_prefix, self.dump_suffix) if by_user else ("", "")
        return self._start("dump", with_shell(args, prefix, suffix), self.dump_env)

    def _load(self, session: Session, tool: Tool, args: list[str], source: BinaryIO, by_user: bool) -> ProgramReader:
        words = [tool.path, *session.config_args(), *args]
        # A prefix that failed the restore would fail the way back as well.
        prefix, suffix = ("" if self.is_piped else self.restore_prefix, self.restore_suffix) if by_user else ("", "")
        return self._start("restore", with_shell(words, prefix, suffix), self.restore_env, source)

    def _read(self, dump: BinaryIO) -> Archive:
        # Whoever opened the dump closes it.
        with closing(PeekableReader(self.unpiped(IteratorReader(chunks(dump))))) as readable:
            return read_dump(readable)

    # What is asked beside.

    def verify_dump(self, dump: BinaryIO) -> None:
        """Read an archive to its end; raise RestoreError if it is not whole."""
        if self._is_overridden or (self.dump_limits.get(_PIPED) and not self.is_piped):
            super().verify_dump(dump)
            return
        self._read(dump)

    def table_counts(self) -> dict[str, int]:
        """Return the number of documents of each collection, as the server's own counters have them."""
        with self._session("look into") as session:
            try:
                found = find_facts(session).namespaces
                return {name[1]: count_documents(session, name) for name, one in found.items() if one.kind != "view"}
            except ServerError as exc:
                self.notify(f"The documents were not counted: {exc}")
                return {}

    @property
    def restore_by_hand(self) -> str:
        """Return the end of the shell line that restores a dump."""
        login = self._login
        undoing = f"| {self.restore_prefix.rstrip()[:-1].rstrip()} " if self.is_piped else ""
        file = f"{self.alias}.{self.extension}"
        scope = "--oplogReplay" if self.oplog else f"--nsInclude={pattern(login.database)}"
        chosen = [f"--archive={file}", scope, *careful(bypass=self._bypasses)]
        # From a file, because the tool asks for the password where the archive would come from.
        return f"{undoing}> {shlex.quote(file)} && {by_hand(login, self._found, *chosen)}"

    def secrets(self) -> tuple[str, ...]:
        """Return the texts that no message may show, in every spelling that a connection string has for them."""
        return (*super().secrets(), *self._login.secrets)

    def error_lines(self, stderr: str) -> str:
        """Return the lines in which a tool said why it failed."""
        return last_words(stderr)

    def error_advice(self, stderr: str) -> str:
        """Return what to do about an error that is known."""
        return advice(stderr, replaces=bool(self.drop))

    def is_transient(self, stderr: str) -> bool:
        """Return whether the dump may succeed when it is made again."""
        return is_transient(stderr)

    @property
    def _login(self) -> Login:
        return Login.from_settings({**self.settings, "AUTH_SOURCE": self.auth_source})

    def _path(self, operation: str) -> str | None:
        """Return where programs are looked for in a direction."""
        return self._environment(self.dump_env if operation == "dump" else self.restore_env).get("PATH")

    def _remember(self, *tools: Tool) -> None:
        self._tools = {**self._tools, **{tool.name: tool for tool in tools}}

    def _lock(self, *, alone: bool) -> DatabaseLock:
        return DatabaseLock(self._login.key, self.temporary_folder, self.alias, alone=alone)

    @contextmanager
    def _session(self, operation: str) -> Iterator[Session]:
        with closing(self._new_session(operation)) as session:
            yield session

    def _new_session(self, operation: str) -> Session:
        # Another server may not have yet what is restored, or is to be put back.
        login = self._login if operation == "dump" else self._login.on_primary()
        return Session(login, f"{operation} database {self.alias!r}", directory=self.temporary_folder)
