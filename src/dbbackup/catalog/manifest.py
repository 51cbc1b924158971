"""The manifest: the signed JSON beside a backup that says what it is and how to get it back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from django.core.signing import Signer
from django.utils.crypto import constant_time_compare

from dbbackup.exceptions import ManifestError

FORMAT = "dbbackup/1"

MAX_SIZE = 4 * 1024 * 1024
"""Bytes that a manifest may have. One of ours has a few kilobytes; reading a larger one only costs memory."""

_SALT = "dbbackup.manifest"


@dataclass(frozen=True)
class StoredObject:
    """One stored file: its name in the storage, its size in bytes and its SHA-256 in hexadecimal."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class DumpDigest:
    """The dump before the codecs: its size in bytes and its SHA-256 in hexadecimal."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What is known of one backup."""

    id: str
    name: str
    content_type: str
    engine: str
    connector: str
    database: str
    database_name: str
    servername: str
    started: datetime
    finished: datetime
    codecs: tuple[str, ...]
    objects: tuple[StoredObject, ...]
    dump: DumpDigest
    restore_by_hand: str
    limits: Mapping[str, Any] = field(default_factory=dict)
    """What of the database the dump has not, in the connector's words; empty for all of it."""
    versions: Mapping[str, Any] = field(default_factory=dict)
    migrations: Mapping[str, Sequence[str]] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    """The keys that DBBACKUP_BACKUP_METADATA_SETTER added; they stand at the top level of the JSON."""

    @property
    def size(self) -> int:
        """Return the stored size in bytes."""
        return sum(stored.size for stored in self.objects)

    def as_dict(self) -> dict[str, Any]:
        """Return the content of the JSON object, without the signature."""
        return {
            **self.extra,
            "format": FORMAT,
            "id": self.id,
            "name": self.name,
            "content_type": self.content_type,
            "engine": self.engine,
            "connector": self.connector,
            "database": self.database,
            "database_name": self.database_name,
            "servername": self.servername,
            "started": self.started.isoformat(),
            "finished": self.finished.isoformat(),
            "codecs": list(self.codecs),
            "objects": [vars(stored) for stored in self.objects],
            "dump": vars(self.dump),
            "limits": dict(self.limits),
            "versions": dict(self.versions),
            "migrations": {app: list(names) for app, names in self.migrations.items()},
            "restore_by_hand": self.restore_by_hand,
        }

    def to_bytes(self, keys: Sequence[str]) -> bytes:
        """Return the JSON, signed with the first of the keys.

        Raise ManifestError when an added key does not fit JSON.
        """
        content = self.as_dict()
        content["signature"] = _signatures(content, keys)[0]
        return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False).encode()

    def with_extra(self, added: Mapping[str, Any]) -> Manifest:
        """Return the manifest with the user's own keys, less those that are the manifest's."""
        return replace(self, extra={key: value for key, value in added.items() if key not in KEYS})


@dataclass(frozen=True)
class LegacyManifest:
    """The few words that django-dbbackup 5 leaves beside a backup: no size, no hash, no signature."""

    engine: str
    connector: str
    content: Mapping[str, Any]


KEYS = frozenset(
    [
        "format",
        "id",
        "name",
        "content_type",
        "engine",
        "connector",
        "database",
        "database_name",
        "servername",
        "started",
        "finished",
        "codecs",
        "objects",
        "dump",
        "limits",
        "versions",
        "migrations",
        "restore_by_hand",
        "signature",
    ]
)


def read_manifest(data: bytes, keys: Sequence[str], *, check_signature: bool = True) -> Manifest | LegacyManifest:
    """Return the manifest that the JSON holds.

    Raise ManifestError when it is malformed, unsigned, or signed with none of the keys.
    """
    if len(data) > MAX_SIZE:
        raise ManifestError(f"it is larger than {MAX_SIZE} bytes")
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise ManifestError(f"it is not JSON ({exc})") from exc
    if not isinstance(content, dict):
        raise ManifestError("it is not a JSON object")
    if not content.keys() & (KEYS - {"engine", "connector"}) and content.keys() >= {
        "engine",
        "connector",
    }:
        return LegacyManifest(str(content["engine"]), str(content["connector"]), content)
    if content.get("format") != FORMAT:
        raise ManifestError(f"its format is {content.get('format')!r}, not {FORMAT!r}")
    if check_signature:
        _check_signature(content, keys)
    try:
        return _from_dict(content)
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise ManifestError(f"it is incomplete or malformed ({exc!r})") from exc


def _from_dict(content: Mapping[str, Any]) -> Manifest:
    texts = {
        name: _text(content[name])
        for name in (
            [
                "id",
                "name",
                "content_type",
                "engine",
                "connector",
                "database",
                "database_name",
                "servername",
                "restore_by_hand",
            ]
        )
    }
    objects = tuple(
        StoredObject(_text(item["name"]), _size(item["size"]), _hash(item["sha256"])) for item in content["objects"]
    )
    if not objects:
        raise ValueError("it names no stored file")
    return Manifest(
        **texts,
        started=datetime.fromisoformat(content["started"]).astimezone(UTC),
        finished=datetime.fromisoformat(content["finished"]).astimezone(UTC),
        codecs=tuple(_text(name) for name in content["codecs"]),
        objects=objects,
        dump=DumpDigest(_size(content["dump"]["size"]), _hash(content["dump"]["sha256"])),
        limits=dict(content.get("limits", {})),
        versions=dict(content["versions"]),
        migrations={app: tuple(names) for app, names in content["migrations"].items()},
        extra={key: value for key, value in content.items() if key not in KEYS},
    )


def _check_signature(content: Mapping[str, Any], keys: Sequence[str]) -> None:
    signature = content.get("signature")
    if not isinstance(signature, str):
        raise ManifestError("it is not signed")
    if not any(constant_time_compare(signature, known) for known in _signatures(content, keys)):
        raise ManifestError(
            "its signature does not fit: it was altered, or signed with a key that is not in DBBACKUP_SIGNING_KEYS"
            " (by default SECRET_KEY and SECRET_KEY_FALLBACKS)"
        )


def _signatures(content: Mapping[str, Any], keys: Sequence[str]) -> list[str]:
    signed = {key: value for key, value in content.items() if key != "signature"}
    try:
        canonical = json.dumps(signed, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as exc:
        raise ManifestError(f"it does not fit JSON ({exc})") from exc
    return [Signer(key=key, salt=_SALT).signature(canonical) for key in keys]


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def _size(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError(f"{value!r} is not a size")
    return value


def _hash(value: object) -> str:
    text = _text(value)
    if len(text) != 64 or not set(text) <= set("0123456789abcdef"):
        raise ValueError(f"{text!r} is not a SHA-256")
    return text
