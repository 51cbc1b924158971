"""A database with one of each thing that MongoDB has, and what makes it another one."""

# ruff: noqa: E501 (tables of one thing a line)

from __future__ import annotations

import io
import shlex
import shutil
import struct
from collections.abc import Iterable
from functools import reduce
from pathlib import Path
from typing import Any

from bson import Binary, Code, Decimal128
from bson.raw_bson import RawBSONDocument

from dbbackup.streams import PeekableReader
from tests.db.mongodb.conftest import Database

Command = dict[str, Any]


def element(kind: int, name: str, value: bytes = b"") -> bytes:
    """Return a field as it lies in a document: the driver would not write all that there can be."""
    return bytes([kind]) + name.encode() + b"\0" + value


def document(*elements: bytes) -> bytes:
    body = b"".join(elements)
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def text(value: str) -> bytes:
    encoded = value.encode()
    return struct.pack("<i", len(encoded) + 1) + encoded + b"\0"


def _int(value: int) -> bytes:
    return struct.pack("<i", value)


def _long(value: int) -> bytes:
    return struct.pack("<q", value)


def _double(value: float) -> bytes:
    return struct.pack("<d", value)


def _decimal(value: str) -> bytes:
    return Decimal128(value).bid


def _binary(subtype: int, value: bytes) -> bytes:
    return _int(len(value)) + bytes([subtype]) + value


def _with_scope(code: str, scope: bytes) -> bytes:
    content = text(code) + scope
    return _int(len(content) + 4) + content


_OID = bytes(range(12))
VALUES = {
    "nan": element(1, "v", _double(float("nan"))),
    "a nan of its own": element(1, "v", bytes.fromhex("230100000000f8ff")),
    "minus zero": element(1, "v", _double(-0.0)),
    "infinity": element(1, "v", _double(float("inf"))) + element(1, "w", _double(float("-inf"))),
    "smallest double": element(1, "v", _double(5e-324)),
    "a double that is whole": element(1, "v", _double(1.0)),
    "text": element(2, "v", text("ü€😀")) + element(2, "empty", text("")) + element(2, "with nul", text("a\0b")),
    "nested": element(3, "v", document(element(4, "a", document(element(3, "0", document()), element(4, "1", document()))))),
    "deep": element(3, "v", reduce(lambda inner, _: document(element(3, "d", inner)), range(90), document())),
    **{f"binary {kind}": element(5, "v", _binary(kind, bytes(range(16)))) for kind in (0, 1, 3, 4, 5, 6, 7, 8, 9, 128, 255)},
    "old binary": element(5, "v", _binary(2, _int(4) + b"abcd")),
    "empty binary": element(5, "v", _binary(0, b"")),
    "object id": element(7, "v", _OID),
    "true and false": element(8, "v", b"\1") + element(8, "w", b"\0"),
    "before 1970": element(9, "v", _long(-1)) + element(9, "w", _long(-62135596800000)),
    "far": element(9, "v", _long(253402300799999)),
    "null": element(10, "v"),
    "regex": element(11, "v", b"^a/b\\d$\0imsx\0"),
    "code": element(13, "v", text("function () {}")),
    "code with scope": element(15, "v", _with_scope("f(x)", document(element(16, "x", _int(1))))),
    "int32": element(16, "v", _int(-(2**31))),
    "timestamp": element(17, "v", struct.pack("<II", 1, 2**32 - 1)) + element(17, "w", bytes(8)),
    "int64": element(18, "v", _long(2**63 - 1)) + element(18, "w", _long(1)),
    "decimal": element(19, "v", _decimal("1.500")) + element(19, "w", _decimal("-0")),
    "decimal nan": element(19, "v", _decimal("NaN")) + element(19, "w", _decimal("-Infinity")),
    "min and max": element(255, "v") + element(127, "w"),
    "order": element(16, "z", _int(1)) + element(16, "a", _int(2)) + element(16, "m", _int(3)),
    "empty key": element(16, "", _int(1)),
    "dots and dollars": element(16, "a.b", _int(1)) + element(16, "$set", _int(2)) + element(3, "$x", document(element(16, "$y.", _int(3)))),
    "reference": element(3, "v", document(element(2, "$ref", text("values")), element(7, "$id", _OID))),
}  # fmt: skip
"""The fields of a document by its _id: each kind of value that the server keeps as it gets it."""
UNKEPT = {
    "undefined": element(6, "v"),
    "pointer": element(12, "v", text("a.b") + _OID),
    "symbol": element(14, "v", text("a symbol")),
    "same name twice": element(16, "v", _int(1)) + element(2, "v", text("x")),
    "numbers of an array": element(4, "v", document(element(16, "5", _int(1)), element(16, "0", _int(2)))),
    "year 10000": element(9, "v", _long(253402300800000)) + element(9, "w", _long(-(2**63))),
}
"""More of them, which MongoDB keeps and the server of the tests makes something else of, or refuses."""
_IDS = [
    element(1, "_id", _double(float("nan"))), element(2, "_id", text("ü")), element(7, "_id", _OID),
    element(3, "_id", document(element(16, "b", _int(0)), element(16, "a", _int(0)))), element(8, "_id", b"\0"),
    element(5, "_id", _binary(4, bytes(16))), element(9, "_id", _long(-1)), element(10, "_id"), element(127, "_id"),
    element(17, "_id", struct.pack("<II", 1, 2)), element(19, "_id", _decimal("1.50")), element(255, "_id"),
]  # fmt: skip

