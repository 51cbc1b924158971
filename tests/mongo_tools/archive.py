"""The archives of mongodump, written and read in pieces.

An archive is a magic number, then blocks: a header, documents, a terminator. The first block, the prelude, has the
archive's own header and a document for each namespace. The headers of the others name a namespace; one with "EOF" is
the namespace's last and has the checksum of its documents. Blocks of several namespaces alternate.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from gzip import GzipFile
from typing import Any, BinaryIO

import bson
from bson.int64 import Int64
from fastcrc import crc64

MAGIC = 0x8199E26D
TERMINATOR = 0xFFFFFFFF
MAX_DOCUMENT = 16 * 1024 * 1024
FORMAT = "0.1"

_TERMINATOR = struct.pack("<I", TERMINATOR)


class CorruptError(Exception):
    """What is wrong with an archive, in the words of the real tools."""


@dataclass
class Namespace:
    """A namespace of the prelude, or, with ``name``, of a block's header."""

    db: str
    collection: str
    metadata: str = ""
    type: str = ""

    @property
    def name(self) -> str:
        return f"{self.db}.{self.collection}"


def checksum(data: bytes, before: int = 0) -> int:
    """Return the checksum of data that follows what has the checksum ``before``."""
    return crc64.xz(data, before)


class Writer:
    """Write an archive: the prelude, then blocks in any order, with an end for each namespace."""

    def __init__(self, stream: BinaryIO | GzipFile) -> None:
        self._stream = stream
        self._open = ""

    def prelude(self, namespaces: list[Namespace], *, parallel: int, server: str, tool: str) -> None:
        header = {
            "concurrent_collections": parallel,
            "version": FORMAT,
            "server_version": server,
            "tool_version": tool,
        }
        self._stream.write(struct.pack("<I", MAGIC) + bson.encode(header))
        for found in namespaces:
            entry = {"db": found.db, "collection": found.collection, "metadata": found.metadata, "size": 0}
            self._stream.write(bson.encode({**entry, "type": found.type}))
        self._stream.write(_TERMINATOR)
        self._stream.flush()

    def documents(self, namespace: Namespace, data: bytes) -> None:
        """Write whole documents, one after the other."""
        if self._open != namespace.name:
            self._end_block()
            self._header(namespace, crc=0, last=False)
            self._open = namespace.name
        self._stream.write(data)

    def end(self, namespace: Namespace, crc: int) -> None:
        """Write the end of a namespace whose documents have this checksum."""
        self._end_block()
        self._header(namespace, crc=crc, last=True)
        self._stream.write(_TERMINATOR)

    def _end_block(self) -> None:
        if self._open:
            self._stream.write(_TERMINATOR)
            self._open = ""

    def _header(self, namespace: Namespace, *, crc: int, last: bool) -> None:
        signed = Int64(crc - (1 << 64) if crc >> 63 else crc)
        header = {"db": namespace.db, "collection": namespace.collection, "EOF": last, "CRC": signed}
        self._stream.write(bson.encode(header))


class Reader:
    """Read an archive document by document."""

    def __init__(self, stream: BinaryIO | GzipFile) -> None:
        self._stream = stream

    def prelude(self) -> tuple[dict[str, Any], list[Namespace]]:
        """Return the archive's own header and its namespaces."""
        try:
            start = self._read(4)
        except EOFError as error:
            raise CorruptError(f"I/O failure reading beginning of archive: {error}") from error
        if struct.unpack("<I", start)[0] != MAGIC:
            raise CorruptError("stream or file does not appear to be a mongodump archive")
        header = self.block()
        if header is None:
            raise CorruptError("EOF")
        namespaces = []
        while (data := self.body()) is not None:
            found = bson.decode(data)
            namespaces.append(Namespace(found["db"], found["collection"], found["metadata"], found["type"]))
        return bson.decode(header), namespaces

    def block(self) -> bytes | None:
        """Return the header of the next block, or None at the end of the archive."""
        try:
            header = self._document()
        except EOFError:
            return None
        if header is None:
            raise CorruptError(
                "corruption found in archive; consecutive terminators / headerless blocks are not allowed"
            )
        return header

    def body(self) -> bytes | None:
        """Return the next document of the block, or None at its terminator."""
        try:
            return self._document()
        except (EOFError, CorruptError) as error:
            raise CorruptError(f"corruption found in archive; ParserConsumer.BodyBSON() ( {error} )") from error

    def _document(self) -> bytes | None:
        try:
            start = self._read(4)
        except EOFError as error:
            if str(error) == "EOF":
                raise
            raise CorruptError(
                f"corruption found in archive; I/O error reading length or terminator ( {error} )"
            ) from error
        size = struct.unpack("<I", start)[0]
        if size == TERMINATOR:
            return None
        if not 5 <= size <= MAX_DOCUMENT:
            raise CorruptError(
                f"corruption found in archive; {size} is neither a valid bson length nor a archive terminator"
            )
        try:
            data = start + self._read(size - 4)
        except EOFError as error:
            raise CorruptError(f"corruption found in archive; read bson ( {error} )") from error
        if data[-1]:
            text = f"corruption found in archive; bson (size: {size}, byte: {data[-1]}) doesn't end with a null byte"
            raise CorruptError(text)
        return data

    def _read(self, size: int) -> bytes:
        try:
            data = self._stream.read(size)
        except EOFError as error:
            # A cut gzip stream.
            raise EOFError("unexpected EOF") from error
        if len(data) < size:
            raise EOFError("unexpected EOF" if data else "EOF")
        return data
