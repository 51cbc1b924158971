"""A dump that is to be restored or verified, read to its end."""

from __future__ import annotations

from dbbackup.db.exceptions import RestoreError
from dbbackup.db.kinds import kind_of
from dbbackup.db.mongodb.archive import BEGINNING, Archive, ArchiveError, read_archive
from dbbackup.streams import PeekableReader

_HEAD = 4096
"""Bytes that tell what a file is."""


def check_head(head: bytes) -> None:
    """Raise RestoreError if a dump that begins like this is no archive."""
    if not head:
        raise RestoreError("The dump is empty.")
    if head[: len(BEGINNING)] != BEGINNING[: len(head)]:
        kind = kind_of(head)
        raise RestoreError(
            f"This is no archive of mongodump{kind and ': it is '}{kind}. Where a DUMP_SUFFIX has changed it, a "
            'RESTORE_PREFIX has to change it back ("gunzip |").'
        )


def read_dump(source: PeekableReader) -> Archive:
    """Read an archive to its end; raise RestoreError if it is not whole."""
    check_head(source.peek(_HEAD))
    try:
        return read_archive(source)
    except ArchiveError as exc:
        raise RestoreError(f"The archive cannot be restored: {exc}.") from exc
