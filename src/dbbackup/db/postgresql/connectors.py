"""PostgreSQL by its own programs: pg_dump, pg_restore and psql."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any, BinaryIO, ClassVar

from dbbackup.db.base import BaseCommandDBConnector
from dbbackup.db.exceptions import RestoreError
from dbbackup.db.postgresql.blockers import Watcher, new_application
from dbbackup.db.postgresql.choices import Choices
from dbbackup.db.postgresql.contents import Contents, check_head, examine, major_of, required_major
from dbbackup.db.postgresql.dump import DumpReader
from dbbackup.db.postgresql.dumping import DumpPlan, check_files, plan_dump, table_files
from dbbackup.db.postgresql.errors import advice, is_transient, last_words
from dbbackup.db.postgresql.facts import COUNTS
from dbbackup.db.postgresql.login import Login
from dbbackup.db.postgresql.names import quote_parameter
from dbbackup.db.postgresql.options import number_of_jobs, restore_options
from dbbackup.db.postgresql.plain import PlainFilter
from dbbackup.db.postgresql.restoring import Restorer
from dbbackup.db.postgresql.session import Session
from dbbackup.db.postgresql.tools import Tool, find_tool
from dbbackup.db.running import with_shell
from dbbackup.exceptions import ConfigurationError, ProgramNotFound
from dbbackup.streams import PeekableReader, copy, run_program

# Seconds that a dump waits longer for a lock than the watcher lets it.
_GRACE = 10
# The first pg_dump that compresses with Zstandard.
_ZSTD_SINCE = 16


class _PgConnector(BaseCommandDBConnector):
    """What the three have in common: everything but the format of a dump. Each restores what any of them made."""

    accepts_stream = True

    dump_cmd = "pg_dump"
    restore_cmd = ""
    psql_cmd = "psql"
    """The psql that asks the server, makes extensions and loads SQL."""
    single_transaction: bool = True
    """Whether a restore is one transaction, so that an error leaves the database as it was."""
    drop: bool = True
    """Whether objects of the dump are dropped before they are made again."""
    if_exists: bool = True
    """Kept for older settings: whatever is dropped is dropped IF EXISTS, and nothing is said of it otherwise."""
    exact: bool = False
    """Whether a restore first takes everything out of the database."""
    schemas: Sequence[str] = ()
    """The schemas that are dumped; none for all but the system's."""
    admin_user: str | None = None
    """The role that makes extensions which the database's own may not."""
    admin_password: str | None = None
    role: str | None = None
    """The role to become after the login."""
    jobs: int | None = 1
    """How many connections restore an archive at once."""
    pg_options: str | Sequence[str] | None = None
    """More options for pg_restore."""
    terminate_connections: bool = False
    """Whether sessions that a restore would wait for are ended."""

    _is_plain: ClassVar[bool] = True
    _extensions: ClassVar[tuple[str, ...]] = ()
    _dump_plan: DumpPlan | None = None
    _contents: Contents | None = None
    _wanted_schemas: tuple[str, ...] = ()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.schemas = (self.schemas,) if isinstance(self.schemas, str) else tuple(self.schemas or ())

    def set_option(self, name: str, value: Any, flag: str) -> None:
        """Set an option; schemas that a flag names also say what a restore takes out of a dump."""
        super().set_option(name, value, flag)
        if name == "schemas":
            self._wanted_schemas = tuple(value)

    # Dump.

    def preflight_dump(self) -> Sequence[str]:
        """Return warnings; raise an error with every reason why pg_dump would fail."""
        with closing(self._session("dump")) as session:
            self._dump_plan = plan_dump(
                session, self.alias, given=self._given("dump_cmd"), schemas=self.schemas, exclude=self.exclude
            )
            self._tools = {**self._tools, "pg_dump": self._dump_plan.tool, "psql": session.psql}
            self._server = self._dump_plan.server
        return self._dump_plan.warnings

    def _create_dump(self) -> BinaryIO:
        if self._dump_plan is None:
            self.preflight_dump()
        plan, self._dump_plan = self._dump_plan, None
        assert plan is not None
        session = self._session("dump")
        try:
            application = new_application()
            env = session.environment()
            args = [
                plan.tool.path,
                *session.login.connection(application),
                *([f"--role={session.role}"] if session.role else []),
                # The watcher ends the wait, and shows for whom; this is for when it cannot even connect.
                f"--lock-wait-timeout={round((self.lock_timeout + _GRACE) * 1000)}",
                # The names in the arguments and those in the dump are then in one encoding, whatever the server's.
                *(["--encoding=UTF8"] if plan.unicode and not env["PGCLIENTENCODING"] else []),
                *self._format(plan.tool),
                *plan.selection(),
            ]
            files = table_files(session)
            return DumpReader(
                self.dump_stream(args, env),
                session,
                Watcher(session, application, operation="dump", deadline=self.lock_timeout, notify=self.notify),
                lambda: check_files(session, files),
                late=bool(self.dump_prefix or self.dump_suffix),
                # What a user's own pipe makes of a dump is the user's.
                trailer=self._is_plain and not self.dump_suffix,
            )
        except BaseException:
            session.close()
            raise

    def limits(self) -> dict[str, Any]:
        """Return the schemas of a dump that has not all, and the tables without rows."""
        return {**super().limits(), **({"schemas": list(self.schemas)} if self.schemas else {})}

    def _format(self, _tool: Tool) -> list[str]:
        return ["--format=plain", *(["--clean", "--if-exists"] if self.drop else [])]

    # Restore.

    def check_dump(self, head: bytes) -> None:
        """Raise RestoreError if a dump that begins like this is not by pg_dump."""
        if not self.is_piped and not self._is_overridden:
            check_head(head)

    def inspect_dump(self, dump: PeekableReader) -> None:
        """Find out what the dump has, unless it goes through a user's own pipe or connector first."""
        self._contents = None if self.is_piped or self._is_overridden else examine(dump.peek)

    def preflight_restore(self) -> Sequence[str]:
        """Return what should be known; raise RestoreError with all that makes the restore impossible."""
        if self._contents is None:
            return ()
        with closing(self._session("restore")) as session:
            return self._restorer(session, self._contents).preflight()

    def _restore_dump(self, dump: BinaryIO) -> None:
        self.disconnect()
        with closing(self._session("restore")) as session:
            contents, self._contents = self._contents, None
            if contents is None:
                readable = PeekableReader(self.unpiped(dump))
                dump, contents = readable, examine(readable.peek)
            restorer = self._restorer(session, contents)
            restorer.preflight()
            restorer.run(dump, self._feed, self.notify)

    def _feed(self, args: Sequence[str], dump: BinaryIO | None, env: Mapping[str, str], *, whole_input: bool) -> None:
        command = with_shell(args, "" if self.is_piped else self.restore_prefix, self.restore_suffix)
        with self._start("restore", command, env, dump, whole_input=whole_input) as output:
            copy(output, lambda _: None)

    def _restorer(self, session: Session, contents: Contents) -> Restorer:
        options, jobs = self._options_and_jobs
        restorer = Restorer(
            session,
            self.alias,
            contents,
            Choices(
                single_transaction=bool(self.single_transaction),
                drop=bool(self.drop),
                exact=bool(self.exact),
                schemas=self._wanted_schemas,
                scope=tuple(self.schemas or self.dump_limits.get("schemas", ())),
                partial=bool(self.dump_limits.get("schemas")),
                jobs=jobs,
                role=session.role,
                pg_options=options,
                restore_cmd=self._restoring("pg_restore"),
                extensions=self._extensions,
                admin=session.login.as_user(self.admin_user, self.admin_password) if self.admin_user else None,
                terminate=bool(self.terminate_connections),
                lock_timeout=self.lock_timeout,
            ),
        )
        self._tools = {**self._tools, **restorer.tools}
        return restorer

    # What is asked beside.

    def verify_dump(self, dump: BinaryIO) -> None:
        """Parse a dump to its end, an archive by pg_restore; raise if that fails.

        ConfigurationError says that pg_restore is not here or too old.
        """
        if self._is_overridden:
            super().verify_dump(dump)
            return
        readable = PeekableReader(self.unpiped(dump))
        contents = examine(readable.peek)
        if contents.archive is None:
            plain = PlainFilter(readable, lambda _entry, _statement: True)
            copy(plain, lambda _: None)
            if not plain.complete:
                raise RestoreError("the dump lacks pg_dump's last line: it was cut")
            return
        try:
            tool = find_tool(
                "pg_restore",
                self._restoring("pg_restore"),
                wanted=major_of(contents.archive),
                at_least=required_major(contents.archive),
                path=self._environment({}).get("PATH"),
            )
        except ProgramNotFound as exc:
            raise ConfigurationError(str(exc)) from exc
        run_program([tool.path, "--file=/dev/null"], source=readable)

    def table_counts(self) -> dict[str, int]:
        """Return the number of rows of each table, as the server's statistics count them."""
        with closing(self._session("restore")) as session:
            counts: dict[str, int] = session.ask({"counts": COUNTS})["counts"]
        return counts

    def temporary_bytes(self, dump_size: int) -> int:
        """Return the size of the dump where several jobs read it, else 0."""
        _, jobs = self._options_and_jobs
        return dump_size if jobs > 1 else 0

    @property
    def restore_by_hand(self) -> str:
        """Return the end of the shell line that restores a dump."""
        login = Login.from_settings(self.settings)
        parts = {"service": login.options.get("service"), "dbname": login.database}
        given = [f"{key}={quote_parameter(str(value))}" for key, value in parts.items() if value]
        database = shlex.quote(" ".join(given))
        if self._is_plain:
            return f"| psql -X -1 -v ON_ERROR_STOP=1 -d {database}"
        return f"| pg_restore --single-transaction --clean --if-exists -d {database}"

    def secrets(self) -> tuple[str, ...]:
        """Return the texts that no message may show; Django takes a password among the OPTIONS as well."""
        password = (self.settings.get("OPTIONS") or {}).get("password")
        return (*super().secrets(), *([str(password)] if password else []))

    def error_lines(self, stderr: str) -> str:
        """Return the last error that a program printed, with its details."""
        return last_words(stderr)

    def error_advice(self, stderr: str) -> str:
        """Return what to do about an error that is known."""
        return advice(stderr)

    def is_transient(self, stderr: str) -> bool:
        """Return whether the dump may succeed when it is made again."""
        return is_transient(stderr)

    @property
    def _options_and_jobs(self) -> tuple[tuple[str, ...], int]:
        """Return the user's options for pg_restore; jobs that are among them come before JOBS."""
        options, jobs = restore_options(self.pg_options)
        return options, jobs or number_of_jobs(1 if self.jobs is None else self.jobs, "JOBS")

    def _restoring(self, program: str) -> str:
        """Return the pg_restore or psql that the settings name: RESTORE_CMD is the one for the connector's format."""
        given = self._given("restore_cmd") if (program == "psql") == self._is_plain else ""
        return given or (self._given("psql_cmd") if program == "psql" else "")

    def _session(self, operation: str) -> Session:
        phase = self.dump_env if operation == "dump" else self.restore_env
        own = {key: str(value) for key, value in {**self.env, **phase}.items()}
        return Session(
            Login.from_settings(self.settings),
            lambda args, env, source: self._start(operation, args, env, source, whole_input=False),
            directory=self.temporary_folder,
            environment=own,
            path=self._environment(own).get("PATH"),
            psql_cmd=self._restoring("psql"),
            # Django's own name for it, since version 5.0.
            role=str(self.role or (self.settings.get("OPTIONS") or {}).get("assume_role") or ""),
        )


class PgDumpConnector(_PgConnector):
    """Dump to plain SQL with pg_dump, restore it with psql."""

    extension = "psql"


class PgDumpGisConnector(PgDumpConnector):
    """Do the same for a PostGIS database, whose extension is made before a restore where it is missing."""

    _extensions = ("postgis",)


class PgDumpBinaryConnector(_PgConnector):
    """Dump to an archive with pg_dump, restore it with pg_restore. The default."""

    extension = "psql.bin"
    _is_plain = False

    def _format(self, tool: Tool) -> list[str]:
        # Compressed twice is slower and no smaller.
        if self.compresses_later:
            return ["--format=custom", "--compress=0"]
        return ["--format=custom", *(["--compress=zstd"] if tool.major >= _ZSTD_SINCE else [])]
