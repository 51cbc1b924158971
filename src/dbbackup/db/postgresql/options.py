"""The options that a user gives for pg_restore, apart from those that are not theirs to give."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence

from dbbackup.exceptions import ConfigurationError

# Where the dump goes, what it is, and what of it: said elsewhere, and shown before the question.
_RESERVED = {
    "d": "dbname", "f": "file", "F": "format", "L": "use-list", "l": "list", "h": "host", "p": "port", "U": "username",
    "W": "password", "C": "create", "V": "version", "?": "help",
}  # fmt: skip
_JOBS = "jobs"
# The options whose value may be the next argument.
_VALUED = {
    "I": "index", "j": _JOBS, "n": "schema", "N": "exclude-schema", "P": "function", "S": "superuser", "t": "table",
    "T": "trigger", "d": "dbname", "f": "file", "F": "format", "L": "use-list", "h": "host", "p": "port",
    "U": "username",
}  # fmt: skip
# Those that take a part of the backup only.
_SELECTIVE = frozenset({
    "index", "schema", "exclude-schema", "function", "table", "trigger", "section", "filter",
    "a", "s", "data-only", "schema-only", "statistics-only", "no-data", "no-schema", "no-large-objects",
})  # fmt: skip
_LONG_VALUED = (*_VALUED.values(), "role", "section", "filter", "restrict-key", "statistics")


def restore_options(text: str | Sequence[str] | None) -> tuple[tuple[str, ...], int]:
    """Return the options as arguments, and the jobs that they ask for (0 if they do not).

    Raise ConfigurationError for one that says where to connect or what to read, or that cannot be taken apart.
    """
    try:
        args = shlex.split(text) if isinstance(text, str) else list(text or ())
    except ValueError as exc:
        raise ConfigurationError(f"The options for pg_restore, {text!r}, cannot be split: {exc}.") from exc
    jobs = 0
    kept: list[str] = []
    for name, value, written in _options(args):
        if name == _JOBS:
            jobs = number_of_jobs(value, "pg_restore's --jobs")
        elif name in _RESERVED.values():
            raise ConfigurationError(f"pg_restore's --{name} is not to be given: DBBackup says where and what.")
        else:
            kept += written
    return tuple(kept), jobs


def number_of_jobs(value: object, name: str) -> int:
    """Return the jobs that something called ``name`` asks for; ConfigurationError if it is no number of them."""
    text = str(value)
    if not text.isdecimal() or int(text) < 1:
        raise ConfigurationError(f"{name} must be a number from 1 on, not {value!r}.")
    return int(text)


def selective(args: Sequence[str]) -> list[str]:
    """Return the options that take a part of the backup only, as they were written."""
    return [" ".join(written) for name, _, written in _options(args) if name in _SELECTIVE]


def _options(args: Iterable[str]) -> Iterator[tuple[str, str, list[str]]]:
    """Yield each option's name, value and arguments, told apart as pg_restore's getopt_long does."""
    remaining = iter(args)
    for arg in remaining:
        if arg.startswith("--") and arg != "--":
            name, equals, value = arg[2:].partition("=")
            full = _full_name(name)
            if full in _LONG_VALUED and not equals:
                value = next(remaining, "")
                yield full, value, [arg, value]
            else:
                yield full, value, [arg]
        elif arg.startswith("-") and len(arg) > 1 and arg != "--":
            yield from _short_options(arg[1:], remaining)
        else:
            # pg_restore would read that file, and not the backup.
            raise ConfigurationError(f"{arg!r} is no option for pg_restore. Write a value as --option=value.")


def _short_options(letters: str, remaining: Iterator[str]) -> Iterator[tuple[str, str, list[str]]]:
    """Yield what one argument has of them: several without a value, the last perhaps with one."""
    for number, letter in enumerate(letters, 1):
        if letter in _VALUED:
            attached = letters[number:]
            value = attached or next(remaining, "")
            yield _VALUED[letter], value, [f"-{letter}{attached}"] if attached else [f"-{letter}", value]
            return
        yield _RESERVED.get(letter, letter), "", [f"-{letter}"]


def _full_name(name: str) -> str:
    """Return the option that is meant: any beginning of its name will do that no other has."""
    known = (*_RESERVED.values(), *_LONG_VALUED)
    return name if name in known else next((full for full in known if name and full.startswith(name)), name)
