"""Readers around readers: hash, count, check, peek."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import BinaryIO

from dbbackup.exceptions import VerificationError
from dbbackup.streams.base import CHUNK_SIZE, StreamReader, cancel, chunks, copy, pull
from dbbackup.streams.temporary import spool

__all__ = [
    "CHUNK_SIZE",
    "CheckedReader",
    "CountingReader",
    "HashingReader",
    "IteratorReader",
    "PeekableReader",
    "StreamReader",
    "cancel",
    "chunks",
    "copy",
    "pull",
    "spool",
]


class HashingReader(StreamReader):
    """Pass bytes on and keep their number and their SHA-256."""

    def __init__(self, source: BinaryIO) -> None:
        self._hash = hashlib.sha256()
        self.size = 0
        self._inner = source
        super().__init__(source)

    def _next_chunk(self) -> bytes:
        chunk = pull(self._inner)
        self._hash.update(chunk)
        self.size += len(chunk)
        return chunk

    def hexdigest(self) -> str:
        """Return the SHA-256 of the bytes read so far, in hexadecimal."""
        return self._hash.hexdigest()


class CheckedReader(HashingReader):
    """Pass bytes on and raise VerificationError instead of the end when they are not those expected.

    ``size`` and ``sha256`` may be None where nothing is known of them; ``what`` names the stream in the error.
    """

    def __init__(self, source: BinaryIO, size: int | None, sha256: str | None, what: str) -> None:
        self._expected_size = size
        self._expected_hash = sha256
        self._what = what
        super().__init__(source)

    def _next_chunk(self) -> bytes:
        chunk = super()._next_chunk()
        if self._expected_size is not None:
            self._check_size(self._expected_size, at_end=not chunk)
        if not chunk and self._expected_hash not in {None, self.hexdigest()}:
            raise VerificationError(f"{self._what} is not what was written: its SHA-256 differs.")
        return chunk

    def _check_size(self, expected: int, *, at_end: bool) -> None:
        if self.size > expected:
            raise VerificationError(f"{self._what} is not what was written: it is longer than {expected} bytes.")
        if at_end and self.size < expected:
            raise VerificationError(
                f"{self._what} is not what was written: it ends after {self.size} of {expected} bytes."
            )


class CountingReader(StreamReader):
    """Pass bytes on and tell ``callback`` after every chunk how many it has been so far."""

    def __init__(self, source: BinaryIO, callback: Callable[[int], None]) -> None:
        self._inner = source
        self._callback = callback
        self._count = 0
        super().__init__(source)

    def _next_chunk(self) -> bytes:
        chunk = pull(self._inner)
        if chunk:
            self._count += len(chunk)
            self._callback(self._count)
        return chunk


class IteratorReader(StreamReader):
    """Read what an iterable of bytes yields; empty pieces are skipped.

    Closing closes a generator, so that its ``finally`` runs, and then ``source``, if the iterable pulls from one.
    """

    def __init__(self, pieces: Iterable[bytes], source: BinaryIO | None = None) -> None:
        self._pieces = iter(pieces)
        super().__init__(source)

    def _next_chunk(self) -> bytes:
        return next(filter(None, self._pieces), b"")

    def _release(self) -> None:
        try:
            close = getattr(self._pieces, "close", None)
            if close is not None:
                close()
        finally:
            super()._release()


class PeekableReader(StreamReader):
    """Pass bytes on, and let the first of them be looked at before."""

    def __init__(self, source: BinaryIO) -> None:
        self._inner = source
        super().__init__(source)

    def peek(self, size: int) -> bytes:
        """Return the next ``size`` bytes, fewer only when the stream is shorter, without moving."""
        if len(self._chunk) - self._position < size:
            pieces = []
            found = 0
            while found < size and self._fill():
                pieces.append(self._take(len(self._chunk)))
                found += len(pieces[-1])
            self._chunk = b"".join(pieces)
        return self._chunk[self._position : self._position + size]

    def _next_chunk(self) -> bytes:
        return pull(self._inner)
