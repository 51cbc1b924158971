"""A small database of its own and a storage of its own: what most tests of the operations work on."""

from __future__ import annotations

import io
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.core.management import CommandError, call_command

ALIAS = "shop"


@dataclass
class Run:
    """What a command printed and how it ended."""

    out: str
    err: str
    error: str = ""
    status: int = 0

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass
class Store:
    """The local folder that backups go to, and the commands that put them there."""

    folder: Path
    tmp: Path
    settings: Any = field(repr=False)

    def run(self, command: str, *args: str, **options: Any) -> Run:
        out, err = io.StringIO(), io.StringIO()
        run = Run("", "")
        try:
            call_command(command, *args, stdout=out, stderr=err, no_color=True, **options)
        except CommandError as exc:
            run.error, run.status = str(exc), exc.returncode
        run.out, run.err = out.getvalue(), err.getvalue()
        return run

    def backup(self, *args: str) -> str:
        """Back up and return the name of the backup."""
        run = self.run("dbbackup", "--json", *args)
        assert not run.error, run.error
        return str(run.lines[0]["name"])

    def manifest(self, name: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / f"{name}.metadata").read_text())
        return content

    def stored(self) -> list[str]:
        """Return every file in the storage, hidden ones included."""
        return sorted(path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file())


@dataclass
class Shop(Store):
    """A SQLite database under the alias "shop", beside the store of its backups."""

    path: Path

    def execute(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.path)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    def rows(self) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute("SELECT id, name FROM thing ORDER BY id").fetchall()


def forge(shop: Shop, name: str, **values: Any) -> None:
    """Write a manifest as somebody without the key would."""
    path = shop.folder / f"{name}.metadata"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def refused(shop: Shop, *args: str) -> str:
    """Try a restore that must be refused, and return its error."""
    before = shop.path.read_bytes()
    run = shop.run("dbrestore", "--noinput", *args)
    assert run.status == 1
    assert shop.path.read_bytes() == before
    assert len(run.error.splitlines()) <= 3
    return run.error
