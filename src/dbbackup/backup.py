"""The write direction: database ─▶ dump ─▶ count and hash ─▶ codecs ─▶ count and hash ─▶ storage ─▶ manifest."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import PurePosixPath
from platform import python_version
from typing import Any

import django

from dbbackup import databases, signals
from dbbackup.catalog.destination import Destination, destination
from dbbackup.catalog.manifest import DumpDigest, Manifest, StoredObject
from dbbackup.catalog.naming import backup_name
from dbbackup.catalog.retention import prune
from dbbackup.chain import CodecChoice, decode_line, encoders
from dbbackup.codecs import encode_all
from dbbackup.codecs.base import COMPRESSION, Codec
from dbbackup.conf import get_settings
from dbbackup.db.base import BaseDBConnector
from dbbackup.db.exceptions import ConnectorError, DumpError
from dbbackup.exceptions import ConfigurationError, OperationFailed, StorageError, UsageError
from dbbackup.migrations import applied_leaves
from dbbackup.progress import ProgressCallback, watched
from dbbackup.streams import HashingReader

logger = logging.getLogger("dbbackup")

_ATTEMPTS = 3
"""How often a dump is made whose failure may pass."""


@dataclass(frozen=True)
class BackupOptions:
    """How a run differs from what the settings say."""

    servername: str | None = None
    compress: CodecChoice = None
    encrypt: CodecChoice = None
    output_filename: str | None = None
    output_path: str | None = None
    exclude_tables: Sequence[str] = ()
    schemas: Sequence[str] = ()
    clean: bool = False
    allow_empty: bool = False
    progress: ProgressCallback | None = None
    notify: Callable[[str], None] | None = None
    """Called with what should be known while a dump runs; by default it goes to the log."""

    @property
    def server(self) -> str:
        """Return the name of the server that the backups are of."""
        return self.servername if self.servername is not None else get_settings().hostname


@dataclass(frozen=True)
class BackupResult:
    """One finished backup."""

    database: str
    name: str
    manifest: Manifest
    seconds: float
    deleted: tuple[str, ...] = ()
    """The expired backups that made room for it."""
    warnings: tuple[str, ...] = ()
    """What should be known about it."""


def backup(names: Sequence[str] | None = None, **options: Any) -> list[BackupResult]:
    """Back up the databases of these aliases, DBBACKUP_DATABASES by default, and return a result for each.

    The keywords are the fields of `BackupOptions`. One database that fails does not stop the others: once all were
    tried, OperationFailed holds the error of each failed alias and the results of the rest.
    Raise UsageError or ConfigurationError before anything is done when the call itself is wrong.
    """
    chosen = BackupOptions(**options)
    wanted = databases.aliases([names] if isinstance(names, str) else names)
    if len(wanted) > 1 and (chosen.output_filename or chosen.output_path):
        raise UsageError(f"One output name cannot take {len(wanted)} databases; name one with --database.")
    encoders(chosen.compress, chosen.encrypt)
    target = destination(chosen.output_path, chosen.output_filename)
    results: list[BackupResult] = []
    failures: dict[str, Exception] = {}
    for alias in wanted:
        try:
            results.append(_backup_database(alias, chosen, target))
        except Exception as exc:
            logger.debug("Backup of %r failed", alias, exc_info=True)
            failures[alias] = exc
    if failures:
        first = next(iter(failures.values()))
        raise OperationFailed(
            f"{len(failures)} of {len(wanted)} databases were not backed up.",
            failures,
            list(results),
        ) from first
    return results


def _backup_database(alias: str, options: BackupOptions, target: Destination) -> BackupResult:
    connector = databases.connector(alias)
    _apply_flags(connector, options)
    try:
        signals.pre_backup.send(
            BackupResult,
            database=connector.settings,
            connector=connector,
            servername=options.server,
        )
        result = _write_persistently(connector, options, target)
    except Exception as exc:
        signals.backup_failed.send(
            BackupResult,
            database=connector.settings,
            database_name=alias,
            servername=options.server,
            exception=exc,
        )
        raise
    signals.post_backup.send(
        BackupResult,
        database=connector.settings,
        connector=connector,
        servername=options.server,
        filename=result.name,
        storage=target.storage,
    )
    return _prune(result, target) if options.clean else result


def _write_persistently(connector: BaseDBConnector, options: BackupOptions, target: Destination) -> BackupResult:
    """Write the backup, anew where the connector says that what failed may succeed the next time."""
    for attempt in range(1, _ATTEMPTS):
        try:
            return _write(connector, options, target)
        except ConnectorError as exc:
            if not exc.transient:
                raise
            connector.notify(f"{exc}\nTrying again ({attempt + 1} of {_ATTEMPTS}).")
    return _write(connector, options, target)


def _write(connector: BaseDBConnector, options: BackupOptions, target: Destination) -> BackupResult:
    """Move the bytes from the database to the target, then publish what they are."""
    started = datetime.now(UTC)
    codecs = encoders(options.compress, options.encrypt)
    name, ending = _name(connector, options, target, codecs, started)
    manifest = _describe(connector, options, codecs, started)
    connector.compresses_later = any(codec.kind == COMPRESSION for codec in codecs)
    warnings = tuple(connector.preflight_dump() or ())
    with closing(connector.create_dump()) as dump:
        # Asked for only now: Django's connection would have made a missing SQLite file.
        manifest = replace(
            manifest,
            migrations=applied_leaves(connector.alias),
            versions=_versions(connector),
            limits=connector.limits(),
        )
        plain = HashingReader(watched(dump, options.progress, "dumping", connector.alias))
        with closing(encode_all(plain, codecs)) as encoded:
            # Without a codec the stored bytes are those of the dump, and hashed already.
            stored = HashingReader(encoded) if codecs else plain
            name = target.store(name, ending, stored)
    with target.discarded_on_error(name):
        if not plain.size:
            raise DumpError(f"The dump of database {connector.alias!r} is empty, which no database's is.")
        manifest = replace(
            manifest,
            name=name,
            finished=datetime.now(UTC),
            objects=(StoredObject(name, stored.size, stored.hexdigest()),),
            dump=DumpDigest(plain.size, plain.hexdigest()),
            restore_by_hand=decode_line(name, codecs, connector.restore_by_hand),
        )
        target.publish(manifest)
    seconds = (manifest.finished - started).total_seconds()
    return BackupResult(connector.alias, name, manifest, seconds, warnings=warnings)


def _describe(
    connector: BaseDBConnector, options: BackupOptions, codecs: Sequence[Codec], started: datetime
) -> Manifest:
    """Return the manifest as far as it is known before the dump, the user's own keys included."""
    manifest = Manifest(
        id=uuid.uuid4().hex,
        name="",
        content_type="db",
        engine=connector.engine,
        connector=databases.connector_path(connector.alias),
        database=connector.alias,
        database_name=str(connector.settings.get("NAME", "")),
        servername=options.server,
        started=started,
        finished=started,
        codecs=tuple(codec.name for codec in codecs),
        objects=(),
        dump=DumpDigest(0, ""),
        restore_by_hand="",
    )
    setter = get_settings().metadata_setter
    if setter is None:
        return manifest
    try:
        manifest = manifest.with_extra(setter(manifest.as_dict()))
        manifest.to_bytes(get_settings().signing_keys)
    except Exception as exc:
        raise ConfigurationError(f"DBBACKUP_BACKUP_METADATA_SETTER failed: {type(exc).__name__}: {exc}") from exc
    return manifest


