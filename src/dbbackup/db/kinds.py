"""What a file is that is not the dump it should be."""

from __future__ import annotations

import re

_MAGIC = (
    (b"\x1f\x8b", "compressed with gzip"),
    (b"\x28\xb5\x2f\xfd", "compressed with Zstandard"),
    (b"\xfd7zXZ\0", "compressed with xz"),
    (b"BZh", "compressed with bzip2"),
    (b"\x04\x22\x4d\x18", "compressed with lz4"),
    (b"PK\x03\x04", "a zip archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"age-encryption.org/", "encrypted with age"),
    (b"-----BEGIN AGE ", "encrypted with age"),
    (b"-----BEGIN PGP ", "encrypted with GnuPG"),
    (b"\x6d\xe2\x99\x81", "an archive of mongodump"),
    (b"PGDMP", "an archive of pg_dump"),
    (b"SQLite format 3\0", "a database file of SQLite"),
    (b"XBSTCK", "a backup of xtrabackup or mariabackup"),
    (b"\xff\xfe", "text in UTF-16"),
    (b"\xfe\xff", "text in UTF-16"),
    (b"<?xml", "XML"),
    (b"[{", "JSON, as dumpdata writes it"),
    (b"[\n{", "JSON, as dumpdata writes it"),
)
_SQL = (
    (re.compile(rb"^-- PostgreSQL database (?:cluster )?dump", re.MULTILINE), "SQL for PostgreSQL"),
    (re.compile(rb"^PRAGMA foreign_keys", re.MULTILINE), "SQL for SQLite"),
)


def kind_of(head: bytes) -> str:
    """Return what a file is that begins like this, as "compressed with xz"; empty for what nobody knows."""
    found = next((what for magic, what in _MAGIC if head.startswith(magic)), "")
    return found or next((what for pattern, what in _SQL if pattern.search(head)), "")
