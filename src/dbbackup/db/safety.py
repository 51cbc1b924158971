"""The safety dump: a database as it was, for as long as a restore may fail."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from isal import isal_zlib

from dbbackup.db.exceptions import RestoreError
from dbbackup.streams import CHUNK_SIZE, CheckedReader, HashingReader, IteratorReader, chunks, sync_folder

_LOCK = ".lock"
# The fastest; and zlib's way of asking for a gzip header and trailer.
_LEVEL, _GZIP_WBITS = 1, 31
_SPARE = 64 * 1024 * 1024
"""Bytes that a disk keeps free beside a safety dump."""


class SafetyDump:
    """A compressed dump in a folder of its own, which outlives this process if that is killed.

    The folder is for its owner alone (mode 0700), the file too (0600). It goes away by discard() alone.
    """

    def __init__(self, key: tuple[str, ...], directory: Path | None, file_name: str) -> None:
        """Make the folder for a dump of the database that the key tells from every other, of any engine.

        ``file_name`` is that of the dump, as "safety.sql.gz".
        """
        self.folder = Path(tempfile.mkdtemp(prefix=f"{prefix(key)}-", dir=directory)).absolute()
        self.path = self.folder / file_name
        self._prelude = b""
        self._size = 0
        self._sha256 = ""
        self._lock = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    @property
    def sha256(self) -> str:
        """Return the hash of the dump as the program wrote it."""
        return self._sha256

    def write(self, dump: BinaryIO, prelude: bytes = b"") -> None:
        """Keep a dump, after what whoever loads it by hand needs. Until it is on the disk, it has another name."""
        partial = self.path.with_suffix(".partial")
        hashed = HashingReader(dump)
        packer: Any = isal_zlib.compressobj(_LEVEL, wbits=_GZIP_WBITS)
        try:
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(packer.compress(prelude))
                for chunk in chunks(hashed):
                    file.write(packer.compress(chunk))
                file.write(packer.flush())
                file.flush()
                os.fsync(file.fileno())
        except OSError as exc:
            raise RestoreError(
                f"cannot write in {self.folder.parent}: {exc.strerror or exc}. Make room there, or set "
                "DBBACKUP_TMP_DIR to another folder."
            ) from exc
        self._prelude = prelude
        self._size, self._sha256 = hashed.size, hashed.hexdigest()
        partial.rename(self.path)
        sync_folder(self.folder)

    def open(self) -> BinaryIO:
        """Return the dump alone; reading to its end raises if it is not what was written."""
        file = self.path.open("rb")
        plain = IteratorReader(_unpacked(file), file)
        plain.read(len(self._prelude))
        return CheckedReader(plain, self._size, self._sha256, str(self.path))

    def discard(self) -> None:
        """Remove it, and its folder."""
        with suppress(OSError):
            shutil.rmtree(self.folder)
        self.release()

    def release(self) -> None:
        """Leave it where it is."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def left_behind(key: tuple[str, ...], directory: Path | None, file_name: str) -> list[Path]:
    """Return the safety dumps of a database whose restore was killed; the unfinished ones are removed."""
    found = []
    parent = Path(tempfile.gettempdir() if directory is None else directory)
    for folder in sorted(parent.glob(f"{prefix(key)}-*")):
        with suppress(OSError), _abandoned(folder):
            if (path := folder / file_name).exists():
                found.append(path.absolute())
            else:
                shutil.rmtree(folder)
    return found


@contextmanager
def _abandoned(folder: Path) -> Iterator[None]:
    """Hold a folder whose owner is dead; OSError if that lives, or is another user's."""
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    with closing(os.fdopen(descriptor, "rb+", buffering=0)):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def free_space(directory: Path | None) -> tuple[Path, int]:
    """Return the folder for safety dumps, and how many bytes one may have there."""
    folder = Path(tempfile.gettempdir() if directory is None else directory)
    return folder, max(0, shutil.disk_usage(folder).free - _SPARE)


def _unpacked(file: BinaryIO) -> Iterator[bytes]:
    # Whether it ends too early, its hash tells.
    unpacker: Any = isal_zlib.decompressobj(wbits=_GZIP_WBITS)
    for chunk in chunks(file):
        text = unpacker.decompress(chunk, CHUNK_SIZE)
        while text:
            yield text
            text = unpacker.decompress(unpacker.unconsumed_tail, CHUNK_SIZE)


def prefix(key: tuple[str, ...]) -> str:
    """Return how the names of the folders of a database begin."""
    return f"dbbackup-safety-{hashlib.sha256(repr(key).encode()).hexdigest()[:12]}"
