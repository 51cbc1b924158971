"""The proof that a stored backup is what was written and can be read to its end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from django.db import connections

from dbbackup import databases
from dbbackup.catalog.catalog import Backup, Catalog, Filter, Status
from dbbackup.catalog.source import Source
from dbbackup.conf import get_settings
from dbbackup.exceptions import ConfigurationError, DBBackupError
from dbbackup.opening import Prompt, open_dump
from dbbackup.progress import ProgressCallback, watched
from dbbackup.streams import copy


@dataclass(frozen=True)
class VerifyOptions:
    """Which backups to verify, and how to open them."""

    database: str | None = None
    servername: str | None = None
    content_type: str | None = None
    compressed: bool | None = None
    encrypted: bool | None = None
    check_signatures: bool = True
    passphrase: str | None = None
    prompt: Prompt | None = None
    progress: ProgressCallback | None = None


@dataclass(frozen=True)
class VerifyResult:
    """What was found of one backup."""

    backup: Backup
    problem: str = ""
    """Why it cannot be trusted; empty for a good one."""
    note: str = ""
    """What could not be looked at, and why."""

    @property
    def ok(self) -> bool:
        """Return whether nothing is wrong with it."""
        return not self.problem


def verify(name: str | None = None, **options: Any) -> list[VerifyResult]:
    """Verify one backup by its name, or every one that answers the options, and return a result for each.

    The keywords are the fields of `VerifyOptions`. The stored bytes are compared with the manifest, decoded to their
    end where the keys are at hand, and read by the connector.
    Raise BackupNotFound when there is none of this name.
    """
    return list(verify_each(name, **options))


def verify_each(name: str | None = None, **options: Any) -> Iterator[VerifyResult]:
    """Do what `verify` does, and yield each result as soon as it is known."""
    chosen = VerifyOptions(**options)
    catalog = Catalog(check_signatures=chosen.check_signatures)
    wanted = Filter(chosen.database, chosen.servername, chosen.content_type, chosen.compressed, chosen.encrypted)
    for backup in [catalog.get(name)] if name else catalog.backups(wanted):
        yield _verify_one(Source(backup, catalog), chosen)


def _verify_one(source: Source, options: VerifyOptions) -> VerifyResult:
    backup = source.backup
    if backup.status is Status.BAD:
        return VerifyResult(backup, backup.problem)
    if backup.status is Status.UNVERIFIED and get_settings().require_signature:
        return VerifyResult(backup, "it has no signed manifest, and DBBACKUP_REQUIRE_SIGNATURE asks for one")
    try:
        note = _read_to_end(source, options)
    except DBBackupError as exc:
        return VerifyResult(backup, str(exc).rstrip("."))
    if backup.manifest is None:
        note = note or "no manifest: nothing to compare it with, only readable to its end"
    return VerifyResult(backup, note=note)


def _read_to_end(source: Source, options: VerifyOptions) -> str:
    name, size = source.backup.name, source.backup.size
    try:
        with source.checked(source.open_stored()) as stored:
            shown = watched(stored, options.progress, "verifying", name, size)
            with open_dump(shown, source, options.passphrase, options.prompt) as dump:
                return _by_connector(source, dump)
    except ConfigurationError as exc:
        # Whether it opens is for the machine that has the key; here the stored bytes are still to be compared.
        with source.checked(source.open_stored()) as stored:
            copy(stored, lambda _: None)
        return f"stored bytes intact, not opened: {exc}"


def _by_connector(source: Source, dump: BinaryIO) -> str:
    said = source.backup.manifest
    path = said.connector if said else ""
    alias = said.database if said else source.backup.database
    if alias in connections and (not path or databases.is_known(path)):
        connector = databases.connector(alias, path or None)
        connector.dump_limits = said.limits if said else {}
        connector.verify_dump(dump)
        return ""
    copy(dump, lambda _: None)
    return f"read to its end; no connector here for {path or alias or 'it'}"
