"""The names of backups: made from a template, and read back only to narrow a search.

Which database a backup belongs to is said by its manifest. A name can rule a backup out, never in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from dbbackup.codecs import split_suffixes
from dbbackup.conf import NameTemplate, Settings
from dbbackup.exceptions import ConfigurationError, UsageError

MANIFEST_SUFFIX = ".metadata"

# What strftime writes for a directive, as far as it can stand in a name; every other one matches any text.
_DIRECTIVES = {"Y": r"\d{4}", "j": r"\d{3}", "f": r"\d{6}", "s": r"\d+", "%": "%"} | dict.fromkeys(
    "mdHMSyIUWV", r"\d{2}"
)


@dataclass(frozen=True)
class ParsedName:
    """What a name says of itself, where it was made from the template."""

    database: str
    servername: str
    made: datetime | None
    codecs: tuple[str, ...]


def backup_name(
    template: NameTemplate, *, databasename: str, servername: str, when: datetime, date_format: str, extension: str,
    content_type: str = "db",
) -> str:  # fmt: skip
    """Return the name of a backup made at ``when``, without the suffixes of its codecs.

    Raise ConfigurationError when the template cannot be filled in, UsageError when the result is no file name.
    """
    values = {
        "databasename": databasename,
        "servername": servername,
        "datetime": when.strftime(date_format),
        "extension": extension,
        "content_type": content_type,
    }
    try:
        name = template(**values) if callable(template) else template.format(**values)
    except (KeyError, IndexError, ValueError) as exc:
        raise ConfigurationError(f"The file name template {template!r} cannot be filled in: {exc!r}.") from exc
    return check_name(name)


def check_name(name: str) -> str:
    """Return the name as a storage takes it; raise UsageError when no backup can be called so."""
    parts = name.replace("\\", "/").split("/")
    if not name or any(part in ("", ".", "..") or part.startswith(".") for part in parts):
        raise UsageError(f"{name!r} is no name for a backup: empty and hidden parts, '.' and '..' are not allowed.")
    if name.endswith(MANIFEST_SUFFIX) or any(ord(char) < 32 for char in name):
        raise UsageError(f"{name!r} is no name for a backup: it ends like a manifest or holds control characters.")
    return name


def alternatives(name: str, ending: str) -> Iterator[str]:
    """Yield the name, then the same with -2, -3 … before its ending, without end."""
    yield name
    stem = name.removesuffix(ending)
    number = 2
    while True:
        yield f"{stem}-{number}{name[len(stem) :]}"
        number += 1


class NameReader:
    """Reads names back by the project's template and date format."""

    def __init__(self, settings: Settings) -> None:
        """Prepare the patterns; a template that is a callable cannot be read back, only its date can."""
        self._codecs = settings.codecs
        self._date_format = settings.date_format
        self._template = settings.filename_template
        self._date = re.compile(f"(?<!\\d){_date_pattern(settings.date_format)}(?!\\d)")
        self._any = self._pattern(None)

    def parse(self, name: str) -> ParsedName | None:
        """Return what the name says, or None when it was not made from the template."""
        plain, codecs = split_suffixes(name, self._codecs)
        found = self._any.fullmatch(plain) if self._any else None
        if found is None:
            return None
        said = found.groupdict()
        return ParsedName(said.get("databasename", ""), said.get("servername", ""), self.made(name), tuple(codecs))

    def may_be(self, name: str, database: str) -> bool:
        """Return whether the name, read by the template, could be that of a backup of this database."""
        plain, _ = split_suffixes(name, self._codecs)
        pattern = self._pattern(database)
        return pattern is not None and pattern.fullmatch(plain) is not None

    def made(self, name: str) -> datetime | None:
        """Return the local time in the name, or None when it holds none that exists."""
        for found in self._date.finditer(name):
            try:
                return datetime.strptime(found.group(), self._date_format)  # noqa: DTZ007 - names hold local time
            except ValueError:
                continue
        return None

    def _pattern(self, database: str | None) -> re.Pattern[str] | None:
        if callable(self._template) or "{datetime}" not in self._template:
            return None
        groups = {
            "databasename": "(?P<databasename>.+?)" if database is None else re.escape(database),
            "servername": "(?P<servername>.*?)",
            "datetime": f"{_date_pattern(self._date_format)}(?:-\\d+)?",
            "extension": "[A-Za-z0-9._]+",
            "content_type": "db",
        }
        pattern, seen = "", set[str]()
        for part in re.split(r"(\{\w+\})", self._template):
            field = part[1:-1] if part.startswith("{") else ""
            if field not in groups:
                pattern += re.escape(part)
            elif field in seen:
                pattern += groups[field].replace(f"?P<{field}>", "?:")
            else:
                seen.add(field)
                pattern += groups[field]
        return re.compile(pattern, re.DOTALL)


def _date_pattern(date_format: str) -> str:
    pieces = re.split(r"%(.)", date_format)
    return "".join(
        _DIRECTIVES.get(piece, r"[A-Za-z0-9+]+?") if index % 2 else re.escape(piece)
        for index, piece in enumerate(pieces)
    )
