"""What a dump is, seen from its first bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dbbackup.db.exceptions import RestoreError
from dbbackup.db.postgresql.archive import Archive, is_archive, read_archive
from dbbackup.db.postgresql.entries import Entry
from dbbackup.db.postgresql.plain import is_plain, leading_entries

_HEAD = 4096
# Schemas and extensions come first in a plain dump; this many bytes hold thousands of them.
_BEGINNING = 1024 * 1024


@dataclass(frozen=True)
class Contents:
    """A dump's entries: all of an archive, the first ones of a plain dump."""

    archive: Archive | None
    entries: tuple[Entry, ...]
    is_restricted: bool = False
    r"""Whether it begins with \restrict, which an old psql does not know."""


def examine(peek: Callable[[int], bytes]) -> Contents:
    """Return what a dump has, from what ``peek`` shows of its beginning; RestoreError if it is none of pg_dump's."""
    head = peek(_HEAD)
    check_head(head)
    if is_archive(head):
        archive = read_archive(peek)
        return Contents(archive, archive.entries)
    return Contents(None, tuple(leading_entries(peek(_BEGINNING))), b"\n\\restrict " in b"\n" + head)


def check_head(head: bytes) -> None:
    """Raise RestoreError if a dump that begins like this is not by pg_dump, in a format that can be restored."""
    if b"-- PostgreSQL database cluster dump" in head:
        raise RestoreError("This is a dump of a whole cluster by pg_dumpall. Restore it with psql as a superuser.")
    if not is_archive(head) and not is_plain(head):
        raise RestoreError(
            "This is no dump of PostgreSQL: neither an archive (pg_dump -Fc) nor SQL by pg_dump. Where a DUMP_SUFFIX "
            'has changed it, a RESTORE_PREFIX has to change it back ("gunzip |").'
        )


def major_of(archive: Archive) -> int:
    """Return the major version of the server that was dumped."""
    return int(archive.server.split(".")[0])


def required_major(archive: Archive) -> int:
    """Return the major version of pg_restore that an archive takes (K_VERS_… in pg_backup_archiver.h)."""
    minor = archive.version[1]
    return {14: 12, 15: 16, 16: 17}.get(minor, 0 if minor < 14 else int(archive.tool.split(".")[0]))
