"""System checks of the settings; the ids W001 to W008 are those of django-dbbackup."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage, Error, Info
from django.core.checks import Warning as CheckWarning

from dbbackup import databases, db
from dbbackup.catalog.storage import project_storage, public_folder_around
from dbbackup.codecs import codec_class
from dbbackup.codecs.base import COMPRESSION, ENCRYPTION
from dbbackup.conf import Settings, get_settings, removed_settings
from dbbackup.exceptions import ConfigurationError, UsageError

_NEW_STORAGE_FORM = 'Move them to STORAGES["dbbackup"] = {"BACKEND": …, "OPTIONS": {…}}.'


def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """Return what is wrong with the settings of the package."""
    try:
        settings = get_settings()
    except ConfigurationError as exc:
        return [Error(str(exc), id="dbbackup.E001")]
    return [
        *_check_removed(),
        *_check_storage(),
        *_check_names(settings),
        *_check_codecs(settings),
        *_check_databases(settings),
    ]


def _check_removed() -> Iterator[CheckMessage]:
    if names := removed_settings():
        yield Error(f"{' and '.join(names)} have no effect.", hint=_NEW_STORAGE_FORM, id="dbbackup.E002")


def _check_storage() -> Iterator[CheckMessage]:
    try:
        storage = project_storage()
    except ConfigurationError as exc:
        message, _, hint = str(exc).partition("\n")
        yield Error(message, hint=hint or None, id="dbbackup.E003")
        return
    if name := public_folder_around(storage):
        yield Error(
            f"The backups lie in {storage.folder}, inside {name}, which a web server hands out.",
            hint='Give STORAGES["dbbackup"] a location outside it.',
            id="dbbackup.E004",
        )


def _check_names(settings: Settings) -> Iterator[CheckMessage]:
    if not settings.hostname:
        yield CheckWarning("DBBACKUP_HOSTNAME is empty.", hint="Name the server in it.", id="dbbackup.W001")
    templates = {
        "FILENAME_TEMPLATE": (settings.filename_template, "W003", "W007"),
        "MEDIA_FILENAME_TEMPLATE": (settings.media_filename_template, "W004", "W008"),
    }
    for name, (template, undated, slashed) in templates.items():
        if callable(template):
            continue
        if "{datetime}" not in template:
            yield CheckWarning(
                f"DBBACKUP_{name} has no {{datetime}}.",
                hint="Without it backups are told apart by a number only.",
                id=f"dbbackup.{undated}",
            )
        if "/" in template:
            yield Info(
                f"DBBACKUP_{name} holds a slash.",
                hint="Backups go into folders of the storage; they are found there.",
                id=f"dbbackup.{slashed}",
            )
    if not re.fullmatch(r"[A-Za-z0-9%_-]+", settings.date_format):
        yield CheckWarning(
            f"DBBACKUP_DATE_FORMAT {settings.date_format!r} holds characters that do not belong into file names.",
            hint="Use letters, digits, %, - and _ only.",
            id="dbbackup.W005",
        )


def _check_codecs(settings: Settings) -> Iterator[CheckMessage]:
    for name, kind in ((settings.compression, COMPRESSION), (settings.encryption, ENCRYPTION)):
        try:
            if name and codec_class(name, settings.codecs).kind != kind:
                yield Error(f"The codec {name!r} is not for {kind}.", id="dbbackup.E005")
        except ConfigurationError as exc:
            yield Error(str(exc), id="dbbackup.E005")


def _check_databases(settings: Settings) -> Iterator[CheckMessage]:
    try:
        aliases = databases.aliases()
        databases.aliases([*settings.protected_databases, *settings.connectors])
    except UsageError as exc:
        yield Error(str(exc), hint="Look at the DBBACKUP_ settings that name databases.", id="dbbackup.E006")
        return
    for alias in aliases:
        try:
            path = databases.connector_path(alias)
            databases.connector(alias)
        except ConfigurationError as exc:
            yield Error(str(exc), id="dbbackup.E007")
            continue
        chosen = "CONNECTOR" in settings.connectors.get(alias, {}) or path in settings.connector_mapping.values()
        if path == db.DEFAULT_CONNECTOR and not chosen:
            yield CheckWarning(
                f"Database {alias!r} is backed up by DjangoConnector: its data only, no schema.",
                hint=f"Name a connector in DBBACKUP_CONNECTORS[{alias!r}] if there is a better one for its engine.",
                id="dbbackup.W009",
            )