NAMES = ["with.dots.in it", "a space", "it's", 'dou"ble', "ünï-😀", "-dash", "--config=x", "st*r", "*", "what?", "back\\slash",
         "\\*", "tab\t", "new\nline", "a,b", "per%41cent", "#hash", "`tick`", "Upper", "upper", "sys.tem", "systematic",
         "{brace}", "[bracket]", "(echo)"]  # fmt: skip
"""Of collections; the server of the tests takes no "$"."""
_INDEXES = [
    {"name": "u_1", "key": {"u": 1}, "unique": True},
    {"name": "a_1_b_-1_c.d_1", "key": {"a": 1, "b": -1, "c.d": 1}},
    {"name": "zyx", "key": {"z": 1, "y": -1, "x": 1}, "unique": True, "sparse": True},
    {"name": "partial", "key": {"p": 1}, "partialFilterExpression": {"p": {"$gt": 5}}, "unique": True},
    {"name": "sparse", "key": {"s": -1}, "sparse": True},
    {"name": "of German", "key": {"c": 1}, "collation": {"locale": "de", "strength": 1, "numericOrdering": True}},
    {"name": "all", "key": {"$**": 1}, "wildcardProjection": {"a": 1, "b.c": 1}},
    {"name": "w.$**_1", "key": {"w.$**": 1}},
    {"name": "sphere", "key": {"g": "2dsphere"}},
    {"name": "plane", "key": {"plane": "2d"}, "min": -500, "max": 500, "bits": 20},
    {"name": "hidden", "key": {"hid": 1}, "hidden": True},
    {"name": """it's "a" näme of $(x)""", "key": {"n": 1}},
    {"name": "of the engine", "key": {"st": 1}, "storageEngine": {"wiredTiger": {}}},
    {"name": "float", "key": {"f": -1.0}},
]

KINDS: list[Command] = [
    {"insert": "values", "documents": [RawBSONDocument(document(element(2, "_id", text(name)), value)) for name, value in VALUES.items()]},
    {"insert": "ids", "documents": [RawBSONDocument(document(name, element(16, "n", _int(n)))) for n, name in enumerate(_IDS)]},
    {"createIndexes": "indexed", "indexes": _INDEXES},
    {"insert": "indexed", "documents": [
        {"_id": n, "u": n, "p": n + 6, "z": n, "c": f"ß{n}", "w": {"x": [n]}, "plane": [n, -n],
         "g": {"type": "Point", "coordinates": [8.5, 47.4]}} for n in range(3)
    ]},
    {"create": "empty"},
    {"createIndexes": "only an index", "indexes": [{"name": "x", "key": {"x": 1}}]},
    # More than the tools write or read at once.
    {"insert": "many", "documents": [{"_id": n, "text": f"{n} " * 20} for n in range(2500)]},
    {"createIndexes": "expiring", "indexes": [{"name": "t_1", "key": {"t": 1}, "expireAfterSeconds": 5}]},
    {"insert": "expiring", "documents": [RawBSONDocument(document(element(16, "_id", _int(1)), element(9, "t", _long(4102444800000))))]},
    {"create": "capped", "capped": True, "size": 8192, "max": 100},
    {"insert": "capped", "documents": [{"_id": n, "text": "x" * n} for n in (5, 3, 9, 1, 7, 2)]},
    {"insert": "strict", "documents": [{"_id": 1, "n": "no number"}, {"_id": 2}]},
    {"collMod": "strict", "validator": {"n": {"$type": "int"}}, "validationLevel": "strict", "validationAction": "error"},
    {"insert": "strict", "documents": [{"_id": 3, "n": 1}]},
    {"create": "by schema", "validator": {"$jsonSchema": {"required": ["a"], "properties": {"a": {"bsonType": "long"}}}},
     "validationAction": "warn", "validationLevel": "moderate"},
    {"create": "collated", "collation": {"locale": "de", "strength": 2}},
    {"createIndexes": "collated", "indexes": [
        {"name": "n", "key": {"n": 1}, "unique": True, "collation": {"locale": "de", "strength": 2}}
    ]},
    {"insert": "collated", "documents": [{"_id": "a", "n": "Ä"}, {"_id": "b", "n": "O"}]},
    {"create": "with images", "changeStreamPreAndPostImages": {"enabled": True}},
    {"create": "z view", "viewOn": "values", "pipeline": [{"$match": {"_id": {"$regex": "^a"}}}, {"$project": {"z": 1, "a": 1}}]},
    # Before what it looks at in every order of names.
    {"create": "a view's view", "viewOn": "z view", "pipeline": [], "collation": {"locale": "fr"}},
    {"create": "view of nothing", "viewOn": "not there", "pipeline": [{"$match": {"at": Code("f()"), "b": Binary(b"\0", 128)}}]},
]  # fmt: skip
NAMED: list[Command] = [
    {"insert": name, "documents": [{"_id": 1, "of": name}, {"_id": 2}]} for name in [*NAMES, "long" * 45]
]
EVERYTHING = KINDS + NAMED

