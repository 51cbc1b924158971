"""What a MongoDB database holds, to compare it before and after: how collections are made, and all documents."""

from __future__ import annotations

import hashlib
from typing import Any

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database

# Undecoded: BSON has more types than Python, an order of fields, and fields of the same name.
_RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
# What an index says of its version and of the way it was built.
_INCIDENTAL = {"v", "ns", "background"}


def state(database: Database[Any]) -> dict[str, dict[str, Any]]:
    """Return the type, the options, the indexes, and the number and digest of the documents of each collection."""
    return {
        str(found["name"]): _collection(database, found)
        for found in sorted(_list(database, "listCollections", 1), key=lambda found: str(found["name"]))
        # Of the views, which have entries of their own; theirs hold the name of the database.
        if found["name"] != "system.views"
    }


def _collection(database: Database[Any], found: RawBSONDocument) -> dict[str, Any]:
    made = {"type": found["type"], "options": _values(found["options"])}
    if found["type"] == "view":
        return made
    indexes = {str(index["name"]): _values(index) for index in _list(database, "listIndexes", found["name"])}
    return {**made, "indexes": indexes, "documents": _documents(database, found)}


def _values(document: RawBSONDocument) -> dict[str, bytes]:
    """Return each field in whatever order, what it holds in its own."""
    return {key: bson.encode({"": value}) for key, value in document.items() if key not in _INCIDENTAL}


def _documents(database: Database[Any], found: RawBSONDocument) -> tuple[int, str]:
    documents = database.get_collection(found["name"], codec_options=_RAW).find().sort("$natural", 1)
    digests = [hashlib.sha256(document.raw).digest() for document in documents]
    if not found["options"].get("capped"):
        digests.sort()
    return len(digests), hashlib.sha256(b"".join(digests)).hexdigest()


def _list(database: Database[Any], command: str, value: Any) -> list[RawBSONDocument]:
    reply = database.command(command, value, cursor={"batchSize": 10_000}, codec_options=_RAW)
    assert not reply["cursor"]["id"], "there are more than were asked for"
    return list(reply["cursor"]["firstBatch"])
