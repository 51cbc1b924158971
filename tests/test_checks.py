from __future__ import annotations

from typing import Any

import pytest

from dbbackup.checks import check_settings

LOCAL = "django.core.files.storage.FileSystemStorage"


def ids():
    return [message.id for message in check_settings()]


def storage(settings: Any, location: object) -> dict[str, Any]:
    return {**settings.STORAGES, "dbbackup": {"BACKEND": LOCAL, "OPTIONS": {"location": str(location)}}}


def test_settings_of_the_tests_are_fine():
    assert ids() == []


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("DBBACKUP_HOSTNAME", "", ["dbbackup.W001"]),
        ("DBBACKUP_FILENAME_TEMPLATE", "{databasename}.{extension}", ["dbbackup.W003"]),
        ("DBBACKUP_MEDIA_FILENAME_TEMPLATE", "{servername}.{extension}", ["dbbackup.W004"]),
        ("DBBACKUP_DATE_FORMAT", "%Y/%m/%d", ["dbbackup.W005"]),
        ("DBBACKUP_FILENAME_TEMPLATE", "{databasename}/{datetime}.{extension}", ["dbbackup.W007"]),
        ("DBBACKUP_MEDIA_FILENAME_TEMPLATE", "m/{datetime}.{extension}", ["dbbackup.W008"]),
        ("DBBACKUP_FILENAME_TEMPLATE", lambda **kwargs: "x", []),
        ("DBBACKUP_CLEANUP_KEEP", -1, ["dbbackup.E001"]),
        ("DBBACKUP_CLEANUP_KEEP", "ten", ["dbbackup.E001"]),
        ("DBBACKUP_CLEANUP_KEEP_FILTER", "no.such.path", ["dbbackup.E001"]),
        ("DBBACKUP_CLEANUP_KEEP_FILTER", 7, ["dbbackup.E001"]),
        ("DBBACKUP_LOCK_TIMEOUT", "long", ["dbbackup.E001"]),
        ("DBBACKUP_CONNECTORS", [], ["dbbackup.E001"]),
        ("DBBACKUP_STORAGE", "x", ["dbbackup.E002"]),
        ("DBBACKUP_STORAGE_OPTIONS", {}, ["dbbackup.E002"]),
        ("DBBACKUP_COMPRESSION", "lzma", ["dbbackup.E005"]),
        ("DBBACKUP_COMPRESSION", "age", ["dbbackup.E005"]),
        ("DBBACKUP_ENCRYPTION", "zstd", ["dbbackup.E005"]),
        ("DBBACKUP_DATABASES", ["nosuch"], ["dbbackup.E006"]),
        ("DBBACKUP_PROTECTED_DATABASES", ["nosuch"], ["dbbackup.E006"]),
        ("DBBACKUP_CONNECTORS", {"nosuch": {}}, ["dbbackup.E006"]),
        ("DBBACKUP_CONNECTORS", {"default": {"EXCLDUE": []}}, ["dbbackup.E007"]),
        ("DBBACKUP_CONNECTORS", {"default": {"CONNECTOR": "no.such.Connector"}}, ["dbbackup.E007"]),
    ],
)
def test_each_mistake_has_its_id(settings, name, value, expected):
    setattr(settings, name, value)
    assert ids() == expected


def test_missing_storage_hints_at_the_lines_to_add(settings):
    settings.STORAGES = {name: value for name, value in settings.STORAGES.items() if name != "dbbackup"}
    (message,) = check_settings()
    assert message.id == "dbbackup.E003"
    assert 'STORAGES["dbbackup"] = {' in str(message.hint)


def test_storage_that_cannot_be_made(settings):
    settings.STORAGES = {**settings.STORAGES, "dbbackup": {"BACKEND": "no.such.Storage"}}
    assert ids() == ["dbbackup.E003"]


@pytest.mark.parametrize("setting", ["MEDIA_ROOT", "STATIC_ROOT"])
@pytest.mark.parametrize("below", ["", "backups"])
def test_backups_in_a_public_folder(settings, tmp_path, setting, below):
    setattr(settings, setting, str(tmp_path))
    settings.STORAGES = storage(settings, tmp_path / below)
    assert ids() == ["dbbackup.E004"]


def test_engine_without_a_connector_of_its_own(databases, settings):
    databases("oracle", ENGINE="django.db.backends.dummy", NAME="x")
    settings.DBBACKUP_DATABASES = ["oracle"]
    assert ids()[-1:] in (["dbbackup.W009"], ["dbbackup.E007"])
