"""A database that has a little of everything, archives with changes, and what becomes of them in a restore."""

from __future__ import annotations

import io
import json
import shlex
import shutil
import stat
import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

import bson
import pytest
from fastcrc import crc64

from dbbackup.db.exceptions import RestoreError
from tests.db.mongodb.conftest import Database
from tests.shop import Run, Store

PUT_BACK = "The safety dump was put back and verified: database 'shop' is as it was."
AS_IT_WAS = "Database 'shop' is as it was."
UNTOUCHED = "Nothing was changed."

_MAGIC = 0x8199E26D.to_bytes(4, "little")
_END = b"\xff\xff\xff\xff"


def fill(database: Database) -> None:
    """Make every kind of thing that a database may have, with few documents."""
    db = database.db
    db["customer"].insert_many([{"_id": 1, "name": "Ann"}, {"_id": 2, "name": "Bob"}, {"_id": 3, "name": "Schräub;"}])
    db["customer"].create_index("name", name="by name", unique=True)
    db.create_collection("purchase", validator={"twice": {"$exists": True}})
    db["purchase"].insert_many([{"_id": i, "customer": i, "twice": 2 * i} for i in (1, 2, 3)])
    db["purchase"].create_index([("customer", 1), ("twice", -1)], partialFilterExpression={"twice": {"$gt": 2}})
    db.create_collection("log", capped=True, size=100_000)
    db["log"].insert_many([{"_id": i} for i in (3, 1, 2)])
    db.create_collection("empty")
    # Long before the server removes them.
    db["session"].insert_many([{"_id": i, "used": datetime(2100, 1, i, tzinfo=UTC)} for i in (1, 2)])
    db["session"].create_index("used", expireAfterSeconds=60)
    db["mit.Punkt und ü*✓"].insert_one({"_id": "$x"})
    db.create_collection("names", viewOn="customer", pipeline=[{"$project": {"name": 1}}])


def change(database: Database) -> None:
    """Make it another one, with things more and things less."""
    db = database.db
    db["customer"].drop_index("by name")
    db["customer"].update_many({}, {"$set": {"name": "changed"}})
    db["purchase"].delete_many({"_id": {"$gt": 1}})
    db["purchase"].create_index("twice")
    db["log"].insert_one({"_id": 4})
    db["session"].delete_one({"_id": 1})
    db["newer"].insert_one({"_id": 7})
    db["newer"].create_index("unlike", unique=True)
    db.create_collection("newest", viewOn="newer", pipeline=[])
    db["names"].drop()
    db["empty"].drop()


@dataclass
class Parts:
    """An archive taken apart: what its head says, what it lists, and its blocks, each of one collection."""

    header: dict[str, Any]
    listed: list[dict[str, Any]]
    blocks: list[tuple[dict[str, Any], list[bytes]]]

    @classmethod
    def of(cls, dump: bytes) -> Parts:
        assert dump.startswith(_MAGIC)
        items, position = [], 4
        while position < len(dump):
            size = struct.unpack_from("<i", dump, position)[0]
            taken = 4 if size == -1 else size
            items.append(dump[position : position + taken])
            position += taken
        first = items.index(_END)
        header, *listed = (bson.decode(item) for item in items[:first])
        blocks: list[tuple[dict[str, Any], list[bytes]]] = []
        fresh = True
        for item in items[first + 1 :]:
            if item == _END:
                fresh = True
            elif fresh:
                blocks.append((bson.decode(item), []))
                fresh = False
            else:
                blocks[-1][1].append(item)
        return cls(header, listed, blocks)

    def dump(self) -> bytes:
        """Return the archive, with the right checksums, which it has afterwards too."""
        sums = {self._name(header): 0 for header, _ in self.blocks}
        written = [_MAGIC, bson.encode(self.header), *map(bson.encode, self.listed), _END]
        for header, documents in self.blocks:
            data = b"".join(documents)
            sums[self._name(header)] = crc64.xz(data, sums[self._name(header)])
            if header["EOF"]:
                (signed,) = struct.unpack("<q", struct.pack("<Q", sums[self._name(header)]))
                header["CRC"] = bson.Int64(signed)
            written += [bson.encode(header), data, _END]
        return b"".join(written)

    def add(self, collection: str, *documents: dict[str, Any]) -> None:
        """Put documents more behind the last one of a collection."""
        end = self._end(collection)
        database = self.blocks[end][0]["db"]
        begin = {"db": database, "collection": collection, "EOF": False, "CRC": bson.Int64(0)}
        self.blocks.insert(end, (begin, [bson.encode(document) for document in documents]))

    def change_metadata(self, collection: str, **values: Any) -> None:
        """Have the prelude say something else of a collection."""
        self._entry(collection)["metadata"] = json.dumps(self.metadata(collection) | values)

    def metadata(self, collection: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._entry(collection)["metadata"])
        return found

    def put_first(self, collection: str) -> int:
        """Move the blocks of a collection before the others; return how many bytes of the archive come before those."""
        self.blocks.sort(key=lambda block: block[0]["collection"] != collection)
        return len(Parts(self.header, self.listed, self.blocks[: self._end(collection) + 1]).dump())

    def move(self, database: str) -> None:
        """Have everything be of another database."""
        for found in (*self.listed, *(header for header, _ in self.blocks)):
            found["db"] = database

    def boundaries(self) -> list[int]:
        """Return where each part of the archive begins, the last one's end aside."""
        return [len(Parts(self.header, self.listed, self.blocks[:count]).dump()) for count in range(len(self.blocks))]

    def _entry(self, collection: str) -> dict[str, Any]:
        (entry,) = (entry for entry in self.listed if entry["collection"] == collection)
        return entry

    def _end(self, collection: str) -> int:
        (end,) = (
            i for i, (header, _) in enumerate(self.blocks) if header["collection"] == collection and header["EOF"]
        )
        return end

    @staticmethod
    def _name(header: dict[str, Any]) -> tuple[str, str]:
        return header["db"], header["collection"]


