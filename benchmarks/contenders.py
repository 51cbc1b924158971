"""The ways to back up that are measured, and the command lines of each."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parent / "project"
CODECS = ("plain", "gzip", "zstd")
FILTERS = {
    "plain": ("cat", "cat"),
    "gzip": ("gzip -6", "gzip -dc"),
    "zstd": ("zstd -3 -T2 -q", "zstd -dcq"),
}
CONNECTORS = {"file": "SqliteBackupConnector", "sql": "SqliteConnector"}


@dataclass(frozen=True)
class Places:
    """The files of one run."""

    source: Path
    target: Path
    storage: Path
    temporary: Path

    def environment(self, database: Path, shape: str) -> Mapping[str, str]:
        """Return what bench_settings reads."""
        return {
            "BENCH_DATABASE": str(database),
            "BENCH_STORAGE": str(self.storage),
            "BENCH_CONNECTOR": CONNECTORS[shape],
            "DJANGO_SETTINGS_MODULE": "bench_settings",
            "PYTHONPATH": str(PROJECT),
        }


@dataclass(frozen=True)
class Contender:
    """One way to back up and restore: a program, the shape of its dump, a codec."""

    who: str
    shape: str
    codec: str
    python: str = ""
    """The interpreter with the package; empty for the chain built in the shell."""

    @property
    def name(self) -> str:
        """Return the name in the tables."""
        return f"{self.who}, {self.shape}, {self.codec}"

    def commands(self, places: Places) -> tuple[list[str], list[str]]:
        """Return the command lines of the backup and of the restore."""
        if self.who == "by hand":
            return _by_hand(self.shape, self.codec, places)
        django = [self.python, "-m", "django"]
        if self.who == "django-dbbackup":
            flags = {"plain": ([], []), "gzip": (["--compress"], ["--uncompress"])}[self.codec]
        elif self.codec == "plain":
            flags = (["--no-compress"], [])
        else:
            flags = (["--compress", self.codec], [])
        backup, restore = flags
        return (
            [*django, "dbbackup", "--noinput", *backup],
            [*django, "dbrestore", "--noinput", *restore],
        )


def _by_hand(shape: str, codec: str, places: Places) -> tuple[list[str], list[str]]:
    encode, decode = FILTERS[codec]
    source, target, stored, copy = (
        shlex.quote(str(path))
        for path in (
            places.source, places.target, places.storage / "dump", places.temporary / "copy.sqlite3"
        )
    )  # fmt: skip
    if shape == "sql":
        backup = f"sqlite3 {source} .dump | {encode} > {stored}"
        restore = f"rm {target}; {decode} < {stored} | sqlite3 -bail {target}"
    else:
        backup = f"sqlite3 {source} '.backup {copy}' && {encode} < {copy} > {stored} && rm {copy}"
        restore = f"{decode} < {stored} > {copy} && sqlite3 {target} '.restore {copy}' && rm {copy}"
    return _shell(backup), _shell(restore)


def _shell(line: str) -> list[str]:
    return ["bash", "-o", "pipefail", "-c", line]


def contenders(ours: str, theirs: str | None) -> list[Contender]:
    """Return everything to measure; ``theirs`` is an interpreter with django-dbbackup, if wanted."""
    found = []
    for shape in CONNECTORS:
        for codec in CODECS:
            found.append(Contender("DBBackup", shape, codec, ours))
            found.append(Contender("by hand", shape, codec))
            # django-dbbackup has no zstd.
            if theirs and codec != "zstd":
                found.append(Contender("django-dbbackup", shape, codec, theirs))
    return found
