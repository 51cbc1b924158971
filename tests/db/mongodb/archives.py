"""Archives of mongodump, written piece by piece, so that any piece can be left out, doubled or damaged."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import bson
from bson.int64 import Int64
from fastcrc import crc64

MAGIC = bytes.fromhex("6de29981")
END = b"\xff" * 4
"""Behind the prelude, and behind each block."""
HEADER = {"concurrent_collections": 4, "version": "0.1", "server_version": "8.2.1", "tool_version": "100.18.0"}
ID_INDEX = {"v": {"$numberInt": "2"}, "key": {"_id": {"$numberInt": "1"}}, "name": "_id_"}


def crc_of(documents: bytes) -> int:
    """Return the checksum of documents as it is written, with a sign."""
    return int(struct.unpack("<q", struct.pack("<Q", crc64.xz(documents)))[0])


def encoded(*documents: Mapping[str, Any]) -> bytes:
    return b"".join(map(bson.encode, documents))


@dataclass(frozen=True)
class Collection:
    """A collection, view or time series of an archive."""

    name: str
    documents: Sequence[bytes] = ()
    """Each of them encoded."""
    database: str = "shop"
    kind: str = "collection"
    options: Mapping[str, Any] = field(default_factory=dict)
    indexes: Sequence[Mapping[str, Any]] = (ID_INDEX,)
    uuid: str = "00" * 16
    metadata: str | None = None
    """In place of what follows from the above."""
    stored_as: str = ""
    """What its blocks call it, if not by its name."""

    @property
    def content(self) -> bytes:
        return b"".join(self.documents)

    def entry(self, **changes: Any) -> bytes:
        """Return what the prelude has of it."""
        text = self.metadata
        if text is None:
            found = {"indexes": self.indexes, "uuid": self.uuid, "collectionName": self.name, "type": self.kind}
            text = json.dumps({"options": self.options, **found}, ensure_ascii=False)
        entry = {"db": self.database, "collection": self.name, "metadata": text, "size": 0, "type": self.kind}
        return encoded({**entry, **changes})

    def header(self, **changes: Any) -> bytes:
        """Return what stands before each of its blocks."""
        name = self.stored_as or self.name
        return encoded({"db": self.database, "collection": name, "EOF": False, "CRC": Int64(0), **changes})

    def block(self, content: bytes | None = None) -> bytes:
        """Return a block of some documents of its, by default of all."""
        return self.header() + (self.content if content is None else content) + END

    def end(self, **changes: Any) -> bytes:
        """Return what tells that no more of it follows."""
        return self.header(**{"EOF": True, "CRC": Int64(crc_of(self.content)), **changes}) + END


def prelude(*collections: Collection, **changes: Any) -> bytes:
    """Return the beginning of an archive; ``changes`` are of its own header."""
    return MAGIC + encoded({**HEADER, **changes}) + b"".join(one.entry() for one in collections) + END


def blocks(*collections: Collection) -> bytes:
    return b"".join((one.block() if one.documents else b"") + one.end() for one in collections)


def archive(*collections: Collection) -> bytes:
    """Return a whole archive, with one block for each collection that is not empty."""
    return prelude(*collections) + blocks(*collections)