def together(*dumps: bytes) -> bytes:
    """Return one archive of several, as a dump of a whole server has it."""
    parts = [Parts.of(dump) for dump in dumps]
    listed = [entry for one in parts for entry in one.listed]
    # They alternate.
    blocks = [block for several in zip_longest(*(one.blocks for one in parts)) for block in several if block]
    return Parts(parts[0].header, listed, blocks).dump()


def program(folder: Path, script: str, of: str = "mongorestore", *, version: str = "") -> str:
    """Return a program that runs a shell script in the place of a tool, which that can call as "$TOOL".

    $HERE is a folder for what it writes down. It says the version of the tool, or another one.
    """
    tool = shutil.which(of)
    assert tool is not None
    path = folder / f"{of}-{len(list(folder.iterdir()))}"
    said = f"echo '{of} version: {version}'; exit" if version else 'exec "$TOOL" --version'
    path.write_text(
        f"#!/bin/bash\nTOOL={shlex.quote(tool)}\nHERE={shlex.quote(str(folder))}\n"
        f'[ "$1" = --version ] && {{ {said}; }}\n{script}\n'
    )
    path.chmod(0o700)
    return str(path)


def at_first(script: str) -> str:
    """Return a script that does this the first time, and what the tool does ever after."""
    return f'if [ -e "$HERE/again" ]; then exec "$TOOL" "$@"; fi; touch "$HERE/again"\n{script}'


RECORD = 'printf "%s\\0" "$@" "" >> "$HERE/arguments"\n'
"""A script that writes down its arguments."""


def recorded(folder: Path) -> list[list[str]]:
    """Return the arguments of each time that RECORD ran, without where the login is."""
    calls = (folder / "arguments").read_text().split("\0\0")[:-1]
    return [[word for word in call.split("\0") if not word.startswith("--config=")] for call in calls]


def restored(store: Store, dump: bytes, *args: str) -> Run:
    """Restore a dump from a file, of which nobody says who has made it."""
    path = store.folder.parent / "from elsewhere.dump"
    path.write_bytes(dump)
    run = store.run("dbrestore", "--noinput", "-I", str(path), *args)
    assert "Traceback" not in run.error + run.err
    return run


def refused(database: Database, store: Store, dump: bytes, *args: str) -> str:
    """Return the error of a restore that is refused before anything is touched."""
    before, uuids = database.state(), identities(database)
    run = restored(store, dump, *args)
    assert run.status == 1
    assert "safety dump is put back" not in run.err
    assert "was put back" not in run.error
    assert (database.state(), identities(database)) == (before, uuids)
    assert left(store) == []
    return run.error


def put_back(database: Database, store: Store, dump: bytes, **settings: Any) -> str:
    """Return the error of a restore that fails halfway, and after which everything is as it was."""
    before = database.state()
    said: list[str] = []
    connector = database.connector(**{"TMP_DIR": store.tmp, **settings})

    def listen(text: str) -> None:
        said.append(text)
        assert database.state() != before, "the restore has changed nothing that could be put back"

    connector.listen(listen)
    with pytest.raises(RestoreError) as caught:
        connector.restore_dump(io.BytesIO(dump))
    assert said == ["The restore failed; the safety dump is put back."]
    error = str(caught.value)
    assert error.endswith(PUT_BACK)
    assert database.state() == before
    assert left(store) == []
    return error


def identities(database: Database) -> dict[str, Any]:
    """Return what the server knows each collection by: another one after it was dropped and made again."""
    return {found["name"]: found["info"].get("uuid") for found in database.db.list_collections()}


def left(store: Store) -> list[str]:
    """Return what is in the folder for temporary files."""
    return sorted(path.relative_to(store.tmp).as_posix() for path in store.tmp.rglob("*"))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
