"""Option files of MariaDB and MySQL: how a value is written so that it survives, and what a file says."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from dbbackup.exceptions import ConfigurationError

_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "s": " ", '"': '"', "'": "'", "\\": "\\"}
_WRITTEN = {character: f"\\{letter}" for letter, character in _ESCAPES.items() if letter not in {"s", "'"}}
# The programs read lines into a buffer of this size and take the rest of a longer one for the next line.
_LONGEST_LINE = 4094
_DEEPEST = 10
# What they take for white space: they read Latin-1, whatever the bytes mean.
_SPACE = " \t\n\v\f\r\xa0"


def option_file(options: Mapping[str, str | None]) -> str:
    """Return an option file with these values, whatever characters they have; None is an option without one.

    Raise ConfigurationError, which names the option, for what no option file can hold.
    """
    return "\n".join(["[client]", *(_line(name, value) for name, value in options.items()), ""])


def read_groups(path: str | Path, groups: Sequence[str], *, home: Path | None = None) -> dict[str, str | None]:
    """Return what groups of an option file and of those it includes say; nothing if the file is not there.

    The later of two values counts, as it does for the programs. The names have dashes, no underscores.
    """
    wanted = {group.lower() for group in groups}
    return {
        name.replace("_", "-"): value
        for group, name, value in _options(_expanded(str(path), home), home, _DEEPEST)
        if group.lower() in wanted
    }


def is_ignored(path: Path) -> bool:
    """Return whether the programs pass an option file over because everybody may write it."""
    mode = path.stat().st_mode
    return stat.S_ISREG(mode) and bool(mode & stat.S_IWOTH)


def _line(name: str, value: str | None) -> str:
    if value is None:
        return name
    # In quotes # begins no comment, and blanks at the ends stay.
    line = name + '="' + "".join(_WRITTEN.get(character, character) for character in value) + '"'
    if "\0" in line:
        raise ConfigurationError(f"The {name} of the database has a NUL, which no program of MySQL's takes.")
    if len(line.encode(errors="surrogateescape")) > _LONGEST_LINE:
        raise ConfigurationError(f"The {name} of the database is too long for an option file.")
    return line


def _expanded(path: str, home: Path | None) -> Path:
    return home / path[2:] if home is not None and path.startswith("~/") else Path(path).expanduser()


def _options(path: Path, home: Path | None, deeper: int) -> Iterator[tuple[str, str, str | None]]:
    """Yield group, name and value of each option in the order in which the programs meet them."""
    group = ""
    for line in _lines(path):
        include = re.match(rf"![{_SPACE}]*(include|includedir)[{_SPACE}]+(.+)", line)
        if include and deeper:
            for included in _included(include[1], _expanded(_text(include[2]), home)):
                yield from _options(included, home, deeper - 1)
        elif line.startswith("["):
            group = _text(line[1:].partition("]")[0].rstrip(_SPACE))
        elif not line.startswith("!"):
            name, sign, value = _without_comment(line).partition("=")
            yield group, _text(name.rstrip(_SPACE)), _text(_value(value.strip(_SPACE))) if sign else None


def _lines(path: Path) -> Iterator[str]:
    with suppress(FileNotFoundError, NotADirectoryError):
        if is_ignored(path):
            return
        for line in path.read_bytes().decode("latin-1").split("\n"):
            stripped = line.partition("\0")[0].strip(_SPACE)
            if stripped and stripped[0] not in "#;":
                yield stripped


def _included(directive: str, path: Path) -> list[Path]:
    if directive == "include":
        return [path]
    return sorted(path.glob("*.cnf")) if path.is_dir() else []


def _without_comment(line: str) -> str:
    """Return a line up to the # that is in no quotes; a quote behind a backslash ends none."""
    quote = ""
    escaped = False
    for position, character in enumerate(line):
        if character == "#" and not quote:
            return line[:position].rstrip(_SPACE)
        if character in "'\"" and not escaped and quote in {"", character}:
            quote = "" if quote else character
        escaped = bool(quote) and character == "\\" and not escaped
    return line


def _value(written: str) -> str:
    """Return a value from how it is written: one backslash at its very end, or before another letter, is itself."""
    quoted = len(written) > 1 and written[0] == written[-1] and written[0] in "'\""
    return re.sub(
        r"\\(.)", lambda found: _ESCAPES.get(found[1], found[0]), written[1:-1] if quoted else written, flags=re.DOTALL
    )


def _text(latin: str) -> str:
    return latin.encode("latin-1").decode(errors="surrogateescape")
