"""The archives of mongodump, read as they pass.

An archive is a magic number, a prelude that names every collection, and blocks. A block is a header that names a
collection, documents of it, and a terminator; blocks of several collections alternate. The last header of each
collection has a checksum of all its documents and no document behind it. Numbers are little endian. The format is that
of version 0.1 in the package common/archive of MongoDB's database tools.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any, BinaryIO

import bson
from bson.errors import InvalidBSON
from fastcrc import crc64

from dbbackup.db.mongodb.namespaces import BUCKETS, FUNCTIONS, Name, Namespace, shown
from dbbackup.streams import chunks

BEGINNING = (0x8199E26D).to_bytes(4, "little")
"""The magic number, which tells an archive from other files."""
OPLOG = ("", "oplog")
"""What the changes during a dump of a whole server are listed as."""

_VERSION = "0.1"
_TERMINATOR = -1
# Documents have 16 MiB; the server itself may go a little beyond, as in the oplog.
_LARGEST = 16 * 1024 * 1024 + 64 * 1024
_SMALLEST = 5
_SIZE = struct.Struct("<i")
_DIGEST_SIZE = 16


class ArchiveError(ValueError):
    """The bytes are no archive, or not all of one."""


class Documents:
    """What passed of the documents of one collection."""

    def __init__(self) -> None:
        self.count = 0
        self.crc = 0
        self.ended = False
        self.digest = 0
        """The sum of the hashes of all documents, whatever their order; 0 unless it was asked for."""


class Archive:
    """Take in an archive piece by piece; raise ArchiveError as soon as it is not one.

    Memory holds one document and one piece at most. With ``digests`` each document is hashed as well.
    """

    def __init__(self, *, digests: bool = False) -> None:
        self.server_version = ""
        """Of the server that was dumped."""
        self.tool_version = ""
        """Of the mongodump that wrote it, which may be any text."""
        self.namespaces: dict[Name, Namespace] = {}
        self.documents: dict[Name, Documents] = {}
        self._digests = digests
        self._buffer = bytearray()
        self._needed = len(BEGINNING)
        self._step = self._magic
        self._current: Documents | None = None

    def feed(self, chunk: bytes) -> None:
        """Take in the next bytes."""
        buffer = self._buffer
        buffer += chunk
        position = 0
        while len(buffer) - position >= self._needed:
            position = self._step(position)
        del buffer[:position]

    def close(self) -> None:
        """Raise ArchiveError if the archive has not come to its end."""
        if self._step == self._magic and not self._buffer:
            raise ArchiveError("it is empty")
        if self._buffer or self._step != self._block:
            raise ArchiveError("it was cut")
        for name in self.namespaces:
            if name not in self.documents or not self.documents[name].ended:
                raise ArchiveError(f"it was cut: the end of {shown(name)} is not there")

    @property
    def databases(self) -> list[str]:
        """Return the databases it has something of."""
        return sorted({database for database, _ in self.namespaces if database})

    def counts(self, database: str) -> dict[str, int]:
        """Return the number of documents of each collection of a database."""
        return {
            name: self.documents[owner, name].count
            for owner, name in self.namespaces
            if owner == database and (owner, name) in self.documents
        }

    def fingerprint(self, *, expiring: bool = False) -> dict[Name, Any]:
        """Return what is equal for two archives of the same content: of the same order, or with digests of any.

        Documents that expire count only when they are asked for: what is there of them is a matter of the hour.
        """
        return {
            name: (
                found.kind,
                _in_order(found.options),
                {index: _in_order(one) for index, one in found.indexes.items()},
                self._content(name) if expiring or not found.expires else None,
            )
            for name, found in self._listed()
        }

    def _listed(self) -> Iterator[tuple[Name, Namespace]]:
        # A collection that cannot be dropped is as good as not there when it is empty.
        return (
            (name, found)
            for name, found in self.namespaces.items()
            if name != OPLOG and (name[1] != FUNCTIONS or self.documents[name].count)
        )

    def _content(self, name: Name) -> object:
        documents = self.documents[name]
        return documents.count, documents.digest if self._digests else documents.crc

    # Each step takes what begins at a position of the buffer, if it is there as a whole, and returns where it ended.

    def _magic(self, position: int) -> int:
        if not self._buffer.startswith(BEGINNING):
            raise ArchiveError("it is no archive of mongodump")
        self._step = self._header
        return position + len(BEGINNING)

    def _header(self, position: int) -> int:
        found, end = self._document(position)
        if found is None:
            return end
        if found.get("version") != _VERSION:
            raise ArchiveError(
                f"it has version {found.get('version')!r} of the format, and {_VERSION!r} is what can be read"
            )
        self.server_version = str(found.get("server_version", ""))
        self.tool_version = str(found.get("tool_version", ""))
        self._step = self._namespace
        return end

    def _namespace(self, position: int) -> int:
        if self._is_terminator(position):
            self._step = self._block
            return position + _SIZE.size
        found, end = self._document(position)
        if found is not None:
            name = _name(found)
            if name in self.namespaces:
                raise ArchiveError(f"it lists {shown(name)} twice")
            try:
                kind = str(found.get("type") or "collection")
                self.namespaces[name] = Namespace.from_metadata(kind, str(found.get("metadata", "")))
            except ValueError as exc:
                raise ArchiveError(f"what it says of {shown(name)} is damaged: {exc}") from exc
        return end

    def _block(self, position: int) -> int:
        found, end = self._document(position)
        if found is None:
            return end
        name = self._known(_name(found))
        documents = self.documents.setdefault(name, Documents())
        if documents.ended:
            raise ArchiveError(f"it goes on with {shown(name)} behind the end of that")
        is_last, crc = found.get("EOF"), found.get("CRC")
        # Before the documents of a block there is no checksum to be told yet.
        if not (isinstance(is_last, bool) and isinstance(crc, int) and (is_last or crc == 0)):
            raise ArchiveError(f"one of its headers is damaged: it tells no checksum of {shown(name)}")
        if not is_last:
            self._current, self._step = documents, self._body
            return end
        if documents.crc != crc % 2**64:
            raise ArchiveError(f"the checksum of {shown(name)} is not that of its documents")
        documents.ended = True
        self._step = self._end
        return end

    def _end(self, position: int) -> int:
        if not self._is_terminator(position):
            raise ArchiveError("it has documents behind the end of their collection")
        self._step = self._block
        return position + _SIZE.size

    def _body(self, position: int) -> int:
        buffer, available = self._buffer, len(self._buffer)
        size_at, current, start, count = _SIZE.unpack_from, self._current, position, 0
        assert current is not None
        self._needed = _SIZE.size
        while available - position >= _SIZE.size:
            size = size_at(buffer, position)[0]
            if size == _TERMINATOR:
                self._step = self._block
                break
            _check_size(size)
            if available - position < size:
                self._needed = size
                break
            if buffer[position + size - 1]:
                raise ArchiveError("a document does not end where it should")
            position += size
            count += 1
        if count:
            with memoryview(buffer)[start:position] as passed:
                current.crc = crc64.xz(passed, current.crc)
                if self._digests:
                    current.digest = (current.digest + sum(_hashes(passed))) % 2 ** (8 * _DIGEST_SIZE)
            current.count += count
        return position + (_SIZE.size if self._step == self._block else 0)

    def _document(self, position: int) -> tuple[dict[str, Any] | None, int]:
        """Return a document of the format's own and where it ends; None and the position if it is not there yet."""
        size = _SIZE.unpack_from(self._buffer, position)[0]
        _check_size(size)
        if len(self._buffer) - position < size:
            self._needed = size
            return None, position
        self._needed = _SIZE.size
        try:
            return bson.decode(bytes(self._buffer[position : position + size])), position + size
        except InvalidBSON as exc:
            raise ArchiveError(f"one of its headers is damaged: {exc}") from exc

    def _is_terminator(self, position: int) -> bool:
        return bool(_SIZE.unpack_from(self._buffer, position)[0] == _TERMINATOR)

    def _known(self, name: Name) -> Name:
        """Return the name in the prelude of what a block belongs to."""
        database, collection = name
        if name not in self.namespaces and collection.startswith(BUCKETS):
            name = database, collection.removeprefix(BUCKETS)
        if name not in self.namespaces:
            raise ArchiveError(f"it has documents of {shown(name)}, which it does not list")
        return name


