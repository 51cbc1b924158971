"""Back up databases into the storage."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from dbbackup.backup import BackupResult, backup
from dbbackup.catalog.destination import STANDARD_STREAM
from dbbackup.exceptions import OperationFailed
from dbbackup.management.base import DBBackupCommand, comma_separated
from dbbackup.management.terminal import size


class Command(DBBackupCommand):
    """Parse, call `dbbackup.backup`, print."""

    name = "dbbackup"
    mails_failures = True
    help = (
        "Back up databases: a consistent copy of each into STORAGES['dbbackup'], with a signed manifest beside it. "
        "Exit status: 0 all done, 1 failed, 2 usage, 3 some databases done and some failed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        add = parser.add_argument
        add(
            "-d",
            "--database",
            help="Aliases, with commas between them (default: DBBACKUP_DATABASES, else all).",
        )
        add(
            "-s",
            "--servername",
            help="Name of the server in the file name (default: DBBACKUP_HOSTNAME).",
        )
        add("-z", "--compress", nargs="?", const=True, default=None, metavar="CODEC",
            help="Compress: gzip, or the codec named (zstd). Default: DBBACKUP_COMPRESSION.")  # fmt: skip
        add(
            "--no-compress",
            action="store_const",
            const=False,
            dest="compress",
            help="Do not compress.",
        )
        add("-e", "--encrypt", nargs="?", const=True, default=None, metavar="CODEC",
            help="Encrypt: gpg, or the codec named (age). Default: DBBACKUP_ENCRYPTION.")  # fmt: skip
        add(
            "--no-encrypt",
            action="store_const",
            const=False,
            dest="encrypt",
            help="Do not encrypt.",
        )
        add("-c", "--clean", action="store_true",
            help="Afterwards delete backups of this database and server beyond DBBACKUP_CLEANUP_KEEP.")  # fmt: skip
        add("-o", "--output-filename", help="Name of the backup in the storage.")
        add("-O", "--output-path",
            help="Local file or folder instead; '-' is standard output, s3://… a name in the storage.")  # fmt: skip
        add(
            "-x",
            "--exclude-tables",
            help="Tables or collections to leave out, with commas between them.",
        )
        add(
            "-n",
            "--schema",
            action="append",
            default=[],
            help="Only this schema (PostgreSQL; repeatable).",
        )
        add("--allow-empty", action="store_true",
            help="Back up a database even if it has no collections (MongoDB).")  # fmt: skip

    def run(self, options: Mapping[str, Any]) -> None:
        self._to_stdout = options["output_path"] == STANDARD_STREAM
        try:
            done = backup(
                comma_separated(options["database"]) or None,
                servername=options["servername"],
                compress=options["compress"],
                encrypt=options["encrypt"],
                clean=options["clean"],
                output_filename=options["output_filename"],
                output_path=options["output_path"],
                exclude_tables=comma_separated(options["exclude_tables"]),
                schemas=options["schema"],
                allow_empty=options["allow_empty"],
                progress=self.terminal.progress,
                notify=self.terminal.warning,
            )
        except OperationFailed as exc:
            self._print([result for result in exc.results if isinstance(result, BackupResult)])
            raise
        self._print(done)

    def _print(self, results: list[BackupResult]) -> None:
        for done in results:
            said = done.manifest
            text = (
                f"Backed up {done.database} to {done.name}"
                f" ({size(said.size)}, dump {size(said.dump.size)}, {done.seconds:.1f} s)"
            )
            for warning in done.warnings:
                self.terminal.warning(f"{done.database}: {warning}.")
            self.terminal.tools(said.versions["tools"])
            if self._to_stdout:
                self.terminal.note(text)
                continue
            self.terminal.result(
                text,
                database=done.database,
                name=done.name,
                size=said.size,
                dump_size=said.dump.size,
                sha256=said.objects[0].sha256,
                codecs=said.codecs,
                seconds=round(done.seconds, 3),
                deleted=done.deleted,
                warnings=done.warnings,
            )
            for name in done.deleted:
                self.terminal.note(f"Deleted {name}, beyond DBBACKUP_CLEANUP_KEEP.")
