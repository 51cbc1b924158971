"""A Django storage as the home of backups: names in it, bytes into it once, bytes out of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import UnsupportedOperation
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast

from django.core.exceptions import SuspiciousOperation
from django.core.files.base import File
from django.core.files.storage import FileSystemStorage, Storage, storages

from dbbackup.catalog.local import first_free, open_regular, write_once
from dbbackup.catalog.naming import MANIFEST_SUFFIX, alternatives
from dbbackup.conf import STORAGE_ALIAS, get_settings, public_folders
from dbbackup.exceptions import ConfigurationError, DBBackupError, StorageError
from dbbackup.streams import HashingReader, chunks, spool

MISSING_STORAGE = """STORAGES has no "dbbackup". Add where backups shall go to the settings, for instance:
    STORAGES["dbbackup"] = {
        "BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": "/var/backups/myproject"}}"""

_MOST_NAMES = 1000


class BackupStorage:
    """Backups in one Django storage. What a storage raises becomes a StorageError that names the operation."""

    def __init__(self, storage: Storage) -> None:
        """Wrap a storage; a local folder is written to directly, atomically and through to the disk."""
        self.storage = storage
        self.folder = Path(storage.location) if isinstance(storage, FileSystemStorage) else None

    def names(self) -> Iterator[str]:
        """Yield the names of all files but hidden ones, folder by folder."""
        if self.folder is not None and not self.folder.exists():
            return
        yield from self._names_below("")

    def _names_below(self, folder: str) -> Iterator[str]:
        with self._errors("list", folder or "the storage"):
            folders, files = self.storage.listdir(folder)
        prefix = f"{folder}/" if folder else ""
        for name in sorted(files):
            if not name.startswith("."):
                yield prefix + name
        for name in sorted(folders):
            if not name.startswith(".") and not self.is_link(prefix + name):
                yield from self._names_below(prefix + name)

    def exists(self, name: str) -> bool:
        """Return whether there is a file, or a link, of this name."""
        if self.folder is not None:
            return os.path.lexists(self._path(name))
        with self._errors("look for", name):
            return self.storage.exists(name)

    def is_link(self, name: str) -> bool:
        """Return whether a local name is a symbolic link; no other storage has any."""
        return self.folder is not None and self._path(name).is_symlink()

    def size(self, name: str) -> int:
        """Return the size of a file in bytes."""
        with self._errors("ask the size of", name):
            return self.storage.size(name)

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading. Raise StorageError when it is missing or no regular file."""
        with self._errors("open", name):
            if self.folder is not None:
                return cast(BinaryIO, open_regular(self._path(name)))
            return cast(BinaryIO, self.storage.open(name, "rb"))

    def read(self, name: str, limit: int) -> bytes:
        """Return the content of a small file, at most ``limit`` bytes and one."""
        with self.open(name) as file, self._errors("read", name):
            return file.read(limit + 1)

    def store(self, name: str, ending: str, source: BinaryIO, *, replace: bool = False) -> str:
        """Write a new backup and return the name it got.

        A name that is taken, by a backup or by a manifest, gets a number before its ending; with ``replace``, which
        only a local folder knows, the new file takes the place of the old one once it is whole. What was written is
        deleted when reading or writing fails, and the first error is the one that is raised.
        """
        free = (
            candidate
            for candidate in islice(alternatives(name, ending), _MOST_NAMES)
            if not self.exists(candidate) and not self.exists(candidate + MANIFEST_SUFFIX)
        )
        with self._errors("store", name):
            return self._write(iter([name]) if replace else free, source, replace)

    def store_as(self, name: str, source: BinaryIO, *, replace: bool = False) -> None:
        """Write a file under this very name; raise StorageError when it is taken, unless it is to be replaced."""
        with self._errors("store", name):
            stored = self._write(iter([name] if replace or not self.exists(name) else []), source, replace)
        if stored != name:
            self.delete(stored)
            raise StorageError(f"Cannot store {name}: there is a file of that name already.")

    def delete(self, name: str) -> None:
        """Delete a file."""
        with self._errors("delete", name):
            self.storage.delete(name)

    def discard(self, name: str) -> None:
        """Delete a file on the way out of a failure, whose error is the one to report."""
        with suppress(StorageError):
            self.delete(name)

    def _write(self, names: Iterator[str], source: BinaryIO, replace: bool) -> str:
        if self.folder is None:
            return self._save(first_free(names), source)
        local = cast(FileSystemStorage, self.storage)
        path = write_once(
            (self._path(name) for name in names),
            chunks(source),
            local.file_permissions_mode,
            folder_mode=local.directory_permissions_mode,
            replace=replace,
        )
        return path.relative_to(self.folder).as_posix()

    def _save(self, name: str, source: BinaryIO) -> str:
        counted = HashingReader(source)
        try:
            stored = self._send(name, counted)
        except BaseException:
            # The first error is the one to report; the stump must go whatever else happens.
            with suppress(Exception):
                self.storage.delete(name)
            raise
        with suppress(NotImplementedError):
            if self.storage.size(stored) != counted.size:
                self.storage.delete(stored)
                raise StorageError(f"the storage holds another number of bytes than the {counted.size} sent")
        return stored

    def _send(self, name: str, counted: HashingReader) -> str:
        try:
            return self.storage.save(name, File(counted, name=name))
        except UnsupportedOperation:
            if counted.size:
                raise
        # Azure, Dropbox and FTP want to go back to the start first, which takes a file.
        with spool(counted, get_settings().tmp_dir) as seekable:
            return self.storage.save(name, File(seekable, name=name))

    def _path(self, name: str) -> Path:
        with self._errors("find", name):
            return Path(self.storage.path(name))

    @contextmanager
    def _errors(self, operation: str, name: str) -> Iterator[None]:
        try:
            yield
        except StorageError as exc:
            if str(exc).startswith("Cannot "):
                raise
            raise StorageError(f"Cannot {operation} {name}: {exc}") from exc
        except DBBackupError:
            raise
        except OSError as exc:
            raise StorageError(f"Cannot {operation} {name}: {exc.strerror or exc}") from exc
        except SuspiciousOperation as exc:
            raise StorageError(f"Cannot {operation} {name}: the name leads out of the storage") from exc
        except Exception as exc:
            # A storage may raise anything its library does; what comes through here is its failure, not the dump's.
            reason = " ".join(str(exc).split())[:500]
            raise StorageError(f"Cannot {operation} {name}: {type(exc).__name__}: {reason}") from exc


