"""SQLite: databases that are files."""

from __future__ import annotations

import shlex
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.contenders import Places
from benchmarks.data import BATCH, DIRTY_ROWS, rows

SCHEMA = """
CREATE TABLE shop_order (
    id integer PRIMARY KEY AUTOINCREMENT, number char(32) NOT NULL UNIQUE, placed datetime NOT NULL,
    customer varchar(60) NOT NULL, total decimal NOT NULL, weight real, paid bool NOT NULL,
    details text NOT NULL, note text NOT NULL);
CREATE INDEX shop_order_placed ON shop_order (placed);
CREATE INDEX shop_order_customer ON shop_order (customer);
"""
INSERT = "INSERT INTO shop_order VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"


class Sqlite:
    """Files in a folder, by the program sqlite3."""

    connectors: Mapping[str, str] = {
        "file": "dbbackup.db.sqlite.SqliteBackupConnector",
        "sql": "dbbackup.db.sqlite.SqliteConnector",
    }

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def version(self) -> str:
        """Return the version of the library."""
        return f"SQLite {sqlite3.sqlite_version}"

    def fill(self, size: int) -> None:
        """Write the source, and the file that the target is copied from."""
        path, found = self._path("source"), rows(size)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode=OFF")
            connection.execute("PRAGMA synchronous=OFF")
            connection.executescript(SCHEMA)
            while path.stat().st_size < size:
                connection.executemany(INSERT, islice(found, BATCH))
                connection.commit()
        with closing(sqlite3.connect(self._path("dirty"))) as connection, connection:
            connection.executescript(SCHEMA)
            connection.executemany(INSERT, islice(rows(0), DIRTY_ROWS))

    def reset(self) -> None:
        """Copy the target anew."""
        for path in self._folder.glob("target.sqlite3*"):
            path.unlink()
        shutil.copyfile(self._path("dirty"), self._path("target"))

    def settings(self, database: str) -> Mapping[str, Any]:
        """Return the entry of DATABASES."""
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(self._path(database))}

    def environment(self) -> Mapping[str, str]:
        """Return nothing: a path says it all."""
        return {}

    def digest(self, database: str) -> str:
        """Return a hash of everything in a database, schema included."""
        done = subprocess.run(
            ["sqlite3", "-readonly", self._path(database), ".sha3sum --schema"],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.strip() or done.stderr.strip()

    def by_hand(self, shape: str, codec: str, places: Places) -> tuple[str, str]:
        """Return the shell lines of the backup and of the restore."""
        encode, decode = places.filters(codec)
        source, target, stored, copy = (
            shlex.quote(str(path))
            for path in (
                self._path("source"), self._path("target"), places.storage / "dump", places.temporary / "copy.sqlite3"
            )
        )  # fmt: skip
        if shape == "sql":
            return (
                f"{' | '.join([f'sqlite3 {source} .dump', *encode])} > {stored}",
                f"rm {target}; < {stored} {' | '.join([*decode, f'sqlite3 -bail {target}'])}",
            )
        return (
            f"sqlite3 {source} '.backup {copy}' && < {copy} {' | '.join(encode or ['cat'])} > {stored} && rm {copy}",
            f"< {stored} {' | '.join(decode or ['cat'])} > {copy} && sqlite3 {target} '.restore {copy}' && rm {copy}",
        )

    def _path(self, database: str) -> Path:
        return self._folder / f"{database}.sqlite3"


@contextmanager
def sqlite(folder: Path) -> Iterator[Sqlite]:
    """Give an engine whose databases lie in a folder."""
    yield Sqlite(folder)
