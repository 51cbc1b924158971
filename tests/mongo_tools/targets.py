"""Where a restore puts the collections of an archive."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bson.binary import UuidRepresentation
from bson.codec_options import DatetimeConversion
from bson.errors import InvalidBSON
from bson.json_util import CANONICAL_JSON_OPTIONS, dumps, loads, object_pairs_hook
from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession
from pymongo.errors import ConnectionFailure, PyMongoError, ServerSelectionTimeoutError

from tests.mongo_tools.archive import Namespace
from tests.mongo_tools.console import Console, FailureError, quoted
from tests.mongo_tools.login import Client, described

BUCKETS = "system.buckets."
_JSON = CANONICAL_JSON_OPTIONS.with_options(
    document_class=dict,
    uuid_representation=UuidRepresentation.UNSPECIFIED,
    datetime_conversion=DatetimeConversion.DATETIME_MS,
    tz_aware=False,
)
# A command is one document, and may be that much larger than what it inserts.
_BATCH_BYTES = 16 * 1024 * 1024
_DUPLICATE, _INVALID = 11000, 121
_ERRORS_LENGTH = 2000


def _value(pairs: Sequence[tuple[str, Any]]) -> Any:
    # In a view it is an operator of queries, which the driver would take for the value of old times.
    return dict(pairs) if pairs and pairs[0][0] == "$regex" else object_pairs_hook(pairs, _JSON)


@dataclass(frozen=True)
class How:
    """How documents are inserted."""

    ordered: bool
    stop: bool
    unchecked: bool
    documents: int
    write_concern: dict[str, Any]


@dataclass
class Target:
    """A collection to be made, and what has been read of it so far."""

    source: Namespace
    db: str
    collection: str
    options: dict[str, Any] = field(default_factory=dict)
    indexes: list[dict[str, Any]] = field(default_factory=list)
    crc: int = 0
    inserted: int = 0
    failed: int = 0
    complete: bool = False
    _batch: list[RawBSONDocument] = field(default_factory=list)
    _bytes: int = 0

    @property
    def name(self) -> str:
        return f"{self.db}.{self.collection}"

    @property
    def stored(self) -> str:
        """The collection that has the documents."""
        return (BUCKETS if "timeseries" in self.options else "") + self.collection

    def read_metadata(self) -> None:
        if not self.source.metadata:
            return
        try:
            found = loads(self.source.metadata, json_options=_JSON, object_pairs_hook=_value)
        except (ValueError, TypeError, KeyError) as error:
            raise FailureError(f"restore error: error parsing metadata from archive on stdin: {error}") from error
        self.options = found.get("options", {})
        self.indexes = found.get("indexes", [])

    def create(self, client: Client, *, keep_version: bool) -> None:
        """Make the collection, its index on _id with it."""
        options = {name: value for name, value in self.options.items() if name != "recordIdsReplicated"}
        first = next((index for index in self.indexes if index["name"] == "_id_"), None)
        if first and "clusteredIndex" not in options:
            options.pop("autoIndexId", None)
            kept = {name: value for name, value in first.items() if name != "v" or keep_version}
            options["idIndex"] = {**kept, "ns": self.name}
        try:
            client[self.db].command({"create": self.collection, **options})
        except PyMongoError as error:
            raise FailureError(
                f"error creating collection {self.name}: error running create command: {described(error)}"
            ) from error

    def add(self, data: bytes, client: Client, how: How, console: Console) -> None:
        """Take a document; insert what has been taken where that is a batch."""
        if self._batch and self._bytes + len(data) > _BATCH_BYTES:
            self.flush(client, how, console)
        try:
            found = RawBSONDocument(data)
            # The driver looks at each field before it sends a document.
            len(found)
        except InvalidBSON as error:
            raise FailureError(f"cannot marshal type bson.Raw to a BSON Document: {error}") from error
        self._batch.append(found)
        self._bytes += len(data)
        if len(self._batch) >= how.documents:
            self.flush(client, how, console)

    def flush(self, client: Client, how: How, console: Console) -> None:
        """Insert what has been taken; under ``how.stop`` the first batch with an error is the last."""
        if not self._batch:
            return
        documents, self._batch, self._bytes = self._batch, [], 0
        command = {
            "insert": self.stored,
            "documents": documents,
            "ordered": how.ordered,
            "bypassDocumentValidation": how.unchecked and "timeseries" not in self.options,
            "bypassEmptyTsReplacement": True,
            "writeConcern": how.write_concern,
        }
        with client.start_session() as session:
            reply = self._insert(client, command, session)
        errors = reply.get("writeErrors", [])
        self.inserted += reply.get("n", 0)
        self.failed += len(errors)
        if not errors:
            return
        if how.stop or not {error["code"] for error in errors} & {_DUPLICATE, _INVALID}:
            raise FailureError(f"bulk write exception: write errors: {_joined(errors)}")
        for error in errors:
            console.say(f"continuing through error: {error['errmsg']}")

    def _insert(self, client: Client, command: dict[str, Any], session: ClientSession) -> dict[str, Any]:
        database = client[self.db]
        try:
            try:
                return database.command(command, check=False, session=session)
            except ServerSelectionTimeoutError:
                raise
            except ConnectionFailure:
                # Once more, as soon as the server is there.
                client.admin.command("ping")
                return database.command(command, check=False, session=session)
        except PyMongoError as error:
            raise FailureError(described(error, client)) from error

    def build_indexes(self, client: Client, console: Console, *, keep_version: bool) -> None:
        """Make the other indexes."""
        simple = self.options.get("collation", {}).get("locale", "simple") == "simple"
        indexes = []
        for index in self.indexes:
            if index["key"] in ({"_id": 1}, {"_id": 1.0}) and "partialFilterExpression" not in index:
                continue
            found = {name: value for name, value in index.items() if name != "v" or keep_version}
            if not simple:
                # It would inherit the collection's.
                found.setdefault("collation", {"locale": "simple"})
            if "2dsphere" in index["key"].values():
                found.setdefault("2dsphereIndexVersion", 1)
            indexes.append({**found, "ns": self.name})
        if not indexes:
            console.say(f"no indexes to restore for collection {quoted(self.name)}")
            return
        console.say(f"restoring indexes for collection {quoted(self.name)} from metadata")
        for index in indexes:
            console.say(f"index: {index}")
        command = {"createIndexes": self.collection, "indexes": indexes, "ignoreUnknownIndexOptions": True}
        try:
            client[self.db].command(command)
        except PyMongoError as error:
            raise FailureError(
                f"{self.name}: error creating indexes for {self.name}: createIndex error: {described(error)}"
            ) from error


def write_concern(text: str) -> dict[str, Any]:
    """Return what --writeConcern means."""
    if match := re.fullmatch(r"""\{\s*["']?w["']?\s*:\s*["']?(\w+)["']?\s*\}""", text):
        text = match[1]
    if text == "0":
        raise FailureError("the stand-in waits for the server's answers: --writeConcern 0 is not one of its options")
    return {"w": int(text) if text.isdecimal() else text or "majority"}


def _joined(errors: list[dict[str, Any]]) -> str:
    """Return the messages of errors, as many as the real tool prints."""
    text = "["
    for number, error in enumerate(errors):
        text += ", " if number else ""
        if len(text.encode()) > _ERRORS_LENGTH:
            return f"{text}+{len(errors) - number} more errors...]"
        text += error["errmsg"]
        if error.get("errInfo"):
            text += f": {dumps(error['errInfo'], json_options=_JSON, separators=(',', ': '))}"
    return text + "]"
