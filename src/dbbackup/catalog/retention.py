"""Which backups to keep, and the deleting of the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from dbbackup.catalog.catalog import Backup, Catalog, Filter, Status
from dbbackup.catalog.naming import MANIFEST_SUFFIX


def expired(backups: Sequence[Backup], keep: int, keep_filter: Callable[[str], bool], now: datetime) -> list[Backup]:
    """Return which of the complete backups of one database may go.

    The newest ``keep`` stay, at least one. What claims to have been made after ``now`` stays too and takes
    nobody's place: a clock that was wrong once must not push out the backups of today.
    """
    complete = sorted(
        (backup for backup in backups if backup.status is Status.COMPLETE and backup.made),
        key=lambda backup: (backup.made, backup.name),
        reverse=True,
    )
    past = [backup for backup in complete if backup.made and backup.made <= now]
    return [backup for backup in past[max(keep, 1) :] if not keep_filter(backup.name)]


def prune(catalog: Catalog, *, content_type: str, database: str, servername: str) -> list[str]:
    """Delete the expired backups of one database of one server and return their names.

    The data goes before its manifest, so that what an interruption leaves is recognized as ours and goes next time.
    Raise StorageError when the storage refuses.
    """
    settings = catalog.settings
    keep = settings.cleanup_keep if content_type == "db" else settings.cleanup_keep_media
    wanted = Filter(database=database, servername=servername, content_type=content_type)
    backups = catalog.backups(wanted)
    gone = expired(backups, keep, settings.cleanup_keep_filter, datetime.now(UTC))
    for backup in gone:
        catalog.storage.delete(backup.name)
        catalog.storage.delete(backup.name + MANIFEST_SUFFIX)
    _remove_remains(catalog, backups)
    return [backup.name for backup in gone]


def _remove_remains(catalog: Catalog, backups: Sequence[Backup]) -> None:
    """Delete authentic manifests whose data an interrupted prune has deleted."""
    complete = [backup.made for backup in backups if backup.status is Status.COMPLETE and backup.made]
    for backup in backups:
        lone = backup.manifest is not None and backup.status is Status.BAD and not catalog.storage.exists(backup.name)
        if lone and backup.made and complete and backup.made < min(complete):
            catalog.storage.delete(backup.name + MANIFEST_SUFFIX)
