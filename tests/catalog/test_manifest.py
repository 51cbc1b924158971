from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbbackup.catalog.manifest import (
    MAX_SIZE,
    DumpDigest,
    LegacyManifest,
    Manifest,
    StoredObject,
    read_manifest,
)
from dbbackup.exceptions import ManifestError

KEY = "the key"
WHEN = datetime(2026, 11, 22, 14, 1, 2, 345, tzinfo=UTC)
HASH = "0" * 64


def make(**values: Any) -> Manifest:
    content: dict[str, Any] = {
        "id": "1", "name": "ü b.dump", "content_type": "db", "engine": "e", "connector": "c", "database": "default",
        "database_name": "n", "servername": "s", "started": WHEN, "finished": WHEN, "codecs": ("zstd",),
        "objects": (StoredObject("ü b.dump", 3, HASH),), "dump": DumpDigest(9, HASH), "restore_by_hand": "x",
        "versions": {"django": "5.2"}, "migrations": {"atlas": ("0001_initial",)},
    }  # fmt: skip
    return Manifest(**content | values)


def altered(**values: Any) -> bytes:
    return json.dumps(json.loads(make().to_bytes([KEY])) | values).encode()


def test_round_trip():
    manifest = make(extra={"ticket": "Ü-1"})
    assert read_manifest(manifest.to_bytes([KEY]), [KEY]) == manifest


def test_key_that_was_replaced_still_verifies():
    assert read_manifest(make().to_bytes(["old"]), ["new", "old"]) == make()


def test_other_key_is_refused_and_may_be_ignored():
    data = make().to_bytes(["other"])
    with pytest.raises(ManifestError, match="DBBACKUP_SIGNING_KEYS"):
        read_manifest(data, [KEY])
    assert read_manifest(data, [KEY], check_signature=False) == make()


@pytest.mark.parametrize("key", sorted(make().as_dict()))
def test_every_altered_key_is_refused(key):
    with pytest.raises(ManifestError):
        read_manifest(altered(**{key: "altered"}), [KEY])


def test_added_key_is_refused():
    with pytest.raises(ManifestError, match="signature does not fit"):
        read_manifest(altered(ticket="forged"), [KEY])


def test_missing_signature_is_refused():
    content = json.loads(make().to_bytes([KEY]))
    del content["signature"]
    with pytest.raises(ManifestError, match="not signed"):
        read_manifest(json.dumps(content).encode(), [KEY])


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{", b"[]", b"null", b"\xff\xfe", b"{}", b'{"format": "dbbackup/2"}', b"[" * 1_000_000,
        b'{"engine": "x"}', b'{"a":' * 100_000,
    ],
)  # fmt: skip
def test_malformed_is_refused(data):
    with pytest.raises(ManifestError):
        read_manifest(data, [KEY])


def test_huge_manifest_is_refused_unread():
    with pytest.raises(ManifestError, match="larger than"):
        read_manifest(b" " * (MAX_SIZE + 1), [KEY])


@pytest.mark.parametrize(
    "values",
    [
        {"objects": ()},
        {"objects": (StoredObject("x", -1, HASH),)},
        {"objects": (StoredObject("x", True, HASH),)},
        {"objects": (StoredObject("x", 1, "ABC"),)},
        {"dump": DumpDigest(1, "x" * 64)},
        {"name": 7},
        {"codecs": (1,)},
    ],
)
def test_signed_but_senseless_is_refused(values):
    with pytest.raises(ManifestError, match="incomplete or malformed"):
        read_manifest(make(**values).to_bytes([KEY]), [KEY])


def test_manifest_of_the_older_package():
    said = read_manifest(b'{"engine": "e", "connector": "c", "mine": 1}', [KEY])
    assert isinstance(said, LegacyManifest)
    assert (said.engine, said.connector, said.content["mine"]) == ("e", "c", 1)


@pytest.mark.parametrize("key", ["objects", "signature", "dump", "id"])
def test_ours_stripped_of_its_format_does_not_pass_for_an_older_one(key):
    with pytest.raises(ManifestError):
        read_manifest(json.dumps({"engine": "e", "connector": "c", key: 1}).encode(), [KEY])


def test_added_keys_do_not_replace_ours():
    assert make().with_extra({"connector": "os.system", "mine": 1}).as_dict()["connector"] == "c"


def test_added_keys_must_fit_json():
    with pytest.raises(ManifestError, match="does not fit JSON"):
        make(extra={"mine": object()}).to_bytes([KEY])


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_is_either_read_or_refused(content):
    with suppress(ManifestError):
        read_manifest(json.dumps(content).encode(), [KEY])


@given(
    st.dictionaries(
        st.sampled_from(sorted(make().as_dict())),
        st.none() | st.integers() | st.text() | st.lists(st.integers()),
        min_size=1,
    )
)
def test_any_content_is_either_read_or_refused_without_signature(values):
    with suppress(ManifestError):
        read_manifest(altered(**values), [KEY], check_signature=False)