CHANGES: list[Command] = [
    {"delete": "values", "deletes": [{"q": {"_id": {"$gt": "m"}}, "limit": 0}]},
    {"update": "values", "updates": [{"q": {"_id": "code"}, "u": {"$set": {"v": "other"}}}]},
    {"insert": "ids", "documents": [{"_id": "one more"}]},
    {"dropIndexes": "indexed", "index": "hidden"},
    {"createIndexes": "indexed", "indexes": [{"name": "added", "key": {"added": 1}}]},
    {"drop": "empty"}, {"drop": "many"}, {"drop": "z view"}, {"drop": "capped"},
    {"create": "capped"},
    {"insert": "only an index", "documents": [{"x": 1}]},
    {"collMod": "strict", "validator": {}, "validationLevel": "off"},
    {"collMod": "a view's view", "viewOn": "ids", "pipeline": []},
    {"collMod": "expiring", "index": {"name": "t_1", "expireAfterSeconds": 7000}},
    {"delete": "expiring", "deletes": [{"q": {}, "limit": 0}]},
    {"drop": "collated"}, {"insert": "collated", "documents": [{"_id": "a", "n": "x"}, {"_id": "b", "n": "X"}]},
]  # fmt: skip
"""What a restore puts right."""
CHANGES_OF_NAMED: list[Command] = [
    {"drop": "it's"}, {"drop": "*"}, {"drop": "-dash"}, {"delete": "\\*", "deletes": [{"q": {}, "limit": 0}]},
    {"update": "with.dots.in it", "updates": [{"q": {"_id": 2}, "u": {"changed": True}}]},
]  # fmt: skip
LEFTOVERS: list[Command] = [
    {"insert": "left over.of the*rest", "documents": [{"_id": 1}]},
    {"createIndexes": "-left", "indexes": [{"name": "n", "key": {"n": 1}, "unique": True}]},
    {"create": "left view", "viewOn": "values", "pipeline": []},
]
"""What only an exact restore removes."""


def fill(database: Database, commands: Iterable[Command] = EVERYTHING) -> None:
    """Run commands as the admin."""
    for command in commands:
        name, value = next(iter(command.items()))
        reply = database.db.command(name, value, **{key: item for key, item in command.items() if key != name})
        assert "writeErrors" not in reply, reply


def documents(*found: dict[str, Any], name: str = "thing") -> list[Command]:
    """Return the commands that make a collection with these documents."""
    return [{"insert": name, "documents": list(found)}] if found else [{"create": name}]


def check_restored(database: Database, dump: bytes, **settings: Any) -> list[str]:
    """Restore the way the commands do; return the warnings."""
    restoring = database.connector(**settings)
    restoring.inspect_dump(PeekableReader(io.BytesIO(dump)))
    warnings = list(restoring.preflight_restore())
    restoring.restore_dump(PeekableReader(io.BytesIO(dump)))
    return warnings


def script(path: Path, tool: str, *lines: str, then: str = 'exec TOOL "$@"') -> str:
    """Write a program that runs lines of shell, then the tool, as TOOL; return its path, as a setting has it.

    The lines do not run when it is asked for its version.
    """
    program = shutil.which(tool)
    assert program is not None
    quoted = shlex.quote(program)
    work = "\n".join([*lines, then]).replace("TOOL", quoted)
    path.write_text(
        f'#!/bin/bash\nset -o pipefail\nif [ "$1" = --version ]; then exec {quoted} --version; fi\n{work}\n'
    )
    path.chmod(0o755)
    return str(path)
