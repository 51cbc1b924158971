"""The only reader of Django's settings: frozen values, dropped when a setting changes."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings as django_settings
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from dbbackup.exceptions import ConfigurationError

STORAGE_ALIAS = "dbbackup"

NameTemplate = str | Callable[..., str]


@dataclass(frozen=True)
class Settings:
    """What the project's settings say, checked and with defaults filled in."""

    databases: tuple[str, ...]
    protected_databases: tuple[str, ...]
    connectors: Mapping[str, Mapping[str, Any]]
    connector_mapping: Mapping[str, str]
    hostname: str
    tmp_dir: Path | None
    tmp_file_max_size: int
    lock_timeout: float
    date_format: str
    filename_template: NameTemplate
    media_filename_template: NameTemplate
    media_path: str
    cleanup_keep: int
    cleanup_keep_media: int
    cleanup_keep_filter: Callable[[str], bool]
    compression: str | None
    encryption: str | None
    codecs: Mapping[str, str]
    gpg_recipient: tuple[str, ...]
    gpg_always_trust: bool
    gpg_armor: bool
    age_recipients: tuple[str, ...]
    age_identity_file: tuple[str, ...]
    signing_keys: tuple[str, ...]
    require_signature: bool
    metadata_setter: Callable[[dict[str, Any]], Mapping[str, Any]] | None
    metadata_validator: Callable[[dict[str, Any]], bool | None] | None
    send_email: bool
    server_email: str
    admins: tuple[str, ...]
    email_subject_prefix: str


def _get(name: str, default: Any) -> Any:
    return getattr(django_settings, f"DBBACKUP_{name}", default)


def _typed(name: str, default: Any, kind: type | tuple[type, ...], expected: str) -> Any:
    value = _get(name, default)
    if value is not None and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
        raise ConfigurationError(f"DBBACKUP_{name} must be {expected}, not {value!r}.")
    return value


def _strings(name: str, default: Sequence[str] = ()) -> tuple[str, ...]:
    value = _get(name, default)
    if value is None or value == "":
        return ()
    items = (value,) if isinstance(value, str | os.PathLike) else tuple(value)
    return tuple(str(item) for item in items)


def _count(name: str, default: int) -> int:
    value: int = _typed(name, default, int, "a whole number")
    if value < 0:
        raise ConfigurationError(f"DBBACKUP_{name} must not be negative, but it is {value}.")
    return value


def _callable(name: str) -> Any:
    value = _get(name, None)
    if isinstance(value, str):
        try:
            value = import_string(value)
        except ImportError as exc:
            raise ConfigurationError(f"DBBACKUP_{name} names {value!r}: {exc}.") from exc
    if value is not None and not callable(value):
        raise ConfigurationError(f"DBBACKUP_{name} must be a callable or the dotted path of one.")
    return value


def _addresses() -> tuple[str, ...]:
    """Return the addresses to tell of a failure; both ways of writing them, ("name", address) and address."""
    people = _get("ADMINS", _get("ADMIN", None))
    if people is None:
        people = django_settings.ADMINS
    return tuple(person if isinstance(person, str) else str(person[-1]) for person in people)


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Return the settings of the project.

    Raise ConfigurationError for a value that cannot be meant.
    """
    tmp_dir = _get("TMP_DIR", None)
    cleanup_keep = _count("CLEANUP_KEEP", 10)
    compression = _typed("COMPRESSION", None, str, "the name of a codec")
    encryption = _typed("ENCRYPTION", None, str, "the name of a codec")
    keys = _strings("SIGNING_KEYS")
    return Settings(
        databases=_strings("DATABASES", tuple(django_settings.DATABASES)),
        protected_databases=_strings("PROTECTED_DATABASES"),
        connectors=_typed("CONNECTORS", {}, Mapping, "a dictionary") or {},
        connector_mapping=_typed("CONNECTOR_MAPPING", {}, Mapping, "a dictionary") or {},
        hostname=str(_get("HOSTNAME", socket.gethostname())),
        tmp_dir=Path(tmp_dir) if tmp_dir else None,
        tmp_file_max_size=_count("TMP_FILE_MAX_SIZE", 10 * 1024 * 1024),
        lock_timeout=float(_typed("LOCK_TIMEOUT", 30.0, (int, float), "a number of seconds")),
        date_format=_typed("DATE_FORMAT", "%Y-%m-%d-%H%M%S", str, "a string"),
        filename_template=_get("FILENAME_TEMPLATE", "{databasename}-{servername}-{datetime}.{extension}"),
        media_filename_template=_get("MEDIA_FILENAME_TEMPLATE", "{servername}-{datetime}.{extension}"),
        media_path=str(_get("MEDIA_PATH", django_settings.MEDIA_ROOT)),
        cleanup_keep=cleanup_keep,
        cleanup_keep_media=_count("CLEANUP_KEEP_MEDIA", cleanup_keep),
        cleanup_keep_filter=_callable("CLEANUP_KEEP_FILTER") or (lambda _: False),
        compression=compression or None,
        encryption=encryption or None,
        codecs=_typed("CODECS", {}, Mapping, "a dictionary") or {},
        gpg_recipient=_strings("GPG_RECIPIENT"),
        gpg_always_trust=bool(_get("GPG_ALWAYS_TRUST", False)),
        gpg_armor=bool(_get("GPG_ARMOR", True)),
        age_recipients=_strings("AGE_RECIPIENTS"),
        age_identity_file=_strings("AGE_IDENTITY_FILE"),
        signing_keys=keys or tuple(map(str, (django_settings.SECRET_KEY, *django_settings.SECRET_KEY_FALLBACKS))),
        require_signature=bool(_get("REQUIRE_SIGNATURE", False)),
        metadata_setter=_callable("BACKUP_METADATA_SETTER"),
        metadata_validator=_callable("RESTORE_METADATA_VALIDATOR"),
        send_email=bool(_get("SEND_EMAIL", True)),
        server_email=str(_get("SERVER_EMAIL", django_settings.SERVER_EMAIL)),
        admins=_addresses(),
        email_subject_prefix=str(_get("EMAIL_SUBJECT_PREFIX", "[dbbackup] ")),
    )


def passphrase(codec: str) -> str | None:
    """Return the passphrase that the environment holds for a codec: DBBACKUP_GPG_PASSPHRASE and its like."""
    return os.environ.get(f"DBBACKUP_{codec.upper()}_PASSPHRASE") or None


def public_folders() -> dict[str, Path]:
    """Return the folders that a web server hands out, by the setting that names them."""
    named = {name: getattr(django_settings, name, None) for name in ("MEDIA_ROOT", "STATIC_ROOT")}
    return {name: Path(folder).resolve() for name, folder in named.items() if folder}


def removed_settings() -> list[str]:
    """Return the names of settings in use that have no effect any more."""
    return [name for name in ("DBBACKUP_STORAGE", "DBBACKUP_STORAGE_OPTIONS") if hasattr(django_settings, name)]


def _forget(**kwargs: object) -> None:
    get_settings.cache_clear()


setting_changed.connect(_forget, dispatch_uid="dbbackup.conf")
