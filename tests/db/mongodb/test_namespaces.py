"""What the metadata of an archive say of a collection, as tools of many years have written them."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from dbbackup.db.mongodb.namespaces import Namespace, plain, shown

ID = {"v": {"$numberInt": "2"}, "key": {"_id": {"$numberInt": "1"}}, "name": "_id_"}


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ({"$numberInt": "-5"}, -5),
        ({"$numberLong": "9223372036854775807"}, 2**63 - 1),
        ({"$numberDouble": "-1.5"}, -1.5),
        ({"$numberDouble": "-Infinity"}, -math.inf),
        (7, 7),
        (1.5, 1.5),
        (True, True),
        (None, None),
        ("5", "5"),
        ([{"$numberInt": "1"}, [{"a": {"$numberLong": "2"}}]], [1, [{"a": 2}]]),
        # A field that is called so, of two or of no text.
        ({"$numberInt": "1", "a": {"$numberInt": "2"}}, {"$numberInt": "1", "a": 2}),
        ({"$numberInt": 1}, {"$numberInt": 1}),
        # Other types keep their form.
        ({"$numberDecimal": "1.50"}, {"$numberDecimal": "1.50"}),
        ({"$date": {"$numberLong": "5"}}, {"$date": 5}),
        ({"$timestamp": {"t": 5, "i": 1}}, {"$timestamp": {"t": 5, "i": 1}}),
        ({}, {}),
        ([], []),
    ],
)  # fmt: skip
def test_numbers_of_extended_json_become_numbers(value: Any, wanted: Any):
    found = plain(value)
    assert found == wanted
    assert type(found) is type(wanted)


def test_no_number_stays_none():
    assert math.isnan(plain({"$numberDouble": "NaN"}))
    assert list(plain({"b": 1, "a": {"$numberInt": "1"}})) == ["b", "a"]


def read(kind: str = "collection", **metadata: Any) -> Namespace:
    return Namespace.from_metadata(kind, json.dumps(metadata))


def test_metadata_of_a_recent_tool():
    more = {"partialFilterExpression": {"n": {"$gt": {"$numberInt": "3"}}}, "sparse": True}
    n_1 = {"v": {"$numberInt": "2"}, "key": {"n": {"$numberInt": "-1"}}, "name": "n_1", **more}
    options = {"capped": True, "size": {"$numberInt": "65536"}}
    found = read(
        "collection", options=options, indexes=[ID, n_1], uuid="ab" * 16, collectionName="c", type="collection"
    )
    assert found == Namespace(
        "collection",
        "ab" * 16,
        {"capped": True, "size": 65536},
        {
            "_id_": {"key": {"_id": 1}, "name": "_id_"},
            "n_1": {"key": {"n": -1}, "name": "n_1", "partialFilterExpression": {"n": {"$gt": 3}}, "sparse": True},
        },
    )


def test_metadata_of_old_tools():
    # Of version 3: plain numbers, the namespace in each index, no uuid.
    text = '{"options":{"create":"c"},"indexes":[{"v":1,"key":{"_id":1},"name":"_id_","ns":"shop.c"}]}'
    found = Namespace.from_metadata("collection", text)
    assert found == Namespace("collection", "", {"create": "c"}, {"_id_": {"key": {"_id": 1}, "name": "_id_"}})
    assert found.indexes == read(indexes=[ID]).indexes


@pytest.mark.parametrize("text", ["", "{}", '{"options": null, "indexes": null, "uuid": null}'])
def test_metadata_may_say_nothing(text: str):
    assert Namespace.from_metadata("view", text) == Namespace("view")


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "5",
        "null",
        '"text"',
        '{"indexes": 5}',
        '{"indexes": [5]}',
        '{"indexes": {"a": 1}}',
        '{"indexes": [{"key": {"a": 1}}]}',
        '{"indexes": [{"name": "a_1"}]}',
        '{"indexes": [{"name": "a_1", "key": "a"}]}',
        '{"options": [1]}',
        '{"options": "ab"}',
        '{"options": {"size": {"$numberInt": "many"}}}',
        '{"options": {"size": {"$numberLong": "' + "9" * 5000 + '"}}}',
        '{"options": ' + "9" * 5000 + "}",
        '{"options": {"a": ' + "[" * 100_000 + "]" * 100_000 + "}}",
        '{"options": ' + '{"a":' * 100_000 + "1" + "}" * 100_001,
    ],
    ids=range(18),
)
def test_damaged_metadata_are_a_value_error(text: str):
    with pytest.raises(ValueError, match=r"."):
        Namespace.from_metadata("collection", text)


def test_documents_expire_by_an_index_or_by_an_option():
    at = {**ID, "name": "at_1", "key": {"at": 1}}
    assert not read(indexes=[ID, at]).expires
    assert read(indexes=[ID, {**at, "expireAfterSeconds": {"$numberInt": "0"}}]).expires
    assert read("timeseries", options={"timeseries": {"timeField": "at"}, "expireAfterSeconds": 60}).expires
    assert not read("timeseries", options={"timeseries": {"timeField": "expireAfterSeconds"}}).expires


def test_names_for_people():
    assert shown(("shop", "with.dots ü")) == "shop.with.dots ü"
    assert shown(("", "oplog")) == "oplog"
