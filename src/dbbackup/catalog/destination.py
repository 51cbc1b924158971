"""Where a backup goes: the project's storage, a file of the caller's choice, or standard output."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from django.core.files.storage import FileSystemStorage

from dbbackup.catalog.catalog import Catalog
from dbbackup.catalog.manifest import Manifest
from dbbackup.catalog.naming import check_name
from dbbackup.catalog.storage import BackupStorage
from dbbackup.exceptions import StorageError, UsageError
from dbbackup.streams import copy

STANDARD_STREAM = "-"


@dataclass(frozen=True)
class Destination:
    """A catalog to write into, or standard output where there is none."""

    catalog: Catalog | None
    name: str | None = None
    """The name that the caller asked for."""
    replaces: bool = False
    """Whether a file of that name gives way, as for a path that the caller wrote out."""

    @property
    def storage(self) -> Any:
        """Return the Django storage, None for standard output."""
        return self.catalog.storage.storage if self.catalog else None

    def store(self, name: str, ending: str, source: BinaryIO) -> str:
        """Write the bytes and return the name they got."""
        if self.catalog is None:
            try:
                copy(source, sys.stdout.buffer.write)
                sys.stdout.buffer.flush()
            except OSError as exc:
                raise StorageError(f"Cannot write the backup to standard output: {exc.strerror or exc}") from exc
            return name
        return self.catalog.storage.store(name, ending, source, replace=self.replaces)

    def publish(self, manifest: Manifest) -> None:
        """Write the manifest."""
        if self.catalog is not None:
            self.catalog.publish(manifest, replace=self.replaces)

    @contextmanager
    def discarded_on_error(self, name: str) -> Iterator[None]:
        """Delete the stored bytes when the block fails: nothing of a failed run is left."""
        try:
            yield
        except BaseException:
            if self.catalog is not None:
                self.catalog.storage.discard(name)
            raise


def destination(output_path: str | None, output_filename: str | None) -> Destination:
    """Return where a run writes to.

    ``output_path`` is a local path, "-" for standard output, or "s3://bucket/name" for a name in the storage;
    ``output_filename`` is a name in the storage. Raise UsageError when both are given or a path leads nowhere.
    """
    if output_path and output_filename:
        raise UsageError("--output-filename names a backup in the storage, --output-path one outside it; give one.")
    if output_path == STANDARD_STREAM:
        return Destination(None)
    if output_path and output_path.startswith("s3://"):
        return Destination(Catalog(), name_of_url(output_path))
    if output_path:
        # A link is followed: what it names is to be replaced, not the link.
        path = Path(os.path.realpath(Path(output_path).expanduser()))
        if path.exists() and not path.is_dir() and not path.is_file():
            raise UsageError(f"{output_path!r} is neither a file nor a folder. Standard output is '-'.")
        folder, name = (path, None) if path.is_dir() else (path.parent, path.name)
        return Destination(Catalog(local_storage(folder)), name, replaces=name is not None)
    return Destination(Catalog(), check_name(output_filename) if output_filename else None)


def local_storage(folder: Path) -> BackupStorage:
    """Return a folder outside the project's storage as one; raise UsageError when it does not exist."""
    if not folder.is_dir():
        raise UsageError(f"There is no folder {str(folder)!r}.")
    return BackupStorage(FileSystemStorage(location=folder, file_permissions_mode=0o600))


def name_of_url(url: str) -> str:
    """Return the name in the storage that an address like s3://bucket/name means."""
    return check_name(url.removeprefix("s3://").partition("/")[2])