def _name(
    connector: BaseDBConnector,
    options: BackupOptions,
    target: Destination,
    codecs: Sequence[Codec],
    started: datetime,
) -> tuple[str, str]:
    """Return the name to ask for, and the part of it that a number for a taken name goes before."""
    suffixes = "".join(codec.suffix for codec in codecs)
    if target.name is not None:
        return target.name, "".join(PurePosixPath(target.name).suffixes)
    settings = get_settings()
    name = backup_name(
        settings.filename_template,
        databasename=connector.alias,
        servername=options.server,
        when=started.astimezone().replace(tzinfo=None),
        date_format=settings.date_format,
        extension=connector.extension,
    )
    extension = f".{connector.extension}"
    return name + suffixes, (extension if name.endswith(extension) else "") + suffixes


def _versions(connector: BaseDBConnector) -> dict[str, Any]:
    return {
        "server": connector.server_version(),
        "tools": connector.tool_versions(),
        "dbbackup": version("dbbackup-django"),
        "django": django.get_version(),
        "python": python_version(),
    }


def _apply_flags(connector: BaseDBConnector, options: BackupOptions) -> None:
    if options.exclude_tables:
        connector.set_option("exclude", tuple(options.exclude_tables), "--exclude-tables")
    if options.schemas:
        connector.set_option("schemas", tuple(options.schemas), "--schema")
    # Other engines have no reason to doubt an empty database.
    if options.allow_empty and "allow_empty" in connector.options():
        connector.set_option("allow_empty", True, "--allow-empty")
    if options.notify is not None:
        connector.listen(options.notify)


def _prune(result: BackupResult, target: Destination) -> BackupResult:
    if target.catalog is None:
        return result
    said = result.manifest
    try:
        deleted = prune(target.catalog, content_type="db", database=said.database, servername=said.servername)
    except StorageError as exc:
        raise StorageError(f"The backup {result.name} is complete, but not all expired ones went: {exc}") from exc
    return replace(result, deleted=tuple(deleted))