def project_storage() -> BackupStorage:
    """Return the storage that the project names for its backups, wherever that is.

    Raise ConfigurationError, with the lines to add, when there is none.
    """
    if STORAGE_ALIAS not in storages.backends:
        raise ConfigurationError(MISSING_STORAGE)
    try:
        storage = storages[STORAGE_ALIAS]
    except Exception as exc:
        # A storage checks its options as it likes.
        raise ConfigurationError(f"STORAGES[{STORAGE_ALIAS!r}] cannot be used: {type(exc).__name__}: {exc}") from exc
    configured = cast(Mapping[str, Any], storages.backends[STORAGE_ALIAS])
    if type(storage) is FileSystemStorage and not configured.get("OPTIONS", {}).get("location"):
        raise ConfigurationError(
            f"STORAGES[{STORAGE_ALIAS!r}] has no location, which means the media folder. Add one outside of it: "
            '"OPTIONS": {"location": "/var/backups/myproject"}'
        )
    return BackupStorage(storage)


def backup_storage() -> BackupStorage:
    """Return the storage that the project keeps its backups in.

    Raise ConfigurationError when there is none, or when a web server hands it out.
    """
    storage = project_storage()
    if name := public_folder_around(storage):
        raise ConfigurationError(
            f"The backups lie in {storage.folder}, inside {name}, which a web server hands out. "
            f"Give STORAGES[{STORAGE_ALIAS!r}] a location outside it."
        )
    return storage


def public_folder_around(storage: BackupStorage) -> str | None:
    """Return the setting that names a public folder in which the storage lies, if it does."""
    if storage.folder is None:
        return None
    folder = storage.folder.resolve()
    return next((name for name, public in public_folders().items() if folder.is_relative_to(public)), None)
