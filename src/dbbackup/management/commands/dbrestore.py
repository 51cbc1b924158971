"""Restore a database from a backup."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from dbbackup.exceptions import UsageError
from dbbackup.management.base import DBBackupCommand, may_ask
from dbbackup.management.terminal import size
from dbbackup.restore import RestorePlan, RestoreResult, restore

_TABLES_SHOWN = 20


class Command(DBBackupCommand):
    """Parse, call `dbbackup.restore`, print."""

    name = "dbrestore"
    mails_failures = True
    help = (
        "Restore a database from its newest complete backup, or from the one named: verified first, then restored as "
        "a whole or not at all. Format, compression and encryption are found out. "
        "Exit status: 0 done, 1 failed, 2 usage."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        add = parser.add_argument
        add(
            "-d",
            "--database",
            help="Alias of the database to restore (needed where there are several).",
        )
        add(
            "-i",
            "--input-filename",
            help="Name of the backup in the storage (default: the newest complete one).",
        )
        add(
            "-I",
            "--input-path",
            help="Local file instead; '-' is standard input, s3://… a name in the storage.",
        )
        add("-s", "--servername", help="Choose among the backups of this server only.")
        add("-c", "--decrypt", action="store_true", help="Choose among encrypted backups only.")
        add("-z", "--uncompress", action="store_true", help="Choose among compressed backups only.")
        add("-p", "--passphrase", help="Passphrase to decrypt with. Anybody can read it in the process list: "
            "the environment variable DBBACKUP_GPG_PASSPHRASE or the prompt is safer.")  # fmt: skip
        add(
            "-n",
            "--schema",
            action="append",
            default=[],
            help="Only this schema (PostgreSQL; repeatable).",
        )
        add(
            "-r",
            "--no-drop",
            action="store_true",
            help="Do not drop what is there first, where the connector can.",
        )
        add("--pg-options", metavar="TEXT", help="More options for pg_restore, as in --pg-options=--no-comments.")
        add("--exact", action="store_true", help="Also remove what has been made since the backup.")
        add("--role", help="Become this role for the restore (PostgreSQL).")
        add("--jobs", type=int, metavar="N",
            help="Restore an archive over N connections: faster, but not in one transaction (PostgreSQL).")  # fmt: skip
        add("--terminate-connections", action="store_true",
            help="End sessions that hold locks in the way of the restore (PostgreSQL).")  # fmt: skip
        add("--no-safety-dump", action="store_true",
            help="Do not dump what is there first: a failed restore is then not undone (MySQL, MongoDB).")  # fmt: skip
        add(
            "--allow-protected",
            action="store_true",
            help="Restore even a DBBACKUP_PROTECTED_DATABASES database.",
        )
        add("--ignore-signature", action="store_true",
            help="Take a backup whose signature cannot be checked, as after the loss of SECRET_KEY.")  # fmt: skip

    def run(self, options: Mapping[str, Any]) -> None:
        self._interactive = may_ask(options) and options["input_path"] != "-"
        done = restore(
            options["database"],
            name=options["input_filename"],
            path=options["input_path"],
            servername=options["servername"],
            compressed=options["uncompress"] or None,
            encrypted=options["decrypt"] or None,
            schemas=options["schema"],
            drop=not options["no_drop"],
            pg_options=options["pg_options"],
            exact=options["exact"],
            role=options["role"],
            jobs=options["jobs"],
            terminate_connections=options["terminate_connections"],
            safety_dump=not options["no_safety_dump"],
            allow_protected=options["allow_protected"],
            check_signatures=not options["ignore_signature"],
            passphrase=options["passphrase"],
            prompt=self.prompt(options),
            confirm=self._confirm,
            progress=self.terminal.progress,
            notify=self.terminal.warning,
        )
        self._print(done)

    def _confirm(self, plan: RestorePlan) -> bool:
        for bad in plan.passed_over:
            self.terminal.warning(f"{bad.name} is passed over: {bad.problem}.")
        for warning in plan.warnings:
            self.terminal.warning(f"{plan.backup.name}: {warning}.")
        made = f"{plan.backup.made:%Y-%m-%d %H:%M:%S} UTC" if plan.backup.made else "an unknown time"
        server = f" on {plan.backup.servername}" if plan.backup.servername else ""
        known = f" ({size(plan.backup.size)}, made {made}{server})" if plan.backup.size else ""
        # It has no name of its own where a service of PostgreSQL gives it one.
        called = f" ({plan.database_name})" if plan.database_name else ""
        self.terminal.tools(plan.tools)
        self.terminal.note(
            f"Restoring {plan.backup.name}{known}\ninto database {plan.database!r}{called}, whose content it replaces."
        )
        if plan.migrations:
            self.terminal.note(f"The backup's migrations are {plan.migrations}.")
        if not self._interactive:
            return True
        if not sys.stdin.isatty():
            raise UsageError("There is no terminal to ask on. Pass --noinput to restore without a question.")
        self.terminal.stop()
        return input("Go ahead? [y/N] ").strip().lower() in ("y", "yes")

    def _print(self, done: RestoreResult) -> None:
        backup, rows = done.plan.backup, done.rows
        total = f"{sum(rows.values())} rows in {len(rows)} tables, {done.seconds:.1f} s"
        lines = [f"Restored {done.plan.database} from {backup.name} ({total})"]
        largest = sorted(rows.items(), key=lambda item: (-item[1], item[0]))
        lines += [f"  {count:>12}  {table}" for table, count in largest[:_TABLES_SHOWN]]
        if len(largest) > _TABLES_SHOWN:
            lines.append(f"  and {len(largest) - _TABLES_SHOWN} more tables")
        self.terminal.result(
            "\n".join(lines),
            database=done.plan.database,
            name=backup.name,
            made=backup.made,
            migrations=done.plan.migrations,
            warnings=done.plan.warnings,
            passed_over=[bad.name for bad in done.plan.passed_over],
            rows=dict(rows),
            seconds=round(done.seconds, 3),
        )
