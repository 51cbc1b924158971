"""Verify stored backups."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError

from dbbackup.management.base import FAILED, DBBackupCommand
from dbbackup.management.commands.listbackups import add_filters
from dbbackup.verify import verify_each


class Command(DBBackupCommand):
    """Parse, call `dbbackup.verify`, print."""

    name = "verifybackups"
    mails_failures = True
    help = (
        "Prove that stored backups are what was written: signature, size and hash, then decode and read each to its "
        "end. Exit status: 0 all good, 1 at least one is bad."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        add_filters(parser)
        parser.add_argument("-i", "--input-filename", help="Only the backup of this name.")
        parser.add_argument("-p", "--passphrase", help="Passphrase to decrypt with; see `dbrestore --help`.")
        parser.add_argument(
            "--ignore-signature",
            action="store_true",
            help="Do not compare the signatures of the manifests.",
        )

    def run(self, options: Mapping[str, Any]) -> None:
        count, bad = 0, []
        for found in verify_each(
            options["input_filename"],
            database=options["database"],
            servername=options["servername"],
            content_type=options["content_type"],
            compressed=options["compressed"],
            encrypted=options["encrypted"],
            check_signatures=not options["ignore_signature"],
            passphrase=options["passphrase"],
            prompt=self.prompt(options),
            progress=self.terminal.progress,
        ):
            count += 1
            name = found.backup.name
            note = f" ({found.note})" if found.note else ""
            self.terminal.result(
                f"bad   {name}: {found.problem}" if found.problem else f"good  {name}{note}",
                name=name,
                ok=found.ok,
                status=found.backup.status,
                problem=found.problem,
                note=found.note,
            )
            if not found.ok:
                bad.append(f"{name}: {found.problem}")
        if bad:
            raise CommandError("\n".join([f"{len(bad)} of {count} backups are bad:", *bad]), returncode=FAILED)
        self.terminal.note(f"{count} verified." if count else "There are no such backups.")
