"""The collections that a dump takes."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from bson.json_util import CANONICAL_JSON_OPTIONS, dumps
from pymongo.collection import Collection
from pymongo.errors import PyMongoError

from tests.mongo_tools.archive import Namespace
from tests.mongo_tools.console import FailureError, quoted
from tests.mongo_tools.login import Client, described


@dataclass
class Source:
    """A collection to be dumped, and where its documents are."""

    namespace: Namespace
    collection: str
    options: dict[str, Any]
    uuid: str
    crc: int = 0
    count: int = 0

    @property
    def name(self) -> str:
        return quoted(self.namespace.name)


def source(database: str, entry: Mapping[str, Any], *, raw: bool) -> Source:
    name, kind = entry["name"], entry.get("type", "collection")
    uuid = entry.get("info", {}).get("uuid")
    # Until 8.3 the documents of a time series are what its buckets hold.
    stored = f"system.buckets.{name}" if kind == "timeseries" and not raw else name
    namespace = Namespace(database, stored, type=kind)
    return Source(namespace, stored, entry.get("options", {}), bytes(uuid).hex() if uuid else "")


def listed(source: Source) -> Namespace:
    """Return the namespace as the prelude names it: a time series by its own name."""
    found = source.namespace
    return Namespace(found.db, found.collection.removeprefix("system.buckets."), found.metadata, found.type)


def metadata(client: Client, source: Source) -> str:
    """Return what makes the collection anew, as the Extended JSON that an archive has of it."""
    found, name = source.namespace, listed(source).collection
    indexes: list[dict[str, Any]] = []
    if found.type != "view":
        try:
            indexes = [dict(index) for index in client[found.db][name].list_indexes()]
        except PyMongoError as error:
            raise FailureError(f"error dumping metadata: {described(error)}") from error
    made: dict[str, Any] = {"options": source.options} if source.options else {}
    made["indexes"] = indexes
    if source.uuid:
        made["uuid"] = source.uuid
    made |= {"collectionName": name, "type": found.type}
    return dumps(made, json_options=CANONICAL_JSON_OPTIONS, separators=(",", ":"), ensure_ascii=False)


def count(batch: bytes) -> int:
    """Return how many documents a batch is."""
    position = count = 0
    while position < len(batch):
        position += struct.unpack_from("<i", batch, position)[0]
        count += 1
    return count


def batches(collection: Collection[dict[str, Any]], query: dict[str, Any], **options: Any) -> Iterator[bytes]:
    """Yield the documents as the server sends them: several at once, undecoded."""
    # They are typed as if they were decoded.
    return cast(Iterator[bytes], collection.find_raw_batches(query, **options))
