"""What a server did during a dump: taken into the archive, and replayed."""

from __future__ import annotations

from typing import Any

from bson.raw_bson import DEFAULT_RAW_BSON_OPTIONS, RawBSONDocument
from pymongo.errors import PyMongoError

from tests.mongo_tools import archive, sources
from tests.mongo_tools.console import Console, FailureError
from tests.mongo_tools.login import Client, described


class OplogDump:
    """What the server does during a dump of everything."""

    namespace = archive.Namespace("", "oplog")

    def __init__(self, client: Client) -> None:
        hello = client.admin.command("hello")
        self._collection = client.local["oplog.rs" if "hosts" in hello else "oplog.$main"]
        self._start = self._now("start")

    def write(self, writer: archive.Writer) -> int:
        """Write everything since this was made, and return how many entries that is."""
        end, crc, count = self._now("end"), 0, 0
        query = {"$and": [{"ts": {"$gte": self._start}}, {"ts": {"$lte": end}}]}
        for batch in sources.batches(self._collection, query):
            crc = archive.checksum(batch, crc)
            count += sources.count(batch)
            writer.documents(self.namespace, batch)
        oldest = self._collection.find_one(sort=[("$natural", 1)])
        if oldest is None or oldest["ts"] > self._start:
            raise FailureError("oplog overflow: mongodump was unable to capture all new oplog entries during execution")
        writer.end(self.namespace, crc)
        return count

    def _now(self, what: str) -> Any:
        found = self._collection.find_one(sort=[("$natural", -1)])
        if found is None:
            raise FailureError(
                f"error getting oplog {what}: error getting recent oplog entry: mongo: no documents in result"
            )
        return found["ts"]


class OplogReplay:
    """The entries of an archive's oplog, in their order."""

    def __init__(self) -> None:
        self._entries: list[bytes] = []

    def add(self, entry: bytes) -> None:
        self._entries.append(entry)

    def run(self, client: Client, console: Console) -> None:
        """Apply every entry that changes something."""
        console.say("replaying oplog")
        applied = 0
        for data in self._entries:
            entry = RawBSONDocument(data, DEFAULT_RAW_BSON_OPTIONS)
            if entry["op"] == "n" or str(entry["ns"]).startswith(("config.", "admin.system.")):
                continue
            # The collection may be another one by now: its name counts.
            operation: dict[str, Any] = {name: value for name, value in entry.items() if name != "ui"}
            try:
                client.admin.command({"applyOps": [operation]})
            except PyMongoError as error:
                raise FailureError(f"restore error: error applying oplog: applyOps: {described(error)}") from error
            applied += 1
        console.say(f"applied {applied} oplog entries")