def read_archive(source: BinaryIO, *, digests: bool = False) -> Archive:
    """Read an archive to its end and return what it has; raise ArchiveError if it is not whole."""
    archive = Archive(digests=digests)
    for chunk in chunks(source):
        archive.feed(chunk)
    archive.close()
    return archive


def _name(found: Mapping[str, Any]) -> Name:
    database, collection = found.get("db"), found.get("collection")
    # Not even a text of another kind, as the code that BSON knows.
    if not (type(database) is str and type(collection) is str and collection):
        raise ArchiveError("one of its headers is damaged: it names no collection")
    return database, collection


def _in_order(settings: Mapping[str, Any]) -> dict[str, object]:
    """Return settings that are equal only if what is in each is in the same order, as the fields of an index."""
    return {name: _frozen(value) for name, value in settings.items()}


def _frozen(value: Any) -> object:
    if isinstance(value, dict):
        return [(key, _frozen(inner)) for key, inner in value.items()]
    if isinstance(value, list):
        return tuple(_frozen(item) for item in value)
    # NaN is not equal to itself.
    return value if value == value else repr(value)  # noqa: PLR0124


def _check_size(size: int) -> None:
    if not _SMALLEST <= size <= _LARGEST:
        raise ArchiveError(f"a document of {size} bytes cannot be")


def _hashes(documents: memoryview) -> Iterator[int]:
    position = 0
    while position < len(documents):
        size = _SIZE.unpack_from(documents, position)[0]
        digest = blake2b(documents[position : position + size], digest_size=_DIGEST_SIZE)
        yield int.from_bytes(digest.digest(), "little")
        position += size
