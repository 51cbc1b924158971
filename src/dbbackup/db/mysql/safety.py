"""The safety dump: the database as it was, for as long as a restore may fail."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from isal import isal_zlib

from dbbackup.db.exceptions import RestoreError
from dbbackup.db.mysql.login import Login
from dbbackup.streams import CHUNK_SIZE, CheckedReader, HashingReader, IteratorReader, chunks

_FILE = "safety.sql.gz"
_LOCK = ".lock"
# The fastest; and zlib's way of asking for a gzip header and trailer.
_LEVEL, _GZIP_WBITS = 1, 31
_SPARE = 64 * 1024 * 1024
"""Bytes that a disk keeps free beside a safety dump."""


class SafetyDump:
    """A compressed dump in a folder of its own, which outlives this process if that is killed.

    The folder is for its owner alone (mode 0700), the file too (0600). It goes away by discard() alone.
    """

    def __init__(self, login: Login, directory: Path | None) -> None:
        """Make the folder for a dump of this login's database."""
        prefix = f"{_prefix(login)}-"
        self.folder = Path(tempfile.mkdtemp(prefix=prefix, dir=directory)).absolute()
        self.path = self.folder / _FILE
        self.largest = 0
        self._prelude = b""
        self._ended = False
        self._size = 0
        self._sha256 = ""
        self._lock = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    @property
    def sha256(self) -> str:
        """Return the hash of the dump as the program wrote it."""
        return self._sha256

    def write(self, dump: BinaryIO, prelude: bytes) -> None:
        """Keep a dump, after SQL that whoever loads it by hand needs. Until it is on the disk, it has another name."""
        partial = self.path.with_suffix(".partial")
        hashed = HashingReader(dump)
        packer: Any = isal_zlib.compressobj(_LEVEL, wbits=_GZIP_WBITS)
        statement = 0
        try:
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(packer.compress(prelude))
                for chunk in chunks(hashed):
                    file.write(packer.compress(chunk))
                    statement = self._measure(chunk, statement)
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
        _sync(self.folder)

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

    def _measure(self, chunk: bytes, open_bytes: int) -> int:
        """Note the largest statement; return the bytes of the one that the chunk ends in."""
        if chunk.startswith(b"\n") and self._ended:
            open_bytes = 0
        self._ended = chunk.endswith(b";")
        first = chunk.find(b";\n")
        if first < 0:
            self.largest = max(self.largest, open_bytes + len(chunk))
            return open_bytes + len(chunk)
        position = first + 2
        self.largest = max(self.largest, open_bytes + position)
        while (end := chunk.find(b";\n", position) + 2) > 1:
            self.largest = max(self.largest, end - position)
            position = end
        return len(chunk) - position


def by_hand(path: Path, client: str, login: Login) -> str:
    """Return the shell line that loads a safety dump."""
    return f"gzip -dc {shlex.quote(str(path))} | {loading(client, login)}"


def loading(client: str, login: Login) -> str:
    """Return the shell command that loads SQL, and asks for the password."""
    # Without comments the client would cut off events and triggers that have some.
    return f"{client} --binary-mode --comments --max-allowed-packet=1G {login.by_hand()}"


def left_behind(login: Login, directory: Path | None) -> list[Path]:
    """Return the safety dumps of this login's database whose restore was killed; the unfinished ones are removed."""
    found = []
    parent = Path(tempfile.gettempdir() if directory is None else directory)
    for folder in sorted(parent.glob(f"{_prefix(login)}-*")):
        with suppress(OSError), _abandoned(folder):
            if (path := folder / _FILE).exists():
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


def _prefix(login: Login) -> str:
    where = repr((login.host, login.port, login.socket, login.database))
    return f"dbbackup-safety-{hashlib.sha256(where.encode()).hexdigest()[:12]}"


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
