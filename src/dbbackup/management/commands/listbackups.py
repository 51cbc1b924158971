"""List the backups in the storage."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from dbbackup.catalog.catalog import Backup, Catalog, Filter, Status
from dbbackup.management.base import DBBackupCommand
from dbbackup.management.terminal import size


class Command(DBBackupCommand):
    """Parse, ask the catalog, print."""

    name = "listbackups"
    help = "List the backups in the storage, newest first, with size, age and status."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        add_filters(parser)

    def run(self, options: Mapping[str, Any]) -> None:
        backups = Catalog().backups(chosen_filter(options))
        if not backups:
            self.terminal.note("There are no such backups.")
        width = max((len(backup.name) for backup in backups), default=0)
        for backup in backups:
            status = f"{backup.status}: {backup.problem}" if backup.status is Status.BAD else str(backup.status)
            self.terminal.result(
                f"{backup.name:<{width}}  {size(backup.size):>10}  {_age(backup):>8}  {status}",
                **_as_json(backup),
            )


def add_filters(parser: ArgumentParser) -> None:
    """Add the flags that say which backups are meant."""
    add = parser.add_argument
    add("-d", "--database", help="Backups of this database only.")
    add("-s", "--servername", help="Backups of this server only.")
    add("-z", "--compressed", action="store_true", default=None, help="Compressed backups only.")
    add(
        "-Z",
        "--not-compressed",
        action="store_false",
        dest="compressed",
        help="Uncompressed backups only.",
    )
    add("-e", "--encrypted", action="store_true", default=None, help="Encrypted backups only.")
    add(
        "-E",
        "--not-encrypted",
        action="store_false",
        dest="encrypted",
        help="Unencrypted backups only.",
    )
    add(
        "-c",
        "--content-type",
        choices=("db", "media"),
        help="Backups of databases or of media only.",
    )


def chosen_filter(options: Mapping[str, Any]) -> Filter:
    """Return what the flags say."""
    return Filter(
        database=options["database"],
        servername=options["servername"],
        content_type=options["content_type"],
        compressed=options["compressed"],
        encrypted=options["encrypted"],
    )


def _age(backup: Backup) -> str:
    if backup.made is None:
        return "?"
    age = max(datetime.now(UTC) - backup.made, timedelta())
    if age < timedelta(minutes=1):
        return f"{age.seconds} s"
    if age < timedelta(hours=1):
        return f"{age.seconds // 60} min"
    return f"{age.seconds // 3600} h" if age < timedelta(days=1) else f"{age.days} d"


def _as_json(backup: Backup) -> dict[str, Any]:
    said = backup.manifest
    return {
        "name": backup.name,
        "status": backup.status,
        "problem": backup.problem,
        "size": backup.size,
        "made": backup.made,
        "database": backup.database,
        "servername": backup.servername,
        "content_type": backup.content_type,
        "codecs": backup.codecs,
        "engine": said.engine if said else None,
        "connector": said.connector if said else None,
    }
