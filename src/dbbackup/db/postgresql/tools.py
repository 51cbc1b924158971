"""PostgreSQL's programs on this machine, and which of them suits a server."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dbbackup.db.programs import answer
from dbbackup.exceptions import ConfigurationError, ProgramError, ProgramNotFound

# Where distributions keep the programs of each major version: Debian, Red Hat, Homebrew twice, Postgres.app.
_VERSIONED = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)
_SETTINGS = {"pg_dump": "DUMP_CMD", "pg_restore": "RESTORE_CMD", "psql": "PSQL_CMD"}
# The first releases whose psql knows the \restrict that newer plain dumps begin with (CVE-2025-8714).
_RESTRICT = {13: 22, 14: 19, 15: 14, 16: 10, 17: 6}


@dataclass(frozen=True)
class Tool:
    """A program and its version."""

    path: str
    version: str
    """As "15.20"."""
    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.version} ({self.path})"

    @property
    def knows_restrict(self) -> bool:
        r"""Return whether this psql knows \restrict."""
        return self.minor >= _RESTRICT.get(self.major, 0) if self.major >= min(_RESTRICT) else False


def find_tool(name: str, given: str = "", *, wanted: int = 0, at_least: int = 0, path: str | None = None) -> Tool:
    """Return the program that a setting gives, else the installed one that suits best.

    Best is the major version ``wanted``, else the newest; none below ``at_least`` suits. Versioned folders go before
    ``path``, because Debian's programs on PATH are slow wrappers. Raise ProgramNotFound or ConfigurationError.
    """
    if given:
        return identify(_resolve(name, given, path), name)
    found = [tool for tool in _installed(name, path, wanted or at_least) if tool.major >= at_least]
    if not found:
        raise ProgramNotFound(_nothing_suits(name, max(wanted, at_least), path))
    return max(found, key=lambda tool: (tool.major == wanted, tool.major, tool.minor))


def newest_tool(name: str, path: str | None = None) -> Tool | None:
    """Return the newest installed program of this name, if there is any."""
    return max(_installed(name, path, 0), key=lambda tool: (tool.major, tool.minor), default=None)


def identify(path: str, name: str) -> Tool:
    """Return a program with its version; ConfigurationError if it does not answer as ``name`` would."""
    return _identify(path, name, Path(path).stat().st_mtime_ns)


@lru_cache
def _identify(path: str, name: str, _changed: int) -> Tool:
    try:
        said = answer([path, "--version"]).strip()
    except (ProgramError, ValueError) as exc:
        raise ConfigurationError(f"{path} --version fails, so it is no {name}: {exc}") from exc
    # Almost any program has a version, so the name must be there too. In the brackets stands who made it.
    match = re.search(rf"\b{name}\b.*?\(.*?\) (\d+)(?:\.(\d+))?", said)
    if match is None:
        raise ConfigurationError(f"{path} --version says {said[:80]!r}, so it is no {name}.")
    version = said[match.start(1) :].split()[0]
    return Tool(path, version, int(match[1]), int(match[2] or 0))


def package_of(name: str, major: int) -> str:
    """Return what to install to have a program of this major version."""
    return f"postgresql-client-{major} (Debian; {name} {major} elsewhere)"


def _installed(name: str, path: str | None, wanted: int) -> Iterator[Tool]:
    """Yield the programs in versioned folders, then those on PATH; stop behind the folders if they have the wanted."""
    seen = False
    for tool in _working(name, [folder for pattern in _VERSIONED for folder in Path("/").glob(pattern[1:])]):
        seen = seen or wanted in {0, tool.major}
        yield tool
    if not seen:
        on_path = (os.environ.get("PATH", os.defpath) if path is None else path).split(os.pathsep)
        yield from _working(name, [Path(folder) for folder in on_path if folder])


def _working(name: str, folders: Iterable[Path]) -> Iterator[Tool]:
    for folder in folders:
        program = folder / name
        if program.is_file() and os.access(program, os.X_OK):
            # One that is broken is as good as none.
            with suppress(ConfigurationError):
                yield identify(str(program), name)


def _resolve(name: str, given: str, path: str | None) -> str:
    found = shutil.which(given, path=path)
    if found is None:
        raise ProgramNotFound(
            f"{_SETTINGS[name]}: the program {given!r} was not found. Give the full path of a {name}."
        )
    return found


def _nothing_suits(name: str, major: int, path: str | None) -> str:
    newest = newest_tool(name, path)
    install = f"Install {package_of(name, major)}" if major else "Install PostgreSQL's client programs"
    setting = _SETTINGS[name]
    if newest is None:
        return f"The program {name!r} was not found. {install}, or give its full path in {setting}."
    return f"{name} {major} or newer is needed, and the newest here is {newest}. {install}, or name one in {setting}."
