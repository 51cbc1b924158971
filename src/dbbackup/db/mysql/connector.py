"""MySQL and MariaDB by their own programs: mysqldump or mariadb-dump, and the client."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any, BinaryIO

from dbbackup.db.base import BaseCommandDBConnector
from dbbackup.db.exceptions import ConnectorError, RestoreError
from dbbackup.db.mysql.contents import Contents, check_head, scan
from dbbackup.db.mysql.dump import DumpReader
from dbbackup.db.mysql.dumping import DumpPlan, check_moment, plan_dump
from dbbackup.db.mysql.errors import advice, is_transient, last_words
from dbbackup.db.mysql.facts import count_rows, find_facts
from dbbackup.db.mysql.locking import restore_lock
from dbbackup.db.mysql.login import Login
from dbbackup.db.mysql.obstacles import Choices
from dbbackup.db.mysql.restoring import Programs, Restorer
from dbbackup.db.mysql.safety import loading
from dbbackup.db.mysql.session import Session
from dbbackup.db.mysql.tools import Tool
from dbbackup.db.running import with_shell
from dbbackup.streams import IteratorReader, PeekableReader, StreamReader, chunks, spool

_COUNT_TIME = 100.0
"""Seconds that counting the rows of every table may take."""
_PIPED = "piped"
"""Among the limits of a dump: that a program of the user's has changed it."""


