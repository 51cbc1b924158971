"""The mirror: choose ─▶ verify ─▶ open ─▶ preflight ─▶ ask ─▶ restore ─▶ report."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, BinaryIO

from django.core.management.base import CommandError

from dbbackup import databases, signals
from dbbackup.catalog.catalog import Backup, Filter, Status
from dbbackup.catalog.source import Source, find_source
from dbbackup.conf import get_settings
from dbbackup.db.base import BaseDBConnector
from dbbackup.exceptions import RestoreRefused, UsageError
from dbbackup.migrations import compare
from dbbackup.opening import Prompt, open_dump
from dbbackup.progress import ProgressCallback, watched
from dbbackup.streams import PeekableReader, copy


@dataclass(frozen=True)
class RestoreOptions:
    """Which backup is meant, and how the restore is done."""

    name: str | None = None
    path: str | None = None
    servername: str | None = None
    compressed: bool | None = None
    encrypted: bool | None = None
    schemas: Sequence[str] = ()
    drop: bool = True
    pg_options: str | None = None
    exact: bool = False
    role: str | None = None
    jobs: int | None = None
    terminate_connections: bool = False
    safety_dump: bool = True
    allow_protected: bool = False
    check_signatures: bool = True
    passphrase: str | None = None
    prompt: Prompt | None = None
    confirm: Callable[[RestorePlan], bool] | None = None
    """Called with what will happen; False stops the restore. None goes ahead."""
    progress: ProgressCallback | None = None
    notify: Callable[[str], None] | None = None
    """Called with what should be known while the restore runs; by default it goes to the log."""


@dataclass(frozen=True)
class RestorePlan:
    """What a restore is about to do."""

    database: str
    database_name: str
    engine: str
    backup: Backup
    passed_over: tuple[Backup, ...] = ()
    migrations: str = ""
    warnings: tuple[str, ...] = ()
    tools: Mapping[str, str] = field(default_factory=dict)
    """The programs that do the work, with their versions."""


@dataclass(frozen=True)
class RestoreResult:
    """What a restore did."""

    plan: RestorePlan
    seconds: float
    rows: Mapping[str, int] = field(default_factory=dict)
    """Rows per table after the restore."""


def restore(database: str | None = None, **options: Any) -> RestoreResult:
    """Restore one database and return what was done; the keywords are the fields of `RestoreOptions`.

    Without a name or path the newest complete backup of the database is taken. Nothing is touched before the
    stored bytes are verified. Raise UsageError, BackupNotFound, VerificationError, CodecError, RestoreRefused or a
    ConnectorError; the database is then as it was, unless the error says otherwise.
    """
    chosen = RestoreOptions(**options)
    started = datetime.now(UTC)
    alias = _one_alias(database)
    if alias in get_settings().protected_databases and not chosen.allow_protected:
        raise RestoreRefused(
            f"Database {alias!r} is protected (DBBACKUP_PROTECTED_DATABASES). "
            "Pass --allow-protected to restore it nevertheless."
        )
    wanted = Filter(alias, chosen.servername, "db", chosen.compressed, chosen.encrypted)
    source = find_source(wanted, name=chosen.name, path=chosen.path, check_signatures=chosen.check_signatures)
    _check_source(source)
    with source.open_verified(get_settings().tmp_dir) as stored:
        connector = _connector(alias, source.backup)
        connector.dump_limits = source.backup.manifest.limits if source.backup.manifest else {}
        _apply_flags(connector, chosen)
        if source.dump is None or connector.reads_twice:
            _read_first(stored, source, chosen, connector)
        dump = open_dump(stored, source, chosen.passphrase, chosen.prompt)
        with closing(dump):
            if not connector.reads_twice:
                connector.inspect_dump(dump)
            plan = _preflight(connector, source)
            if chosen.confirm is not None and not chosen.confirm(plan):
                raise RestoreRefused("Restore cancelled; the database was not touched.")
            _restore(connector, dump, source, chosen)
    rows = connector.table_counts()
    return RestoreResult(plan, (datetime.now(UTC) - started).total_seconds(), rows)


def _one_alias(database: str | None) -> str:
    names = databases.aliases([database] if database else None)
    if len(names) != 1:
        raise UsageError(f"There is more than one database ({', '.join(names)}); name one with --database.")
    return names[0]


def _check_source(source: Source) -> None:
    backup = source.backup
    if backup.status is Status.UNVERIFIED and get_settings().require_signature:
        raise RestoreRefused(f"{backup.name} has no signed manifest, and DBBACKUP_REQUIRE_SIGNATURE asks for one.")
    if backup.content_type != "db":
        raise UsageError(f"{backup.name} is a backup of {backup.content_type}, not of a database.")


def _connector(alias: str, backup: Backup) -> BaseDBConnector:
    """Return the connector that made the backup, if the registry or the settings name it, for this database."""
    said = backup.manifest or backup.legacy
    if said is None:
        return databases.connector(alias)
    if not databases.is_known(said.connector):
        raise RestoreRefused(
            f"The manifest of {backup.name} names the connector {said.connector!r}, which neither DBBackup nor "
            "DBBACKUP_CONNECTORS or DBBACKUP_CONNECTOR_MAPPING names. Nothing was loaded or run."
        )
    engine = str(databases.merged_settings(alias)["ENGINE"])
    if not databases.same_family(said.engine, engine) and not databases.is_portable(said.connector):
        raise RestoreRefused(f"{backup.name} is of engine {said.engine}; database {alias!r} is {engine}.")
    return databases.connector(alias, said.connector)


def _read_first(stored: BinaryIO, source: Source, options: RestoreOptions, connector: BaseDBConnector) -> None:
    """Read the dump to its end, for a connector that wants to, or as the proof of one without a hash; then go back."""
    # A second descriptor, because the dump closes what it reads from.
    again = os.fdopen(os.dup(stored.fileno()), "rb", buffering=0)
    total = source.dump.size if source.dump else None
    opened = open_dump(again, source, options.passphrase, options.prompt)
    with closing(PeekableReader(watched(opened, options.progress, "checking", connector.alias, total))) as dump:
        if connector.reads_twice:
            connector.inspect_dump(dump)
        copy(dump, lambda _: None)
    stored.seek(0)


def _preflight(connector: BaseDBConnector, source: Source) -> RestorePlan:
    said = source.backup.manifest
    warnings = list(connector.preflight_restore() or ())
    if source.dump is not None:
        _check_space(connector.temporary_bytes(source.dump.size))
    if source.backup.status is Status.UNVERIFIED:
        warnings.append("it is unverified: there is no manifest to compare it with")
    if said and said.database != connector.alias:
        warnings.append(f"it was made from database {said.database!r} and goes into {connector.alias!r}")
    if validator := get_settings().metadata_validator:
        metadata = said.as_dict() if said else dict(source.backup.legacy.content) if source.backup.legacy else {}
        if metadata:
            _ask_validator(validator, metadata, source.backup.name)
    return RestorePlan(
        database=connector.alias,
        database_name=str(connector.settings.get("NAME", "")),
        engine=connector.engine,
        backup=source.backup,
        passed_over=source.passed_over,
        migrations=compare(said.migrations) if said else "",
        warnings=tuple(warnings),
        tools=connector.tool_versions(),
    )


def _ask_validator(validator: Callable[[dict[str, Any]], bool | None], metadata: dict[str, Any], name: str) -> None:
    try:
        refused = validator(metadata) is False
    except CommandError:
        # Its own way to say why.
        raise
    except Exception as exc:
        raise RestoreRefused(
            f"DBBACKUP_RESTORE_METADATA_VALIDATOR failed on {name}: {type(exc).__name__}: {exc}"
        ) from exc
    if refused:
        raise RestoreRefused(f"DBBACKUP_RESTORE_METADATA_VALIDATOR refuses {name}.")


def _check_space(needed: int) -> None:
    folder = get_settings().tmp_dir or tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise RestoreRefused(
            f"The restore needs {needed} bytes in {folder}, which has {free}. Make room or set DBBACKUP_TMP_DIR."
        )


def _restore(connector: BaseDBConnector, dump: BinaryIO, source: Source, options: RestoreOptions) -> None:
    said = {
        "database": connector.settings,
        "database_name": connector.alias,
        "filename": source.backup.name,
        "servername": options.servername or source.backup.servername,
        "storage": source.catalog.storage.storage if source.catalog else None,
    }
    signals.pre_restore.send(RestoreResult, **said)
    try:
        total = source.dump.size if source.dump else None
        connector.restore_dump(watched(dump, options.progress, "restoring", connector.alias, total))
    except Exception as exc:
        signals.restore_failed.send(RestoreResult, exception=exc, **said)
        raise
    signals.post_restore.send(RestoreResult, connector=connector, **said)


def _apply_flags(connector: BaseDBConnector, options: RestoreOptions) -> None:
    if options.jobs is not None and options.jobs < 1:
        raise UsageError(f"--jobs must be a number from 1 on, not {options.jobs}.")
    if not options.drop:
        connector.set_option("drop", False, "--no-drop")
    if not options.safety_dump:
        connector.set_option("safety_dump", False, "--no-safety-dump")
    flags = {
        "--schema": ("schemas", tuple(options.schemas)),
        "--pg-options": ("pg_options", options.pg_options),
        "--exact": ("exact", options.exact),
        "--role": ("role", options.role),
        "--jobs": ("jobs", options.jobs),
        "--terminate-connections": ("terminate_connections", options.terminate_connections),
    }
    for flag, (name, value) in flags.items():
        if value:
            connector.set_option(name, value, flag)
    if options.notify is not None:
        connector.listen(options.notify)
