"""Where a restore reads from: a backup of the storage, a file of the caller's choice, or standard input."""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, cast

from dbbackup.catalog.catalog import Backup, Catalog, Filter, Status
from dbbackup.catalog.destination import STANDARD_STREAM, local_storage, name_of_url
from dbbackup.catalog.manifest import DumpDigest, StoredObject
from dbbackup.exceptions import UsageError, VerificationError
from dbbackup.streams import CheckedReader, spool


@dataclass(frozen=True)
class Source:
    """One backup that can be opened, and the bad ones that were passed over to find it."""

    backup: Backup
    catalog: Catalog | None
    passed_over: tuple[Backup, ...] = ()

    @property
    def dump(self) -> DumpDigest | None:
        """Return what the manifest says of the dump, None without a manifest."""
        return self.backup.manifest.dump if self.backup.manifest else None

    def open_stored(self) -> BinaryIO:
        """Return the stored bytes as they lie there, unchecked."""
        if self.catalog is None:
            return cast(BinaryIO, sys.stdin.buffer)
        return self.catalog.storage.open(self.backup.name)

    def checked(self, stored: BinaryIO) -> BinaryIO:
        """Return a reader that raises VerificationError instead of the end where the bytes are not those written."""
        said = self._object()
        return CheckedReader(stored, said.size, said.sha256, self.backup.name) if said else stored

    def open_verified(self, tmp_dir: Path | None) -> BinaryIO:
        """Return the stored bytes, seekable and at their start, once they have proved to be those written.

        A local file is read where it lies; anything else is kept, still compressed and encrypted, in an unnamed
        file below ``tmp_dir``. Raise VerificationError when a byte differs.
        """
        stored = self.open_stored()
        try:
            if self.catalog is None or self.catalog.storage.folder is None:
                with stored:
                    return spool(self.checked(stored), tmp_dir)
            if said := self._object():
                _compare(stored, said)
                stored.seek(0)
        except BaseException:
            stored.close()
            raise
        return stored

    def _object(self) -> StoredObject | None:
        if self.backup.manifest is None:
            return None
        if len(self.backup.manifest.objects) != 1:
            raise VerificationError(f"{self.backup.name} is stored in several parts, which this version cannot join.")
        return self.backup.manifest.objects[0]


def find_source(
    wanted: Filter,
    *,
    name: str | None = None,
    path: str | None = None,
    check_signatures: bool = True,
) -> Source:
    """Return the backup that is named, or the newest complete one that answers the filter.

    Raise UsageError for a path that is not there, BackupNotFound when nothing answers, VerificationError when the
    one that is named is bad.
    """
    if name and path:
        raise UsageError("--input-filename names a backup in the storage, --input-path one outside it; give one.")
    if path == STANDARD_STREAM:
        return Source(Backup("standard input", Status.UNVERIFIED, 0), None)
    if path and not path.startswith("s3://"):
        real = Path(os.path.realpath(Path(path).expanduser()))
        if not real.is_file():
            raise UsageError(f"There is no file {path!r}.")
        return _named(Catalog(local_storage(real.parent), check_signatures=check_signatures), real.name)
    catalog = Catalog(check_signatures=check_signatures)
    if path:
        return _named(catalog, name_of_url(path))
    if name:
        return _named(catalog, name)
    choice = catalog.latest(wanted)
    return Source(choice.backup, catalog, choice.passed_over)


def _compare(stored: BinaryIO, said: StoredObject) -> None:
    digest = hashlib.file_digest(cast(BufferedReader, stored), "sha256").hexdigest()
    if (stored.tell(), digest) != (said.size, said.sha256):
        raise VerificationError(f"{said.name} is not what was written: its bytes differ from its manifest.")


def _named(catalog: Catalog, name: str) -> Source:
    backup = catalog.get(name)
    if backup.status is Status.BAD:
        raise VerificationError(f"{name} is refused: {backup.problem}.")
    return Source(backup, catalog)