class MysqlDumpConnector(BaseCommandDBConnector):
    """Dump to SQL with mysqldump or mariadb-dump, restore it with the client."""

    accepts_stream = True
    reads_twice = True

    dump_cmd = "mysqldump"
    restore_cmd = "mysql"
    exact: bool = False
    """Whether a restore first takes everything out of the database."""
    safety_dump: bool = True
    """Whether a restore first dumps what is there, and puts that back if it fails."""
    strip_definer: bool = False
    """Whether views, routines, triggers and events of a dump become those of the account that restores it."""
    collations: dict[str, str] = {}
    """The collations that stand in the place of those which the server does not know."""

    _plan: DumpPlan | None = None
    _excluded: tuple[str, ...] = ()
    _contents: Contents | None = None

    # Dump.

    def preflight_dump(self) -> Sequence[str]:
        """Return warnings; raise an error with every reason why the dump would fail or lack something."""
        with self._session("dump") as session:
            self._plan = plan = plan_dump(session, self.alias, given=self._given("dump_cmd"), exclude=self.exclude)
            self._remember(session.client, plan.tool)
            self._server = plan.facts.version
            self._excluded = plan.excluded
        return plan.warnings

    def _create_dump(self) -> BinaryIO:
        if self._plan is None:
            self.preflight_dump()
        plan, self._plan = self._plan, None
        assert plan is not None
        session = self._new_session("dump")
        try:
            return DumpReader(
                self._dump_program(session, plan, self.dump_suffix),
                session,
                lambda: check_moment(session, self.alias, plan.facts),
                release=session.close,
                # What a user's own pipe makes of a dump is the user's.
                trailer=not self.is_rewritten,
            )
        except BaseException:
            session.close()
            raise

    def limits(self) -> dict[str, Any]:
        """Return the tables that the dump has not, and whether a program of the user's has changed it."""
        excluded = {"exclude": list(self._excluded)} if self._excluded else {}
        return {**excluded, **({_PIPED: True} if self.is_rewritten else {})}

    # Restore.

    def check_dump(self, head: bytes) -> None:
        """Raise RestoreError if a dump that begins like this is no SQL."""
        if not self.is_piped and not self._is_overridden:
            check_head(head)

    def inspect_dump(self, dump: PeekableReader) -> None:
        """Read the dump to its end and keep in mind what it has."""
        if not self._is_overridden:
            self._contents = self._scanned(dump)

    def preflight_restore(self) -> Sequence[str]:
        """Return what should be known; raise RestoreError with all that makes the restore impossible."""
        if self._contents is None:
            return ()
        with self._session("restore") as session:
            restorer = self._restorer(session, self._contents)
            warnings = restorer.preflight()
            self._remember(session.client, *([restorer.safety_plan.tool] if restorer.safety_plan else []))
        return warnings

    def _restore_dump(self, dump: BinaryIO) -> None:
        if self._contents is None:
            with spool(dump, self.temporary_folder) as file:
                self._contents = self._scanned(file)
                file.seek(0)
                self._restore_dump(file)
            return
        contents, self._contents = self._contents, None
        self.disconnect()
        with self._session("restore") as session:
            restorer = self._restorer(session, contents)
            with restore_lock(session, self.notify):
                restorer.preflight()
                restorer.run(self.unpiped(dump), self.notify)

    def _restorer(self, session: Session, contents: Contents) -> Restorer:
        return Restorer(
            session,
            self.alias,
            contents,
            Choices(
                exact=bool(self.exact),
                safety_dump=bool(self.safety_dump),
                strip_definer=bool(self.strip_definer),
                collations={name.lower(): new for name, new in (self.collations or {}).items()},
                excluded=tuple(self.dump_limits.get("exclude", ())),
                needs_trailer=self.is_piped or not self.dump_limits.get(_PIPED),
            ),
            programs=Programs(self._dump_as_it_is, self._load),
            dump_cmd=self._given("dump_cmd"),
            directory=self.temporary_folder,
        )

    def _dump_as_it_is(self, session: Session, plan: DumpPlan) -> StreamReader:
        return DumpReader(self._dump_program(session, plan), session)

    def _dump_program(self, session: Session, plan: DumpPlan, suffix: str = "") -> StreamReader:
        args = [*session.command(plan.tool), *plan.arguments(session.login.database)]
        return self._run("dump", args, session.variables, suffix=suffix)

    def _load(self, session: Session, source: BinaryIO, by_user: bool) -> StreamReader:
        suffix = self.restore_suffix if by_user else ""
        # A prefix that failed the restore would fail the way back as well.
        return self._run(
            "restore", session.client_args(), session.variables, suffix=suffix, source=source, by_itself=not by_user
        )

    def _scanned(self, dump: BinaryIO) -> Contents:
        # Whoever opened the dump closes it.
        with closing(PeekableReader(self.unpiped(IteratorReader(chunks(dump))))) as readable:
            check_head(readable.peek(4096))
            return scan(readable)

    # What is asked beside.

    def verify_dump(self, dump: BinaryIO) -> None:
        """Read a dump to its end, statement by statement; raise RestoreError if it is not whole."""
        if self._is_overridden or (self.dump_limits.get(_PIPED) and not self.is_piped):
            super().verify_dump(dump)
            return
        contents = self._scanned(dump)
        if contents.has_header and not contents.complete and not self.dump_limits.get(_PIPED):
            raise RestoreError("the dump lacks the dump program's last line: it was cut")

    def table_counts(self) -> dict[str, int]:
        """Return the number of rows of each table; nothing if they cannot be counted, or not in time."""
        with self._session("restore") as session:
            try:
                return count_rows(session, find_facts(session).base_tables, seconds=_COUNT_TIME)
            except ConnectorError as exc:
                self.notify(f"The rows were not counted: {exc}")
                return {}

    @property
    def restore_by_hand(self) -> str:
        """Return the end of the shell line that restores a dump."""
        client = next((tool.name for tool in self._tools.values() if not tool.dumps), "mariadb")
        undoing = f"{self.restore_prefix} " if self.is_piped else ""
        return f"| {undoing}{loading(client, Login.from_settings(self.settings))}"

    def secrets(self) -> tuple[str, ...]:
        """Return the texts that no message may show; Django takes a password among the OPTIONS as well."""
        own = self._environment({})
        login = Login.from_settings(self.settings, home=own.get("HOME"))
        return (*super().secrets(), *login.secrets, *login.secrets_at_home(own.get("HOME")))

    def error_lines(self, stderr: str) -> str:
        """Return the last error that a program printed."""
        return last_words(stderr)

    def error_advice(self, stderr: str) -> str:
        """Return what to do about an error that is known."""
        return advice(stderr)

    def is_transient(self, stderr: str) -> bool:
        """Return whether the dump may succeed when it is made again."""
        return is_transient(stderr)

    def _remember(self, *tools: Tool) -> None:
        self._tools = {**self._tools, **{tool.name: tool for tool in tools}}

    @contextmanager
    def _session(self, operation: str) -> Iterator[Session]:
        with closing(self._new_session(operation)) as session:
            yield session

    def _new_session(self, operation: str) -> Session:
        own = self._environment(self.dump_env if operation == "dump" else self.restore_env)
        return Session(
            Login.from_settings(self.settings, home=own.get("HOME")),
            lambda args, env, source: self._run(operation, args, env, source=source, by_itself=True),
            directory=self.temporary_folder,
            path=own.get("PATH"),
            home=own.get("HOME"),
            client_cmd=self._given("restore_cmd"),
            lock_timeout=self.lock_timeout,
        )

    def _run(
        self,
        operation: str,
        args: Sequence[str],
        env: Mapping[str, str],
        *,
        suffix: str = "",
        source: BinaryIO | None = None,
        by_itself: bool = False,
    ) -> StreamReader:
        """Start a program with the prefix of its direction and a suffix, or neither."""
        if operation == "dump":
            prefix, phase = self.dump_prefix, self.dump_env
        else:
            prefix, phase = "" if self.is_piped else self.restore_prefix, self.restore_env
        prefix = "" if by_itself else prefix
        if not prefix and not suffix:
            return self._start(operation, args, {**phase, **env}, source)
        # The user's own programs keep the user's home.
        hidden = ["env", *(f"{key}={value}" for key, value in env.items())]
        return self._start(operation, with_shell([*hidden, *args], prefix, suffix), phase, source)
