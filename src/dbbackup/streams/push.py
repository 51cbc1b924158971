"""A stream to read from, made by code that wants to write."""

from __future__ import annotations

import io
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO

from dbbackup.streams.base import CHUNK_SIZE, StreamReader
from dbbackup.streams.program import end_thread

# Chunks between the two threads: one ready while one is being made keeps both busy.
_READY = 2

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    class _BinaryWriter(io.BufferedIOBase, BinaryIO):
        """Both of the names that type checkers know a binary file object by."""

else:
    _BinaryWriter = io.BufferedIOBase


class PushReader(StreamReader):
    """Run ``produce(writer)`` in a thread and read what it writes, a few MiB at most ahead of the reader.

    The thread starts at the first read. What ``produce`` raises is raised instead of the end. After an early
    close every write raises BrokenPipeError, and close() waits until ``produce`` has returned. ``source`` is what
    it reads from, if anything: it is cancelled when it must end early, and closed with this reader.
    """

    def __init__(self, produce: Callable[[BinaryIO], object], source: BinaryIO | None = None) -> None:
        self._produce = produce
        self._writer = _ChunkWriter()
        self._producer: _Producer | None = None
        super().__init__(source)

    def _next_chunk(self) -> bytes:
        if self._producer is None:
            # Not before: an interrupt of the constructor would leave a thread that nobody can end.
            self._producer = _Producer(self._produce, self._writer)
            self._producer.start()
        if chunk := self._writer.take():
            return chunk
        self._producer.join()
        if self._producer.error is not None:
            raise self._producer.error
        return b""

    def cancel(self, *, force: bool = False) -> None:
        """Refuse what is written from now on, and stop what it is made from."""
        self._writer.abort()
        super().cancel(force=force)

    def _release(self) -> None:
        self.cancel()
        if self._producer is not None:
            end_thread(self._producer, self._source)
        super()._release()


class _ChunkWriter(_BinaryWriter):
    """Gathers what is written into chunks, so that the threads meet once per chunk, not once per write."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._ready: deque[bytes] = deque()
        self._ended = False
        self._aborted = False
        self._pieces: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size >= CHUNK_SIZE:
            self.send()
        return len(piece)

    def send(self) -> None:
        """Hand on what has been gathered, as soon as there is room.

        Raise BrokenPipeError when nobody wants it any more.
        """
        with self._change:
            self._change.wait_for(lambda: self._aborted or len(self._ready) < _READY)
            if self._aborted:
                raise BrokenPipeError("The stream was closed before its end.")
            if self._pieces:
                self._ready.append(b"".join(self._pieces))
                self._change.notify_all()
        self._pieces.clear()
        self._size = 0

    def take(self) -> bytes:
        """Return the next chunk as soon as there is one, none at the end."""
        with self._change:
            self._change.wait_for(lambda: self._ended or self._ready)
            chunk = self._ready.popleft() if self._ready else b""
            self._change.notify_all()
        return chunk

    def end(self) -> None:
        """Tell the reader that nothing more comes."""
        with self._change:
            self._ended = True
            self._change.notify_all()

    def abort(self) -> None:
        """Refuse every write from now on, one that waits for room included."""
        with self._change:
            self._aborted = True
            self._change.notify_all()


class _Producer(threading.Thread):
    """Runs ``produce``; ``error`` is what it raised."""

    def __init__(self, produce: Callable[[BinaryIO], object], writer: _ChunkWriter) -> None:
        super().__init__(name="dbbackup-producer", daemon=True)
        self._produce = produce
        self._writer = writer
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            # Raises where the stream was closed before it began.
            self._writer.send()
            self._produce(self._writer)
            # After an abort this raises even if ``produce`` took no notice: a cut stream has no good end.
            self._writer.send()
        except BaseException as exc:  # noqa: BLE001 -- raised again in the thread that reads
            self.error = exc
        self._writer.end()
