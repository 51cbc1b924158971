"""MongoDB's database tools on this machine: mongodump and mongorestore."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dbbackup.db.programs import answer
from dbbackup.exceptions import ConfigurationError, ProgramError, ProgramNotFound

# "mongodump version: 100.9.4"; whoever builds it may have any text there, or none. Lines on what it is built of follow.
_VERSION = re.compile(r"^(?!\s*(?:git|go|openssl)\b).*?\bversion:?[ \t]*([^\s:].*)", re.IGNORECASE | re.MULTILINE)
_RELEASE = re.compile(r"[rv]?(\d{1,9})\.(\d{1,9})", re.ASCII)


@dataclass(frozen=True)
class Tool:
    """One of the programs."""

    path: str
    name: str
    version: str
    """As the program says it, which may be any text."""

    def __str__(self) -> str:
        return f"{self.version} ({self.path})"


def find_tool(setting: str, name: str, given: str = "", *, path: str | None = None) -> Tool:
    """Return the program of a name on ``path``, or the one that a setting gives.

    Raise ProgramNotFound, or ConfigurationError when what is there does not run.
    """
    found = shutil.which(given or name, path=path)
    if found is None:
        if given:
            raise ProgramNotFound(f"{setting}: the program {given!r} was not found. Give its full path.")
        raise ProgramNotFound(
            f"The program {name!r} was not found. Install MongoDB's database tools (mongodb-database-tools), "
            f"or give its full path in {setting}."
        )
    try:
        return _look(found, Path(found).stat().st_mtime_ns)
    except (ProgramError, OSError, ValueError) as exc:
        raise ConfigurationError(f"{setting}: {found} does not work as {name}: {exc}") from exc


def release(version: str) -> tuple[int, int] | None:
    """Return the first two numbers of a version, within which archives can be read; None if it has none."""
    match = _RELEASE.match(version)
    return (int(match[1]), int(match[2])) if match else None


@lru_cache
def _look(path: str, _changed: int) -> Tool:
    match = _VERSION.search(answer([path, "--version"]))
    return Tool(path, Path(path).name, match[1].strip() if match else "unknown")
