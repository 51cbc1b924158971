"""What every connector is: one database to bytes and back.

Authors of connectors subclass BaseDBConnector and write two methods, or BaseCommandDBConnector when a
program does the work. ``dbbackup.testing`` has the tests that every connector passes.
"""

from __future__ import annotations

import io
import logging
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import chain
from pathlib import Path
from socket import gethostname
from types import MappingProxyType
from typing import Any, BinaryIO, ClassVar, Self

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from dbbackup.db.exceptions import CommandConnectorError
from dbbackup.db.options import Options
from dbbackup.db.running import Borrowed, ConnectorProgram, rewrites, with_shell
from dbbackup.exceptions import ProgramNotFound
from dbbackup.streams import IteratorReader, PeekableReader, chunks, copy, spool

__all__ = ["BaseCommandDBConnector", "BaseDBConnector"]

logger = logging.getLogger("dbbackup")

_HEAD = 4096
"""Bytes of a dump that tell whether it can be of an engine."""
_SECRET_SETTINGS = ("PASSWORD", "ADMIN_PASSWORD")


class BaseDBConnector(Options):
    """Turn one database into a dump and back.

    The options of a connector are its class attributes: a setting of the same name in capitals sets one
    on the instance.
    """

    extension: str = "dump"
    """The ending of a dump's name, without the dot."""
    exclude: Sequence[str] = ()
    """The tables that are left out of a dump."""
    tmp_dir: str | Path | None = None
    """The folder for temporary files; None is the system's."""
    tmp_file_max_size: int = 10 * 1024 * 1024
    """Bytes that run_command() keeps in memory of what a program prints, before it goes to a temporary file."""
    lock_timeout: float = 30.0
    """Seconds to wait for a lock that another connection holds."""

    _configured: Mapping[str, Any] | None = None

    compresses_later: bool = False
    """Whether a codec is going to compress the dump, so that the connector need not. Not an option."""
    dump_limits: Mapping[str, Any] = MappingProxyType({})
    """What limits() said of the dump that is restored. Not an option."""
    _notify: Callable[[str], None] = logger.warning

    reads_twice: ClassVar[bool] = False
    """Whether inspect_dump() reads a dump to its end, so that it gets one of its own. Not an option."""
    accepts_stream: ClassVar[bool] = False
    """Whether _restore_dump() only reads. Otherwise it gets a file that it may seek in. Not an option."""

    def __init__(
        self,
        database_name: str | None = None,
        *,
        settings: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        """Take the alias of the database and its merged settings, by default those of DATABASES."""
        self.database_name = database_name or DEFAULT_DB_ALIAS
        if settings is None:
            settings = self._configured or connections[self.database_name].settings_dict
        self.settings: Mapping[str, Any] = settings
        self.take_options(self.settings)
        for key, value in options.items():
            setattr(self, key.lower(), value)
        self.exclude = (self.exclude,) if isinstance(self.exclude, str) else tuple(self.exclude or ())
        for name in self.options():
            # What an author changes on one connector must not change the next one's.
            if isinstance(value := getattr(self, name), dict):
                setattr(self, name, dict(value))

    @classmethod
    def configured(cls, alias: str, settings: Mapping[str, Any]) -> Self:
        """Return a connector of this class for an alias with these merged settings.

        They are there before __init__() runs, which an author may have overridden with any arguments after the alias.
        """
        connector = cls.__new__(cls)
        connector._configured = settings  # noqa: SLF001 - its own class
        connector.__init__(alias)  # type: ignore[misc]
        return connector

    # What an author writes.

    def _create_dump(self) -> BinaryIO:
        """Return a readable file object with the whole database; reading it raises if that fails."""
        raise NotImplementedError("subclasses of BaseDBConnector must provide a _create_dump() method.")

    def _restore_dump(self, dump: BinaryIO) -> None:
        """Put what the dump holds in the place of what is in the database."""
        raise NotImplementedError("subclasses of BaseDBConnector must provide a _restore_dump() method.")

    # What an author may write in addition.

    def check_dump(self, head: bytes) -> None:
        """Raise RestoreError if a dump that begins like this cannot be of this engine.

        ``head`` is its first 4096 bytes. Called before the database is touched.
        """

    def verify_dump(self, dump: BinaryIO) -> None:
        """Read a dump to its end and raise if it could not be restored, as far as that can be told."""
        copy(dump, lambda _: None)

    def inspect_dump(self, dump: PeekableReader) -> None:
        """Look at the beginning of a dump that is about to be restored, or at all of it, before the preflight.

        Raise RestoreError if it cannot be of this engine.
        """
        self.check_dump(dump.peek(_HEAD))

    def preflight_dump(self) -> Sequence[str] | None:
        """Return what should be known before a dump. Raise if it cannot succeed, naming every reason at once."""

    def preflight_restore(self) -> Sequence[str] | None:
        """Return what should be known before a restore. Raise if it cannot succeed, naming every reason at once.

        Changes nothing.
        """

    def limits(self) -> dict[str, Any]:
        """Return what a dump leaves out, as JSON, for the manifest; empty if it has the whole database."""
        return {"exclude": list(self.exclude)} if self.exclude else {}

    def table_counts(self) -> dict[str, int]:
        """Return the number of rows of each table, where the engine can count them."""
        return {}

    def server_version(self) -> str | None:
        """Return the version of the database server, if there is one."""
        return None

    def tool_versions(self) -> dict[str, str]:
        """Return the versions of the programs that were chosen for the work, by their names."""
        return {}

    def temporary_bytes(self, dump_size: int) -> int:  # noqa: ARG002 for those that need some
        """Return how many bytes of temporary disk the restore of a dump of this size takes."""
        return 0

    @property
    def restore_by_hand(self) -> str:
        """Return what a shell line that ends in the plain dump goes on with, to restore without DBBackup."""
        return f"> {shlex.quote(f'{self.alias}.restored.{self.extension}')}"

    @property
    def is_exact(self) -> bool:
        """Return whether a restore leaves nothing in the database but what is in the dump."""
        return bool(getattr(self, "exact", False))

    def secrets(self) -> tuple[str, ...]:
        """Return the texts that no message may show."""
        return tuple(str(self.settings[key]) for key in _SECRET_SETTINGS if self.settings.get(key))

    # These shouldn't be overridden by subclasses unless absolutely necessary.

    def listen(self, callback: Callable[[str], None]) -> None:
        """Have ``callback`` told what happens during a long operation; until then the log is."""
        self._notify = callback

    def notify(self, text: str) -> None:
        """Tell whoever listens what should be known at once. May be called from any thread."""
        self._notify(text)

    @property
    def alias(self) -> str:
        """Return the alias of the database."""
        return self.database_name

    @property
    def engine(self) -> str:
        """Return the ENGINE of the database."""
        return str(self.settings.get("ENGINE", ""))

    @property
    def connection(self) -> BaseDatabaseWrapper:
        """Return Django's connection to the database."""
        return connections[self.database_name]

    @property
    def temporary_folder(self) -> Path | None:
        """Return the folder for temporary files; None is the system's."""
        return Path(self.tmp_dir) if self.tmp_dir else None

    def create_dump(self) -> BinaryIO:
        """Return a readable file object with the whole database. The caller closes it.

        Whatever goes wrong is raised from here or from reading; who reads to the end has it all.
        """
        dump = self._create_dump()
        # Authors return files that they have just written.
        if dump.seekable():
            dump.seek(0)
        return dump

    def restore_dump(self, dump: BinaryIO) -> None:
        """Put what the dump holds in the place of what is in the database."""
        if self.accepts_stream:
            self._restore_dump(dump)
            return
        with spool(dump, self.temporary_folder) as seekable:
            self._restore_dump(seekable)

    def generate_filename(self, server_name: str | None = None) -> str:
        """Return a name for a dump made now, as django-dbbackup had it."""
        now = datetime.now().astimezone()
        return f"{self.alias}-{server_name or gethostname()}-{now:%Y-%m-%d-%H%M%S}.{self.extension}"


class BaseCommandDBConnector(BaseDBConnector):
    """Turn a database into a dump and back with programs such as pg_dump and psql."""

    dump_cmd: str = ""
    """The program that dumps: a name to be found on PATH, or a path."""
    restore_cmd: str = ""
    """The program that restores."""
    dump_prefix: str = ""
    """Put before the dump command, e.g. ``nice -n 10``."""
    dump_suffix: str = ""
    """Put after the dump command, e.g. a pipe."""
    restore_prefix: str = ""
    restore_suffix: str = ""
    env: dict[str, str] = {}
    """Environment variables for both commands."""
    dump_env: dict[str, str] = {}
    restore_env: dict[str, str] = {}
    use_parent_env: bool = True
    """Whether the programs inherit the environment of this process."""

    _server: str | None = None
    # The programs that were chosen, each of which is told by its version and path.
    _tools: Mapping[str, Any] = MappingProxyType({})

    def server_version(self) -> str | None:
        """Return the version of the server, as it was found before the dump."""
        return self._server

    def tool_versions(self) -> dict[str, str]:
        """Return the versions and paths of the programs that were chosen so far."""
        return {name: str(tool) for name, tool in sorted(self._tools.items())}

    def dump_stream(self, args: Sequence[str], env: Mapping[str, str] | None = None) -> BinaryIO:
        """Return the output of the dump command with these arguments, while it is being made."""
        command = with_shell(args, self.dump_prefix, self.dump_suffix)
        return self._start("dump", command, {**self.dump_env, **(env or {})})

    def restore_stream(self, args: Sequence[str], dump: BinaryIO, env: Mapping[str, str] | None = None) -> None:
        """Run the restore command with these arguments and feed it the dump."""
        command = with_shell(args, self.restore_prefix, self.restore_suffix)
        with self._start("restore", command, {**self.restore_env, **(env or {})}, dump) as output:
            copy(output, lambda _: None)

    @property
    def is_rewritten(self) -> bool:
        """Return whether a dump goes through a user's own program behind the one that dumps."""
        return rewrites(self.dump_suffix)

    @property
    def is_piped(self) -> bool:
        """Return whether a dump goes through a user's own program before the one that restores."""
        return self.restore_prefix.rstrip().endswith("|")

    def unpiped(self, dump: BinaryIO) -> BinaryIO:
        """Return the dump as the dump program wrote it, before a DUMP_SUFFIX that the RESTORE_PREFIX undoes."""
        if not self.is_piped:
            return dump
        return self._start("restore", with_shell(["cat"], self.restore_prefix, ""), self.restore_env, dump)

    def disconnect(self) -> None:
        """Close Django's own connection: it may hold locks, and it would remember what is made anew."""
        if not self.connection.in_atomic_block:
            self.connection.close()

    def error_lines(self, stderr: str) -> str:
        """Return of what a failed program printed the lines to quote, of which the last three are."""
        return stderr

    def error_advice(self, stderr: str) -> str:  # noqa: ARG002 for those that know some
        """Return what to do about an error of a program, if that is known."""
        return ""

    def is_transient(self, stderr: str) -> bool:  # noqa: ARG002 for those that know some
        """Return whether a dump that failed like this may succeed when it is made again."""
        return False

    def run_command(
        self,
        command: str | Sequence[str],
        stdin: BinaryIO | None = None,
        env: Mapping[str, str] | None = None,
    ) -> tuple[BinaryIO, BinaryIO]:
        """Run a command to its end and return files with its stdout and stderr, at their start.

        A string is split into arguments as a shell would, but no shell runs it; no prefix is added.
        Raise CommandConnectorError with the last lines of stderr if it fails.
        """
        args = shlex.split(command) if isinstance(command, str) else list(command)
        # The caller's file stays open, as it did in django-dbbackup.
        source = None if stdin is None else Borrowed(stdin)
        with self._start("run a command for", args, env or {}, source) as reader:
            head = reader.read(self.tmp_file_max_size)
            whole = len(head) < self.tmp_file_max_size
            rest = IteratorReader(chain([head], chunks(reader)))
            stdout = io.BytesIO(head) if whole else spool(rest, self.temporary_folder)
            return stdout, io.BytesIO(reader.stderr_tail.encode())

    @classmethod
    def _own_class(cls) -> type[Self]:
        """Return the class of this package that the connector is of, or builds on."""
        return next(base for base in cls.__mro__ if base.__module__.startswith("dbbackup.db."))

    def _given(self, option: str) -> str:
        """Return a program that the settings or a subclass name; empty if it is to be found."""
        value = str(getattr(self, option) or "")
        return value if value != getattr(self._own_class(), option) or option.upper() in self.settings else ""

    @property
    def _is_overridden(self) -> bool:
        """Return whether a subclass restores in its own way, whatever its dumps are."""
        return type(self)._restore_dump is not self._own_class()._restore_dump  # noqa: SLF001 - its own class

    def _start(
        self,
        operation: str,
        args: Sequence[str],
        env: Mapping[str, str],
        source: BinaryIO | None = None,
        *,
        whole_input: bool = True,
    ) -> ConnectorProgram:
        try:
            return ConnectorProgram(
                args,
                connector=self,
                what=f"{operation} database {self.alias!r}",
                whole_input=whole_input,
                source=source,
                env=self._environment(env),
                secrets=self.secrets(),
            )
        except ProgramNotFound as exc:
            raise CommandConnectorError(f"Cannot {operation} database {self.alias!r}: {exc}") from exc

    def _environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        parent = os.environ if self.use_parent_env else {}
        return {key: str(value) for key, value in {**parent, **self.env, **extra}.items()}
