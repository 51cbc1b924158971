"""The ways to back up that are measured, and the command lines of each."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.engines import Engine

PROJECT = Path(__file__).parent / "project"
FLAGS = {
    "plain": ["--no-compress"],
    "gzip": ["--compress", "gzip"],
    "zstd": ["--compress", "zstd"],
    "zstd+age": ["--compress", "zstd", "--encrypt", "age"],
}


@dataclass(frozen=True)
class Places:
    """The files of one run, and the key of all runs."""

    storage: Path
    temporary: Path
    identity: Path
    recipient: str

    def filters(self, codec: str) -> tuple[list[str], list[str]]:
        """Return the shell's filters for a codec, in the order of each direction."""
        if codec == "plain":
            return [], []
        if codec == "gzip":
            return ["gzip -6"], ["gzip -dc"]
        encode, decode = ["zstd -3 -T2 -q"], ["zstd -dcq"]
        if codec == "zstd+age":
            encode = [*encode, f"age -r {self.recipient}"]
            decode = [f"age -d -i {shlex.quote(str(self.identity))}", *decode]
        return encode, decode


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

    def commands(self, engine: Engine, places: Places) -> tuple[list[str], list[str]]:
        """Return the command lines of the backup and of the restore."""
        if self.who == "by hand":
            backup, restore = engine.by_hand(self.shape, self.codec, places)
            return _shell(backup), _shell(restore)
        django = [self.python, "-m", "django"]
        if self.who == "django-dbbackup":
            flags = {"plain": ([], []), "gzip": (["--compress"], ["--uncompress"])}[self.codec]
        else:
            flags = (FLAGS[self.codec], [])
        backup_flags, restore_flags = flags
        return (
            [*django, "dbbackup", "--noinput", *backup_flags],
            [*django, "dbrestore", "--noinput", *restore_flags],
        )

    def environment(self, engine: Engine, database: str, places: Places) -> Mapping[str, str]:
        """Return what bench_settings reads, and what the shell's programs do."""
        return {
            **engine.environment(),
            "BENCH_DATABASE": json.dumps(engine.settings(database)),
            "BENCH_STORAGE": str(places.storage),
            "BENCH_CONNECTOR": engine.connectors[self.shape],
            "BENCH_AGE_RECIPIENT": places.recipient,
            "BENCH_AGE_IDENTITY": str(places.identity),
            "DJANGO_SETTINGS_MODULE": "bench_settings",
            "PYTHONPATH": str(PROJECT),
        }


def _shell(line: str) -> list[str]:
    return ["bash", "-o", "pipefail", "-c", line]


def contenders(engine: Engine, ours: str, theirs: str | None) -> list[Contender]:
    """Return everything to measure; ``theirs`` is an interpreter with django-dbbackup, if wanted."""
    found = []
    for shape in engine.connectors:
        for codec in FLAGS:
            found.append(Contender("DBBackup", shape, codec, ours))
            found.append(Contender("by hand", shape, codec))
            # django-dbbackup has neither zstd nor age.
            if theirs and "zstd" not in codec:
                found.append(Contender("django-dbbackup", shape, codec, theirs))
    return found
