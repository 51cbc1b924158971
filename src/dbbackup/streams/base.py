"""What every reader of this package has in common."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO

CHUNK_SIZE = 1024 * 1024
"""Bytes that move in one step: what a widened pipe holds, large enough that Python's share of the work vanishes."""

if TYPE_CHECKING:

    class _BinaryReader(io.BufferedIOBase, BinaryIO):
        """Both of the names that type checkers know a binary file object by."""

else:
    _BinaryReader = io.BufferedIOBase


class StreamReader(_BinaryReader):
    """A readable stream that is pulled chunk by chunk and owns the source it pulls from.

    An error replaces the end of the file, and every later read raises it again: whoever reads to the
    end without an error has read everything.
    """

    # For an instance whose constructor raised: it is finalized like any other, but has nothing to release.
    _constructed = False
    _source: BinaryIO | None = None
    _chunk = b""
    _position = 0
    _at_end = False
    _error: BaseException | None = None

    def __init__(self, source: BinaryIO | None = None) -> None:
        """Own ``source`` from here on. To be called last, when nothing can fail any more."""
        self._source = source
        self._constructed = True

    # What a subclass writes.

    def _next_chunk(self) -> bytes:
        """Return the next bytes, up to about CHUNK_SIZE of them; none at the end.

        Raise instead of returning none when the stream did not come to a good end.
        """
        raise NotImplementedError("subclasses of StreamReader must provide a _next_chunk() method.")

    def _release(self) -> None:
        """Give back what the reader holds. Called once, by close()."""
        if self._source is not None:
            self._source.close()

    def cancel(self, *, force: bool = False) -> None:
        """Make a read that another thread is waiting in end soon, with an error; ``force`` leaves no choice.

        The one method that may be called while another thread reads. It closes nothing.
        """
        cancel(self._source, force=force)

    # What a reader of the stream calls.

    def read(self, size: int | None = -1, /) -> bytes:
        """Return exactly ``size`` bytes, fewer only at the end of the stream; all that is left when negative or None.

        S3 clients, among others, take a short read for the end.
        """
        missing = -1 if size is None else size
        pieces = []
        while missing and (piece := self.read1(missing)):
            pieces.append(piece)
            if missing > 0:
                missing -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def read1(self, size: int = -1, /) -> bytes:
        """Return up to ``size`` bytes from at most one chunk, none only at the end of the stream."""
        if size == 0 or not self._fill():
            return b""
        end = len(self._chunk) if size < 0 else min(len(self._chunk), self._position + size)
        return self._take(end)

    def readline(self, size: int | None = -1, /) -> bytes:
        """Return the bytes up to and with the next newline, at most ``size`` of them."""
        missing = -1 if size is None else size
        pieces = []
        while missing and self._fill():
            end = self._chunk.find(b"\n", self._position) + 1 or len(self._chunk)
            if missing > 0:
                end = min(end, self._position + missing)
                missing -= end - self._position
            pieces.append(self._take(end))
            if pieces[-1].endswith(b"\n"):
                break
        return b"".join(pieces)

    def readable(self) -> bool:
        """Return True: this is what a reader is for."""
        return True

    def close(self) -> None:
        """Give back everything, the source included. Closing again does nothing."""
        if self.closed:
            return
        try:
            if self._constructed:
                self._release()
        finally:
            self._chunk = b""
            super().close()

    def _fill(self) -> bool:
        """Have at least one unread byte at hand, unless the stream is at its end."""
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        if self._position < len(self._chunk):
            return True
        self._chunk, self._position = self._pull(), 0
        return bool(self._chunk)

    def _pull(self) -> bytes:
        if self._error is not None:
            raise self._error
        if self._at_end:
            return b""
        try:
            chunk = self._next_chunk()
        except BaseException as exc:
            # An interrupt counts too: the chunk it fell upon is lost, and a later read must not go on behind it.
            self._error = exc
            raise
        self._at_end = not chunk
        return chunk

    def _take(self, end: int) -> bytes:
        # A whole chunk is handed on as it is, without a copy.
        piece = self._chunk[self._position : end]
        self._position = end
        if end == len(self._chunk):
            self._chunk, self._position = b"", 0
        return piece


def pull(source: BinaryIO) -> bytes:
    """Return the next chunk of any readable file object, none at its end."""
    read = getattr(source, "read1", source.read)
    # read1 without a size would give a buffered file's 8 KiB; with one it is a single large read.
    chunk: bytes = read(CHUNK_SIZE)
    return chunk


def chunks(source: BinaryIO) -> Iterator[bytes]:
    """Iterate over the bytes of any readable file object: BytesIO, file, pipe, Django's File."""
    while chunk := pull(source):
        yield chunk


def copy(source: BinaryIO, write: Callable[[bytes], object]) -> int:
    """Hand every chunk of ``source`` to ``write``; return the number of bytes."""
    size = 0
    for chunk in chunks(source):
        write(chunk)
        size += len(chunk)
    return size


def cancel(source: BinaryIO | None, *, force: bool = False) -> None:
    """Cancel any file object that knows how; see StreamReader.cancel()."""
    stop = getattr(source, "cancel", None)
    if stop is not None:
        stop(force=force)
