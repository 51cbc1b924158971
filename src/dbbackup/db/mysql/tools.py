"""The programs of MariaDB and MySQL on this machine: which are there, and what they can do."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from dbbackup.db.programs import answer
from dbbackup.exceptions import ConfigurationError, ProgramError, ProgramNotFound

# MariaDB's "Ver 10.19 Distrib 10.11.19-MariaDB, for …" and "from 11.4.5-MariaDB, client …", MySQL's "Ver 8.0.36 for …".
_VERSION = re.compile(r"(?:Distrib|from|Ver) (\d+(?:\.\d+)+[^\s,]*)(?:,| for )")
# A description, which may begin with an option too, stands further right.
_OPTION = re.compile(r"^ {1,6}(?:-., )?--([A-Za-z][\w-]*)", re.MULTILINE)


@dataclass(frozen=True)
class _Role:
    """What a program is for. Any of the family has a version, so its options tell one from another."""

    setting: str
    marks: frozenset[str]
    of_mariadb: str
    of_mysql: str


_DUMP = _Role("DUMP_CMD", frozenset({"single-transaction", "opt"}), "mariadb-dump", "mysqldump")
_CLIENT = _Role("RESTORE_CMD", frozenset({"execute", "batch"}), "mariadb", "mysql")


@dataclass(frozen=True)
class Tool:
    """A program, its version and the options it has."""

    path: str
    name: str
    """Of its file."""
    version: str
    """As "10.11.19-MariaDB", "8.0.36" or Percona's "8.0.36-28"."""
    is_mariadb: bool
    """Whether it is MariaDB's, whatever it is called."""
    numbers: tuple[int, ...]
    """The version's, as (10, 11, 19)."""
    options: frozenset[str] = field(repr=False)
    """The long names, without the dashes before them."""

    def __str__(self) -> str:
        return f"{self.version} ({self.path})"

    def knows(self, option: str) -> bool:
        """Return whether the program has an option; "skip-ssl" too is one where it has "ssl"."""
        name = option.replace("_", "-")
        return name in self.options or name.removeprefix("skip-") in self.options

    def known(self, options: Mapping[str, str]) -> list[str]:
        """Return arguments for those of the options that the program has; each comes with its value, or nothing."""
        return [f"--{name}{value}" for name, value in options.items() if self.knows(name)]

    @property
    def dumps(self) -> bool:
        """Return whether the program makes dumps; otherwise it is the client."""
        return self.options >= _DUMP.marks


def find_dump_tool(given: str = "", *, mariadb: bool | None = None, path: str | None = None) -> Tool:
    """Return the dump program that a setting gives, else the one on ``path`` that suits the server's flavour best.

    Raise ProgramNotFound, or ConfigurationError when what is given is no such program.
    """
    return _find(_DUMP, given, mariadb, path)


def find_client(given: str = "", *, mariadb: bool | None = None, path: str | None = None) -> Tool:
    """Return the client that a setting gives, else the one on ``path`` that suits the server's flavour best.

    Raise ProgramNotFound, or ConfigurationError when what is given is no such program.
    """
    return _find(_CLIENT, given, mariadb, path)


def _find(role: _Role, given: str, mariadb: bool | None, path: str | None) -> Tool:
    if given:
        found = shutil.which(given, path=path)
        if found is None:
            raise ProgramNotFound(f"{role.setting}: the program {given!r} was not found. Give its full path.")
        return _identify(found, role)
    names = [role.of_mariadb, role.of_mysql]
    other = None
    for tool in _working(role, names[::-1] if mariadb is False else names, path):
        if mariadb in {None, tool.is_mariadb}:
            return tool
        # The other flavour's can do it too, within limits that the caller sees from its options.
        other = other or tool
    if other is None:
        raise ProgramNotFound(_nothing_there(role, mariadb))
    return other


def _working(role: _Role, names: Sequence[str], path: str | None) -> Iterator[Tool]:
    folders = (os.environ.get("PATH", os.defpath) if path is None else path).split(os.pathsep)
    for name in names:
        for folder in filter(None, folders):
            program = Path(folder) / name
            if program.is_file() and os.access(program, os.X_OK):
                # One that is broken is as good as none.
                with suppress(ConfigurationError):
                    yield _identify(str(program), role)


def _identify(path: str, role: _Role) -> Tool:
    kind = f"{role.of_mariadb} or {role.of_mysql}"
    try:
        tool = _look(path, Path(path).stat().st_mtime_ns)
    except (ProgramError, OSError, ValueError) as exc:
        raise ConfigurationError(f"{role.setting}: {path} is no {kind}: {exc}") from exc
    if not tool.options >= role.marks:
        raise ConfigurationError(f"{role.setting}: {path} is no {kind}: it lacks their options.")
    return tool


@lru_cache
def _look(path: str, _changed: int) -> Tool:
    said = _answer(path, "--version").strip()
    match = _VERSION.search(said)
    if match is None:
        raise ValueError(f"its --version says {said[:80]!r}.")
    version = match[1]
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:3])
    options = frozenset(name.replace("_", "-") for name in _OPTION.findall(_answer(path, "--help")))
    return Tool(path, Path(path).name, version, "-mariadb" in version.lower(), numbers, options)


def _answer(path: str, question: str) -> str:
    # Without the user's option files, of which one mistake would end it.
    return answer([path, "--no-defaults", question])


def _nothing_there(role: _Role, mariadb: bool | None) -> str:
    names = f"{role.of_mariadb!r} nor {role.of_mysql!r}"
    package = {True: "mariadb-client", False: "mysql-client, or default-mysql-client,", None: "default-mysql-client"}
    return (
        f"Neither {names} was found. Install the client programs ({package[mariadb]} on Debian and Ubuntu), "
        f"or give the full path of one in {role.setting}."
    )
